"""``gymbal/Cluster-v0``: everything that is decided about a cluster of hosts, at two speeds."""

from __future__ import annotations

from gymbal_envs.tasks.env import WorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import CLUSTER


class ClusterEnv(WorldEnv):
    """Run a cluster: answer overloads, let hosts sleep, place who comes.

    ## Description
    Three to eight hosts, each overcommitted. Every 10 s a local agent divides the memory of each (tuned proportional shares by
    default, or any trained bundle of ``gymbal/Balloon-v0``). Every minute a stack of layers decides the rest: VMs that suffer
    although their host does what it can borrow other hosts' memory, or move, or are cloned; hosts whose VMs fit elsewhere are
    emptied and sleep; they wake when the others fill up; VMs that come get a host. What VMs want follows the hour of the day,
    short excursions and overloads of minutes to hours.

    The agent corrects the stack (``layered``: tuned ``balance_first`` for overloads, then consolidation) host by host. Its
    layers pull in different directions: who gathers VMs tightly spares energy until their peaks meet; waking takes 10 s to
    minutes at nearly peak power; moves take links, time and progress.

    ## Action Space
    `Box(-1, 1, (H, 6), float32)`: six numbers for each place of a host. Zero is exactly the stack; what places without a host ask for is ignored.

    | Num | Action | Meaning |
    |---|---|---|
    | 0 | fill | the part of the host up to which it is filled, times 1 + 0.3 x |
    | 1 | relief | the part from which it counts as full, so that another host is woken, times 1 + 0.3 x |
    | 2 | keep | added to its utilisation where hosts are ranked to be emptied, least first. Above 0.5 it is neither emptied nor put to sleep, above 0.75 it is woken; below -0.5 VMs go there only if they fit nowhere else |
    | 3 | haste | overloads of its VMs count as 4^x times as old: who is hasty borrows and moves sooner |
    | 4 | exchange | below -0.5 it lends nothing and calls back what it has lent; above 0.5 its VMs that suffer borrow at any speed |
    | 5 | thrift | 0.4 x is added to the part of the memory that calm VMs do not use which stays with the host, where who moves there finds it |

    ## Observation Space
    `Dict`, of what a manager sees, through the codec that a controller runs too. Bounds, units and sources of each number:
    ``gymbal_runtime.cluster.layers.quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `hosts` | `(H, 59)` | per column | per column | each host: state, memory used, swapped, lent and free, pressure, CPU time, links, watts, its VMs, what the stack proposes, changes against the last 3 decisions |
    | `cluster` | `(30,)` | per column | per column | load against hosts that are on, who waits, moves and sleeps, what the stack proposes |
    | `present` | `(H,)` | 0 | 1 | 1 where a place holds a host; the rows of the others are 0. The last place never does: VMs wait there |

    ## Rewards
    Minus the weighted sum of four terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `energy` | energy / what all hosts would take at peak power | 0.1 |
    | `progress_lost` | fraction of the wanted progress of the interval, weighted by the VMs' shares; pauses of moves and waiting for a host included | 1 |
    | `processes_killed` | share-weighted fraction of VMs with a killed process | 1 |
    | `network_traffic` | bytes on the network (far pages, moves, clones) / memory of all hosts | 0.03 |

    ## Starting State
    A fresh scenario: all hosts on, everybody at home, at any hour of the day. Scenario number and split are in
    ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (240: four hours).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` with ``cluster`` (hosts, power, arrivals, networks, rules, faults to draw from).
    * ``config``: a `TaskConfig` (stack, local balancing, reward weights, physics, guard).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    For one agent per host there is ``gymbal_envs.tasks.cluster_parallel.parallel_env``, a PettingZoo environment.

    ## Version History
    * v0: initial version.
    """

    task_id = CLUSTER


class ClusterVectorEnv(WorldVectorEnv):
    """``gymbal/Cluster-v0`` for ``num_envs`` clusters; see `ClusterEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = CLUSTER
