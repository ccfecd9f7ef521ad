"""A network over a *set* of hosts with sets of VMs, and scores for every pair of VM and host.

Encoders of VMs and hosts are shared; a VM's code sees its host's row, a host's code sees the pooled
codes of its VMs, and the cluster's context is the mean and the maximum over its hosts. Each VM's
code gets scores for what can be done with it where it is, and with each host an additive pair score
``w . relu(query + key)``, so that there may be any number of hosts (Bahdanau et al., "Neural
Machine Translation by Jointly Learning to Align and Translate", ICLR 2015; pointer networks:
Vinyals et al., NeurIPS 2015). Permuting hosts or VMs permutes the scores.
"""

from __future__ import annotations

import torch as th
from torch import nn

from gymbal_agents.masked import HEAD_START, ILLEGAL, ahead, masked
from gymbal_agents.set_parts import begin, pooled

NUM_VERBS = 4
"""What can be done with a VM without naming a host."""


class PairNetwork(nn.Module):
    """Scores (B, 1 + H K (verbs + H)) of a cluster's actions, and its value (B,).

    Action 0 is to do nothing. Then come, for each candidate VM k of each host h, the verbs, and the
    move to each host. A fresh network prefers the proposed action and cares for nothing else, so
    that taking the best action is exactly the heuristic.

    Args:
        num_vm_features: F.
        num_host_features: G.
        num_cluster_features: J.
        width: of the hidden layers.
        num_verbs: actions of a VM that name no host.
        pair_width: of the hidden layer of the pair scores; it is computed for every pair, so it
            decides what the network costs in a large cluster.
        head_start: logit of the proposed action above the others, at first.
    """

    inputs = ("vms", "vm_present", "hosts", "host_present", "cluster", "proposed", "mask")
    """Names of the arguments of `forward`, in order."""

    def __init__(
        self,
        num_vm_features: int,
        num_host_features: int,
        num_cluster_features: int,
        width: int = 64,
        num_verbs: int = NUM_VERBS,
        pair_width: int = 16,
        head_start: float = HEAD_START,
    ) -> None:
        super().__init__()
        self.vm_in = nn.Linear(num_vm_features, width)
        self.vm_host = nn.Linear(num_host_features, width, bias=False)
        self.vm_code = nn.Linear(width, width)
        self.host_in = nn.Linear(num_host_features + 2 * width, width)
        self.host_code = nn.Linear(width, width)
        self.context = nn.Linear(2 * width + num_cluster_features, width)
        self.own_vm = nn.Linear(width, width)
        self.own_host = nn.Linear(width, width, bias=False)
        self.own_context = nn.Linear(width, width, bias=False)
        self.verbs = nn.Linear(width, num_verbs)
        self.query = nn.Linear(width, pair_width)
        self.key = nn.Linear(width, pair_width, bias=False)
        self.pair = nn.Linear(pair_width, 1)
        self.wait = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        begin(self, silent=(self.verbs, self.pair, self.wait))
        self.head_start = nn.Parameter(th.tensor(float(head_start)))

    def forward(
        self,
        vms: th.Tensor,
        vm_present: th.Tensor,
        hosts: th.Tensor,
        host_present: th.Tensor,
        cluster: th.Tensor,
        proposed: th.Tensor,
        mask: th.Tensor | None,
    ) -> tuple[th.Tensor, th.Tensor]:
        """Scores of all actions, far below any other where illegal, and the cluster's value.

        Args:
            vms: (B, H, K, F) candidates of each host.
            vm_present: (B, H, K) 1 where there is one.
            hosts: (B, H, G).
            host_present: (B, H) 1 where a host is.
            cluster: (B, J).
            proposed: (B, 1) index of the heuristic's action.
            mask: (B, A) positive where legal; None: everything is.
        """
        vm, host, context = self._codes(vms, vm_present, hosts, host_present, cluster)
        seen = self.own_host(host) + self.own_context(context).unsqueeze(1)
        own = th.relu(self.own_vm(vm) + seen.unsqueeze(2))
        # (B, H, K, 1, P) + (B, 1, 1, H, P), in place: nothing else here is as large.
        pairs = self.query(own).unsqueeze(3) + self.key(host).unsqueeze(1).unsqueeze(1)
        moves = self.pair(pairs.relu_()).squeeze(4)
        place = th.arange(hosts.shape[1], device=hosts.device)
        itself = (place.unsqueeze(1) == place).unsqueeze(1)  # (H, 1, H)
        moves = th.where(itself, ILLEGAL, moves)
        each = th.cat([self.verbs(own), moves], dim=3)
        scores = th.cat([self.wait(context), each.flatten(1)], dim=1)
        scores = ahead(scores, proposed.squeeze(1), self.head_start)
        return masked(scores, mask), self.value(context).squeeze(-1)

    def _codes(
        self,
        vms: th.Tensor,
        vm_present: th.Tensor,
        hosts: th.Tensor,
        host_present: th.Tensor,
        cluster: th.Tensor,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Codes of VMs (B, H, K, W) and hosts (B, H, W), and the context (B, W)."""
        vm = th.tanh(self.vm_in(vms) + self.vm_host(hosts).unsqueeze(2))
        vm = th.relu(self.vm_code(vm)) * vm_present.unsqueeze(3)
        mean, top = pooled(vm, vm_present)
        host = th.tanh(self.host_in(th.cat([hosts, mean, top], dim=2)))
        host = th.relu(self.host_code(host)) * host_present.unsqueeze(2)
        context = th.cat([*pooled(host, host_present), cluster], dim=1)
        return vm, host, th.relu(self.context(context))
