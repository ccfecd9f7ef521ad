"""``gymbal/Overload-v0``: answer the overloads of a cluster's hosts."""

from __future__ import annotations

from gymbal_envs.tasks.env import MaskedWorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import OVERLOAD


class OverloadEnv(MaskedWorldEnv):
    """Decide what happens to virtual machines whose host has become too small for them.

    ## Description
    A cluster of hosts, each overcommitted and balanced by a local agent of its own (tuned
    proportional shares by default, or any trained bundle of ``gymbal/Balloon-v0``). Together the
    hosts have room; one of them may have none, for a minute or for hours, and nobody knows for how
    long.
    Every ``control_interval_s`` (10 s) the agent may give one order: let a VM's neighbours give
    more, let it page to other hosts' memory over the network instead of to disk, move it, clone it,
    or undo one of these. Remote memory is carved out of what its donor has free and called back
    when the donor's own VMs want it. A move copies pages over the same network while the VM goes on
    dirtying them, needs memory at its target from the start, slows the VM down, and pauses it at
    the end. Demand, programs, networks, swap devices and migration rules change with every episode.

    ## Action Space
    `Discrete(1 + H K (4 + H))` for H host places with K candidates each (3 by default; the rule
    that chooses them: ``gymbal_runtime.cluster.candidates``). 0 is *nothing*. Else the number is
    ``1 + (h K + k)(4 + H) + a`` for candidate k of host h:

    | a | Order |
    |---|---|
    | 0 | squeeze: its neighbours give half of what they do not use, for a minute |
    | 1 | borrow: what it evicts goes to other hosts' memory |
    | 2 | home: a VM that borrows gets its pages back, a clone and its origin merge, a move is cancelled |
    | 3 | clone it to the host with most room, and divide its load |
    | 4 + j | migrate it to host j |

    Not every action is legal, and not every legal one sensible: the mask, in the observation and
    in ``action_masks()``, allows orders for VMs of hosts that are short of memory or nearly so, to
    the three hosts with most room, besides what undoes an order and what the base heuristic
    proposes (``gymbal_runtime.cluster.candidates.sensible``). 0 is always allowed. What is allowed
    is never refused; an illegal action is refused and counted. Who chooses what is proposed gets
    all orders of the heuristic, which may be several.

    ## Observation Space
    `Dict`, from telemetry only, through the codec that a controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.cluster.quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(H, K, 63)` | per column | per column | each candidate: memory, how long it has been suffering, what a move would take, what the heuristic proposes, changes against the last 3 decisions |
    | `vm_present` | `(H, K)` | 0 | 1 | 1 where there is a candidate |
    | `hosts` | `(H, 25)` | per column | per column | each host: memory, room, lent, links, moves |
    | `host_present` | `(H,)` | 0 | 1 | 1 where there is a host |
    | `cluster` | `(13,)` | per column | per column | sums over the hosts |
    | `proposed` | `(1,)` | 0 | A - 1 | the action that the base heuristic would choose |
    | `mask` | `(A,)` | 0 | 1 | 1 where the action is legal |

    ## Rewards
    Minus the weighted sum of five terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `progress_lost` | fraction of the wanted progress of the interval, weighted by the VMs' shares; pauses of moves included | 1 |
    | `balloon_traffic` | bytes moved in or out of balloons / memory of all hosts | 0.02 |
    | `processes_killed` | share-weighted fraction of VMs with a killed process | 1 |
    | `network_traffic` | bytes on the network (far pages, moves, clones) / memory of all hosts | 0.2 |
    | `memory_set_aside` | memory reserved for arrivals or lending that holds nothing / memory of all hosts | 0.05 |

    ## Starting State
    A fresh scenario: 2 to 8 hosts with 4 to 10 VMs each, a window of the trace chosen so that most
    episodes contain an overload, everybody at home. Scenario number and split are in
    ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (360: an hour).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` with ``cluster`` (hosts, networks, rules, faults to draw from).
    * ``config``: a `TaskConfig` (heuristic, local balancing, reward weights, physics, guard).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = OVERLOAD


class OverloadVectorEnv(WorldVectorEnv):
    """``gymbal/Overload-v0`` for ``num_envs`` clusters; see `OverloadEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = OVERLOAD
