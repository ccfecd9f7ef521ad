"""``gymbal/Sites-v0``: move virtual machines with their disks to another data centre."""

from __future__ import annotations

from gymbal_envs.tasks.env import MaskedWorldEnv
from gymbal_envs.tasks.vector import WorldVectorEnv
from gymbal_runtime.tasks import SITES


class SitesEnv(MaskedWorldEnv):
    """Move virtual machines with their disks from one data centre to another: when, in which order, how.

    ## Description
    Up to eight VMs run at site A and belong to site B; every second at the wrong site costs a part
    of what they are worth, and after a deadline, when site A closes, all of it. Between the sites is one line
    with a bandwidth, a round trip and losses, which others use, too, more at some times than at
    others. A move goes through phases:

    1. *bulk*: the disk is copied once while the VM writes behind the copy's back;
    2. *mirror*: what it writes follows; bytes that were written have to be sent again;
    3. *pre-copy*: memory is copied in rounds, each what was written during the one before; every
       write to the disk waits for the other site, which slows the VM down, and a VM that writes
       faster than its share of the line is throttled;
    4. *last copy*: the VM is paused and the rest of memory and disk is copied;
    5. *hand-over*: a few round trips and the switch of routes; then it runs at site B.

    A cold move goes to the last copy at once. Copies share the line max-min; one copy gets no more
    than its TCP connections can carry over the distance. Redundancy elimination spares sending what
    the other site has and takes CPU time from the VM. Writing goes with the VM's activity, which
    comes from a trace and has peaks and lulls. Sizes, rates and activity change with every episode.

    ## Action Space
    `MultiDiscrete([7] * V)`: a verb for each VM slot.

    | Num | Verb | Legal |
    |---|---|---|
    | 0 | continue | always |
    | 1 | replicate: start or resume disk replication, as it is | at the source; in bulk and mirror if suspended or reduced |
    | 2 | copy: start or resume memory pre-copy, as it is | in mirror; in pre-copy if suspended or reduced |
    | 3 | copy reduced: start or resume the next copy (disk, then memory) with redundancy elimination | at the source; in bulk and pre-copy if suspended or not reduced; in mirror |
    | 4 | stop: pause the VM and copy what is left | in pre-copy |
    | 5 | cold: pause the VM and copy all that is missing | before pre-copy |
    | 6 | suspend: the VM's copies stand still | in bulk, mirror and pre-copy if not suspended |

    VMs are independent: any combination of legal verbs is legal. The mask is in the observation and
    in ``action_masks()``; it also forbids *stop* and *cold* where they would pause the VM for more
    than a minute (``config.longest_pause_s``), unless the heuristic proposes it. What is masked
    counts as *continue*. For an absent VM or one that has arrived only 0 is legal.

    ## Observation Space
    `Dict`, of what an operator sees, through the codec that a controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.sites.quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(V, 62)` | per column | per column | each VM: phase, what is left and how long that takes, writing, residuals of the last 6 rounds, downtime if it were stopped now, what the heuristic proposes, changes against the last 3 decisions |
    | `host` | `(16,)` | per column | per column | the line, the deadline, how many VMs wait, copy and have arrived |
    | `present` | `(V,)` | 0 | 1 | 1 where a slot holds a VM; the rows of the others are 0 |
    | `proposed` | `(V,)` | 0 | 6 | verb that the base heuristic (CloudNet's smart stop with redundancy elimination by default) proposes |
    | `mask` | `(V, 7)` | 0 | 1 | 1 where the verb may be chosen |

    ## Rewards
    Minus the weighted sum of four terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `downtime` | fraction of the interval that VMs were paused, weighted by their shares | 10 |
    | `degradation` | fraction of the progress that running VMs lost to replicated writes, copying and redundancy elimination, weighted by shares | 1 |
    | `wan_traffic` | bytes on the wire / what the line could carry in the interval | 0.01 |
    | `away` | part of the VMs' worth lost at the wrong site, weighted by shares; all of it after the deadline | 1 |

    ## Starting State
    A fresh scenario: 3 to 8 VMs at site A, nothing copied, a window of the trace, line and its other
    users drawn at random. Scenario number and split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (720: two hours). Once all VMs
    have arrived nothing costs anything any more.

    ## Arguments
    * ``scenario``: a `ScenarioConfig` with ``sites`` (trace, ranges to draw from, toy scenarios).
    * ``config``: a `TaskConfig` with ``sites`` (heuristic, reward weights, physics).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    task_id = SITES


class SitesVectorEnv(WorldVectorEnv):
    """``gymbal/Sites-v0`` for ``num_envs`` pairs of sites; see `SitesEnv` for the task.

    `WorldVectorEnv` describes the arguments.
    """

    task_id = SITES
