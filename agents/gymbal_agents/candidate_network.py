"""A network over a *set* of VMs that each choose one of a few candidates.

As `gymbal_agents.pair_network`, with the pairs that a filter has left: a VM is paired with K
candidates of its own, whatever the number of hosts. Encoders are shared by all VMs and all
candidates; a candidate's code sees its VM's row, a VM's code the pooled codes of its candidates,
and the context is the mean and the maximum over the VMs. Permuting VMs permutes the scores, and so
does permuting a VM's candidates.
"""

from __future__ import annotations

import torch as th
from torch import nn

from gymbal_agents.masked import HEAD_START, ahead, masked
from gymbal_agents.set_parts import begin, pooled


class CandidateNetwork(nn.Module):
    """Scores (B, V, K + 1) of what can be chosen for each VM, and the value (B,) of its world.

    Choice 0 is to wait, then come the candidates. A fresh network prefers what is proposed and
    cares for nothing else, so that taking the best choice is exactly the heuristic.

    Args:
        num_vm_features: F.
        num_candidate_features: G.
        num_centre_features: J.
        width: of the hidden layers.
        head_start: score of the proposed choice above the others, at first.
    """

    inputs = ("vms", "candidates", "centre", "present", "offered", "proposed", "mask")
    """Names of the arguments of `forward`, in order."""

    def __init__(
        self,
        num_vm_features: int,
        num_candidate_features: int,
        num_centre_features: int,
        width: int = 64,
        head_start: float = HEAD_START,
    ) -> None:
        super().__init__()
        self.vm_in = nn.Linear(num_vm_features, width)
        self.centre_in = nn.Linear(num_centre_features, width, bias=False)
        self.candidate_in = nn.Linear(num_candidate_features, width)
        self.candidate_vm = nn.Linear(width, width, bias=False)
        self.candidate_code = nn.Linear(width, width)
        self.vm_code = nn.Linear(3 * width, width)
        self.context = nn.Linear(2 * width + num_centre_features, width)
        self.own = nn.Linear(width, width)
        self.own_vm = nn.Linear(width, width, bias=False)
        self.own_context = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1)
        self.wait = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        begin(self, silent=(self.score, self.wait))
        self.head_start = nn.Parameter(th.tensor(float(head_start)))

    def forward(
        self,
        vms: th.Tensor,
        candidates: th.Tensor,
        centre: th.Tensor,
        present: th.Tensor,
        offered: th.Tensor,
        proposed: th.Tensor,
        mask: th.Tensor | None,
    ) -> tuple[th.Tensor, th.Tensor]:
        """Scores of all choices, far below any other where illegal, and the world's value.

        Args:
            vms: (B, V, F).
            candidates: (B, V, K, G) of each VM.
            centre: (B, J).
            present: (B, V) 1 where a VM waits.
            offered: (B, V, K) 1 where there is a candidate.
            proposed: (B, V) index of the heuristic's choice for each.
            mask: (B, V, K + 1) positive where legal; None: everything is.
        """
        row = th.tanh(self.vm_in(vms) + self.centre_in(centre).unsqueeze(1))
        code = th.tanh(self.candidate_in(candidates) + self.candidate_vm(row).unsqueeze(2))
        code = th.relu(self.candidate_code(code)) * offered.unsqueeze(3)
        vm = th.relu(self.vm_code(th.cat([row, *pooled(code, offered)], dim=2)))
        vm = vm * present.unsqueeze(2)
        context = th.relu(self.context(th.cat([*pooled(vm, present), centre], dim=1)))
        seen = self.own_vm(vm) + self.own_context(context).unsqueeze(1)
        each = self.score(th.relu(self.own(code) + seen.unsqueeze(2))).squeeze(3)
        scores = th.cat([self.wait(th.relu(seen)), each], dim=2)
        return masked(ahead(scores, proposed, self.head_start), mask), self.value(context).squeeze(
            -1
        )
