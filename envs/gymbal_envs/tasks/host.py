"""``gymbal/Host-v0``: divide everything that one host has between its VMs."""

from __future__ import annotations

from gymbal_envs.tasks.env import WorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import HOST


class WholeHostEnv(WorldEnv):
    """Divide memory, last-level cache and CPU time, choose devices and monitors, all at once.

    ## Description
    A VM suffers not only for lack of memory. Its program waits for pages that are not resident, for
    lines that others pushed out of the cache, for a core, and for its device; and whoever looks
    closely at what it needs takes time from it. Every ``control_interval_s`` (10 s) the agent sets
    each VM's balloon, its part of the last-level cache, its weight for the CPU scheduler, whether
    its device is emulated or handed through (there are few of those, and a switch is an outage),
    and how closely it is monitored: counters are free, an active sampler costs little, histograms
    of stack distances cost up to a sixth of the VM's time, and telemetry is as good as the monitors
    that are on. What helps one resource can hurt another: less memory means more faults and fewer
    cache misses, an emulated device costs CPU time of everybody.

    ## Action Space
    `Box(-1, 1, (V, A), float32)`: *corrections* per VM slot to what a named heuristic (the best of
    each resource, stacked, by default) proposes. 0 is exactly the heuristic.

    | Num | Name | Corrects |
    |---|---|---|
    | 0 | `balloon` | memory, as in ``gymbal/Balloon-v0`` |
    | 1, 2 | of the cache | part of the last-level cache, as in ``gymbal/Cache-v0`` |
    | 3 | `cpu_weight` | the scheduler's weight, up to a factor of 4 either way |
    | 4 | `device` | who has one of the devices that can be handed through |
    | 5 | `monitor` | the monitor's level |

    Every action is legal: each part is projected on, or rounded to, what the host can do.
    Corrections of empty slots are ignored.

    ## Observation Space
    `Dict`, from telemetry only, through the codec that the controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.parts``, one table for each resource.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(V, F)` | per column | per column | features of each VM now, those of memory, cache, CPU, device and monitors side by side, the heuristic's proposals among them; then changes of some of them against each of the last 3 decisions |
    | `host` | `(G,)` | per column | per column | what the host has of each resource and how much of it is in use |
    | `present` | `(V,)` | 0 | 1 | 1 where a slot holds a VM; the rows of the others are 0 |

    ## Rewards
    Minus the weighted sum of four terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `progress_lost` | fraction of the wanted progress of the interval, weighted by the VMs' shares, whatever it was lost to: memory, cache, CPU, device or monitors | 1 |
    | `balloon_traffic` | bytes moved in or out of balloons / host memory | 0.02 |
    | `processes_killed` | share-weighted fraction of VMs where the balloon went below what cannot be paged out | 1 |
    | `cache_moved` | fraction of the cache that came to another VM | 0.01 |

    ## Starting State
    A fresh scenario: VMs with their demand, programs and phases, a host with its memory, cache,
    cores and devices drawn at random; memory divided equally above each VM's floor, the cache
    shared by all, CPU weights as their owners set them, every device emulated. Scenario number and
    split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions; by default the scenario's
    length.

    ## Arguments
    * ``scenario``: a `ScenarioConfig` (trace, programs, ranges to draw from, toy scenarios).
    * ``config``: a `TaskConfig` (heuristic, reward weights, physics, guard).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = HOST


class WholeHostVectorEnv(WorldVectorEnv):
    """``gymbal/Host-v0`` for ``num_envs`` hosts; see `WholeHostEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = HOST
