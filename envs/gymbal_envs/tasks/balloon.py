"""``gymbal/Balloon-v0``: divide one host's memory between its VMs."""

from __future__ import annotations

from gymbal_envs.tasks.env import WorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import BALLOON


class BalloonEnv(WorldEnv):
    """Divide one overcommitted host's memory between its virtual machines.

    ## Description
    Every VM has a working set that changes from second to second and a program that slows down when
    a part of it is not resident. The host has less memory than the VMs may want together. Every
    ``control_interval_s`` (10 s) the agent sets each VM's balloon. Memory moves at a balloon's
    finite speed, is granted only once another VM has really given it up, and a VM that gets its
    memory back still has to fault its pages in from the swap tier that all VMs of the host share.
    The demand comes from a trace (synthetic by default), the program's behaviour from a profile;
    both change with every episode. The working set itself is not visible, only what a hypervisor
    sees.

    ## Action Space
    `Box(-1, 1, (V,), float32)`: a *correction* per VM slot to the split that a named heuristic
    (Senpai with tuned options by default) proposes. 0 is exactly the heuristic. +1 asks for half of the mean of the
    proposal and the fair share on top. The result is projected on what is feasible, so every action
    is legal; corrections of empty slots are ignored.

    ## Observation Space
    `Dict`, from telemetry only, through the codec that the controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.parts.memory_quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(V, 46)` | per column | per column | 31 features of each VM now (sizes relative to the host, rates, pressure, LRU histogram, the heuristic's proposal) and 5 changes against each of the last 3 decisions |
    | `host` | `(6,)` | per column | per column | free memory, working sets and provisioned memory relative to the budget, swap latency, pressure, number of VMs |
    | `present` | `(V,)` | 0 | 1 | 1 where a slot holds a VM; the rows of the others are 0 |

    ## Rewards
    Minus the weighted sum of three terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `progress_lost` | fraction of the wanted progress of the interval, weighted by the VMs' shares | 1 |
    | `balloon_traffic` | bytes moved in or out of balloons / host memory | 0.02 |
    | `processes_killed` | share-weighted fraction of VMs where the balloon went below what cannot be paged out | 1 |

    ## Starting State
    A fresh scenario: 4 to 8 VMs, a window of the trace, programs, weights, swap tier and
    overcommitment drawn at random; memory divided equally above each VM's floor. Scenario number
    and split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (180: half an hour).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` (trace, ranges to draw from, toy scenarios).
    * ``config``: a `TaskConfig` (heuristic, reward weights, physics, guard).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = BALLOON


class BalloonVectorEnv(WorldVectorEnv):
    """``gymbal/Balloon-v0`` for ``num_envs`` hosts; see `BalloonEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = BALLOON
