"""``gymbal/Placement-v0``: a host for every VM that comes to a data centre."""

from __future__ import annotations

from gymbal_envs.tasks.env import MaskedWorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import PLACEMENT


class PlacementEnv(MaskedWorldEnv):
    """Choose a host for every virtual machine that comes to a data centre.

    ## Description
    VMs come to a data centre of 10 to 40 hosts (up to 800: ``scenario.centre.num_hosts``), run for minutes to hours and leave. None is ever
    moved, so that its first host is its last. VMs on a host share its cores, its last-level cache, its memory bandwidth and its
    I/O device, and slow each other down: some programs need the cache, some sweep it clean, some do neither. Spreading VMs
    wears out more hosts than they need; packing them slows them down; which VMs meet matters for both.

    Every 60 s a host is chosen for each VM that waits, from its static profile (which not every VM has) and from what counters say of the
    VMs that run. A published rule proposes one; the agent may choose another of eight candidates, or let the VM wait. A
    host that sleeps and is chosen is woken, which takes 10 s to minutes; one that has been empty for as long as waking it costs falls asleep,
    whoever decides.

    ## Action Space
    `MultiDiscrete([9] * M)`: a choice for each place of the queue; M is 8, or one for every 8 hosts.

    | Num | Choice | Legal |
    |---|---|---|
    | 0 | wait for the next decision | always |
    | 1-4 | host with VMs where, by the table of co-runs, least progress is lost | where there are as many |
    | 5 | host with VMs, the fullest below its MIPS | where there is one more |
    | 6 | host with VMs, the emptiest | where there is one more |
    | 7 | empty host, on or on its way to be on | where there is one |
    | 8 | sleeping host | where there is one |

    Candidates have the memory for the VM, and none is named twice. What the rule proposes is always among them, in place of the fourth if need be
    (``gymbal_runtime.placement.candidates``). The mask is in the observation and in ``action_masks()``; what is masked, or has no
    room any more once earlier VMs of the queue got theirs, counts as what the rule proposes. Choosing what is proposed for all is exactly the rule.

    ## Observation Space
    `Dict`, of what a manager sees, through the codec that a controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.placement.quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(M, 14)` | per column | per column | each VM that waits, largest memory first: size, weight, I/O, interactivity, static profile |
    | `candidates` | `(M, 8, 25)` | per column | per column | each candidate for it: state, use and memory with it, what they would do to each other by the table, counters |
    | `centre` | `(13,)` | per column | per column | load, hosts on, empty and waking, who waits, stalls, bandwidth and cache in use |
    | `present` | `(M,)` | 0 | 1 | 1 where a VM waits; the rows of the others are 0 |
    | `offered` | `(M, 8)` | 0 | 1 | 1 where there is a candidate |
    | `proposed` | `(M,)` | 0 | 8 | choice of the base rule |
    | `mask` | `(M, 9)` | 0 | 1 | 1 where the choice may be made |

    ## Rewards
    Minus the weighted sum of three terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `slowdown` | part of what VMs with a host wanted to get done and did not, weighted by their shares | 1 |
    | `waiting` | part of what VMs wanted that was lost because they had no host, weighted by their shares | 1 |
    | `hosts_on` | part of the hosts that were on, or on their way to or from it | 0.2 |

    ## Starting State
    A fresh scenario: hosts and VMs of random kinds with programs of the split, spread over all hosts or packed on few with the rest asleep; a third of all VMs are there,
    the others will come. Scenario number and split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (240: four hours).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` with ``centre`` (trace, ranges to draw from, toy scenarios).
    * ``config``: a `TaskConfig` with ``centre`` (rule, reward weights, physics).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs, in time and in programs.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = PLACEMENT


class PlacementVectorEnv(WorldVectorEnv):
    """``gymbal/Placement-v0`` for ``num_envs`` centres; see `PlacementEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = PLACEMENT
