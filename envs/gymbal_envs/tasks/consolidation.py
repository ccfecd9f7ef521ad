"""``gymbal/Consolidation-v0``: gather the VMs of a data centre on few hosts; let the rest sleep."""

from __future__ import annotations

from gymbal_envs.tasks.env import WorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import CONSOLIDATION


class ConsolidationEnv(WorldEnv):
    """Gather the virtual machines of a data centre on few hosts and let the others sleep.

    ## Description
    10 to 50 hosts (up to 800: ``scenario.centre.num_hosts``) of different kinds run one to three times as many VMs, whose demand
    for CPU time rises and falls through a day. Idle hosts draw 40 to 70 % of their peak power, so that gathering VMs and letting
    empty hosts sleep saves most of the energy. But demand comes back: VMs on a full host get less CPU time than they want,
    waking a host takes 10 s to minutes at nearly peak power, and moving a VM takes bandwidth and CPU time at both ends, slows the
    VM down and pauses it for a moment.

    Every 300 s a published rule of consolidation (local regression and minimum migration time of Beloglazov and Buyya, LR-MMT, by default) proposes which VM
    moves where, which host sleeps and which wakes. The agent corrects it host by host. What cannot be carried out (a target
    without the memory, or asleep) is never ordered.

    ## Action Space
    `Box(-1, 1, (H, 3), float32)`: three numbers for each host. Zero is exactly the rule; what places without a host ask for is ignored.

    | Num | Action | Meaning |
    |---|---|---|
    | 0 | fill | the rule's threshold of this host times 1 + 0.3 x: up to there VMs are moved to it |
    | 1 | relief | the same: from there on it counts as overloaded, and VMs leave it |
    | 2 | keep | added to its utilisation where hosts are ranked to be emptied, least first. Above 0.5 it is neither emptied nor put to sleep, above 0.75 it is woken; below -0.5 VMs are moved to it only if they fit nowhere else |

    ## Observation Space
    `Dict`, of what a manager sees, through the codec that a controller runs too. Bounds, units and sources of each number:
    ``gymbal_runtime.centre.quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `hosts` | `(H, 47)` | per column | per column | each host: state, utilisation now, in the past and as forecast, memory, size and watts against the others, what waking costs, its VMs, what the rule proposes, changes against the last 3 decisions |
    | `centre` | `(25,)` | per column | per column | load against hosts that are on, least number of hosts that would do, trend, who waits and moves, what the rule proposes |
    | `present` | `(H,)` | 0 | 1 | 1 where a place holds a host; the rows of the others are 0 |

    ## Rewards
    Minus the weighted sum of five terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `energy` | energy / what all hosts would take at peak power (1: CloudSim's NPA) | 0.1 |
    | `progress_lost` | fraction of the wanted CPU time that VMs did not get, weighted by their shares: full hosts, waiting, moves | 1 |
    | `migration_traffic` | bytes of moves on the wire / memory of all hosts | 0.02 |
    | `hosts_full` | part of the time of hosts with VMs in which all their MIPS were used (SLATAH of the interval) | 0.1 |
    | `moving_loss` | part of the wanted CPU time that moves took (PDM of the interval) | 10 |

    ## Starting State
    A fresh scenario: hosts and VMs of random kinds, a window of the trace, VMs spread over all hosts, packed on few with the
    rest asleep, or placed at random. Scenario number and split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (288: one day).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` with ``centre`` (trace, ranges to draw from, toy scenarios).
    * ``config``: a `TaskConfig` with ``centre`` (heuristic, reward weights, physics).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = CONSOLIDATION


class ConsolidationVectorEnv(WorldVectorEnv):
    """``gymbal/Consolidation-v0`` for ``num_envs`` centres; see `ConsolidationEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = CONSOLIDATION
