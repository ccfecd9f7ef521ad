"""``gymbal/Cache-v0``: divide one host's last-level cache between its VMs."""

from __future__ import annotations

from gymbal_envs.tasks.env import WorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import CACHE


class CacheEnv(WorldEnv):
    """Divide one host's last-level cache between its virtual machines, when changes cost.

    ## Description
    Every VM runs a program that goes through phases of different appetite for cache: some lose
    nothing with a single way, some need nearly all of it, some stream through it and only push out
    what others need. A miss costs one program many times what it costs another, and misses of all
    share the memory's bandwidth. Every ``control_interval_s`` (5 s) the agent gives each VM a part
    of the cache. The cache is divided in ways (Intel CAT: a new mask costs nothing, but old lines
    stay until somebody evicts them and a new owner has to fill its ways) or in page colours (a new
    division moves the hot pages, which stops the VM for microseconds each and leaves them cold).
    Memory and CPU time are plentiful and divided by a fixed rule. What programs run and when they
    change phase is drawn with every episode; the agent sees counters, and miss curves where a
    monitor measures them, never the phases themselves.

    ## Action Space
    `Box(-1, 1, (V, 2), float32)`: two *corrections* per VM slot to the division that a named
    heuristic (KPart by estimated lost progress, tuned, by default) proposes; 0 is exactly the
    heuristic.

    | Num | Name | Corrects |
    |---|---|---|
    | 0 | `llc_correction` | the size of the part; +1 asks for 1.5 times the mean of the proposed and the fair part on top |
    | 1 | `llc_follow` | whether sizes follow the proposal: -1 leaves them as they are, 0 and above follow |

    Members of a class count with their mean. The result is rounded to what the hardware has (whole
    units, the least units of a class), so every action is legal; corrections of empty slots are
    ignored.

    ## Observation Space
    `Dict`, from telemetry only, through the codec that the controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.parts.cache``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(V, F)` | per column | per column | features of each VM now (instructions, cycles, stalls, misses, bandwidth, what it holds of the cache, the heuristic's proposal, its miss curve or static hint where there is one) and changes of some of them against each of the last 3 decisions |
    | `host` | `(G,)` | per column | per column | size and kind of the cache, bandwidth in use, number of VMs |
    | `present` | `(V,)` | 0 | 1 | 1 where a slot holds a VM; the rows of the others are 0 |

    ## Rewards
    Minus the weighted sum of two terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `progress_lost` | fraction of the wanted progress of the interval, weighted by the VMs' shares; wanted is what a VM does alone on the cache | 1 |
    | `cache_moved` | fraction of the cache that came to another VM | 0.01 |

    ## Starting State
    A fresh scenario: 4 to 8 VMs, their programs and phases, a cache of 11 to 20 ways or 32 or 64
    page colours, bandwidth and weights drawn at random; the cache shared by all, as if for long.
    Scenario number and split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (180: a quarter of an hour).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` (programs, ranges to draw from, toy scenarios).
    * ``config``: a `TaskConfig` (heuristic, reward weights, physics, guard).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = CACHE


class CacheVectorEnv(WorldVectorEnv):
    """``gymbal/Cache-v0`` for ``num_envs`` hosts; see `CacheEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = CACHE
