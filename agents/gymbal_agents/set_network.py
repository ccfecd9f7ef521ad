"""A network over a *set* of VMs: any number of them, and permuting them permutes its answers.

What is said of VMs and their host holds for any rows of a whole: also for the hosts of a data
centre. Each VM's row and the host's row go through a shared encoder; the host's context is the mean
and the maximum over the VMs that are present; each VM's answer is a shared head on its own code and
the context (Zaheer et al., Deep Sets, 2017).
"""

from __future__ import annotations

import torch as th
from torch import nn

from gymbal_agents.masked import HEAD_START, ahead, masked
from gymbal_agents.set_parts import begin, pooled

VMS_OF_HOST = ("vms", "host", "present")
HOSTS_OF_CENTRE = ("hosts", "centre", "present")
HOSTS_OF_CLUSTER = ("hosts", "cluster", "present")
"""Names of rows, of what they belong to, and of what says which rows are there."""
KINDS_OF_ROWS = (VMS_OF_HOST, HOSTS_OF_CENTRE, HOSTS_OF_CLUSTER)


class SetNetwork(nn.Module):
    """Actions (B, V), or (B, V, A) where A is not 1, and value (B,) of a batch of hosts.

    A fresh network answers 0, which is exactly the heuristic: training starts from it.

    Args:
        num_vm_features: F.
        num_host_features: G.
        width: of every hidden layer.
        num_actions: A, numbers that each VM gets.
        inputs: names of the arguments of `forward`, in order, in the observation.
    """

    def __init__(
        self,
        num_vm_features: int,
        num_host_features: int,
        width: int = 64,
        num_actions: int = 1,
        inputs: tuple[str, ...] = VMS_OF_HOST,
    ) -> None:
        super().__init__()
        self.num_actions, self.inputs = num_actions, inputs
        self.vm_in = nn.Linear(num_vm_features, width)
        self.host_in = nn.Linear(num_host_features, width, bias=False)
        self.vm_code = nn.Linear(width, width)
        self.context = nn.Linear(2 * width + num_host_features, width)
        self.head_own = nn.Linear(width, width)
        self.head_context = nn.Linear(width, width, bias=False)
        self.head_out = nn.Linear(width, num_actions)
        self.value = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        begin(self, silent=(self.head_out,))

    def forward(
        self, vms: th.Tensor, host: th.Tensor, present: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor]:
        """Mean action of each VM, 0 where absent, and the host's value.

        Args:
            vms: (B, V, F).
            host: (B, G).
            present: (B, V) 1 where a VM is.
        """
        score, value = self.score(vms, host, present)
        if self.num_actions == 1:
            return th.tanh(score.squeeze(-1)) * present, value
        return th.tanh(score) * present.unsqueeze(-1), value

    def score(
        self, vms: th.Tensor, host: th.Tensor, present: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor]:
        """Unbounded numbers (B, V, A) of each VM, and the host's value (B,); see `forward`."""
        hidden, context = self.hidden(vms, host, present)
        return self.head_out(hidden), self.value(context).squeeze(-1)

    def hidden(
        self, vms: th.Tensor, host: th.Tensor, present: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor]:
        """What the last layer sees of each VM (B, V, W), and the host's context (B, W)."""
        here = present.unsqueeze(-1)
        code = th.tanh(self.vm_in(vms) + self.host_in(host).unsqueeze(1))
        code = th.relu(self.vm_code(code))
        mean, top = pooled(code * here, present)
        context = th.relu(self.context(th.cat([mean, top, host], dim=-1)))
        return th.relu(self.head_own(code) + self.head_context(context).unsqueeze(1)), context


class ChoiceNetwork(nn.Module):
    """Scores (B, V, A) of the choices of each VM, and the value (B,) of its world.

    A fresh network prefers what is proposed for each VM and cares for nothing else, so that taking
    the best is exactly the heuristic.

    Args:
        num_vm_features: F.
        num_host_features: G.
        num_choices: A.
        width: of every hidden layer.
        head_start: score of the proposed choice above the others, at first.
        idle_head_start: the same where what is proposed is to do nothing (choice 0). Most VMs wait
            most of the time, and chances to disturb them add up; None: ``head_start``.
    """

    inputs = ("vms", "host", "present", "proposed", "mask")
    """Names of the arguments of `forward`, in order."""

    def __init__(
        self,
        num_vm_features: int,
        num_host_features: int,
        num_choices: int,
        width: int = 64,
        head_start: float = HEAD_START,
        idle_head_start: float | None = None,
    ) -> None:
        super().__init__()
        self.rows = SetNetwork(num_vm_features, num_host_features, width, num_choices)
        idle = head_start if idle_head_start is None else idle_head_start
        self.head_start = nn.Parameter(th.tensor(float(head_start)))
        self.idle_head_start = nn.Parameter(th.tensor(float(idle)))

    def forward(
        self,
        vms: th.Tensor,
        host: th.Tensor,
        present: th.Tensor,
        proposed: th.Tensor,
        mask: th.Tensor | None,
    ) -> tuple[th.Tensor, th.Tensor]:
        """Scores of all choices, far below any other where illegal, and the world's value.

        Args:
            vms: (B, V, F).
            host: (B, G).
            present: (B, V) 1 where a VM is.
            proposed: (B, V) index of the heuristic's choice for each.
            mask: (B, V, A) positive where legal; None: everything is.
        """
        score, value = self.rows.score(vms, host, present)
        first = th.where(proposed > 0, self.head_start, self.idle_head_start).unsqueeze(-1)
        return masked(ahead(score, proposed, first), mask), value
