"""The set network as a stable-baselines3 policy: a Gaussian around each row's mean corrections.

Rows are the VMs of a host, or the hosts of a cluster or data centre.
"""

from __future__ import annotations

import math
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

from gymbal_agents.set_network import KINDS_OF_ROWS, SetNetwork

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class SetActorCriticPolicy(ActorCriticPolicy):
    """Actor-critic policy over a set of VMs.

    Slots without a VM have no say: they add nothing to the log-probability or the entropy.

    Args:
        observation_space: with the keys of one of `KINDS_OF_ROWS`.
        action_space: corrections of each slot, (V,) or (V, A).
        lr_schedule: learning rate by remaining progress.
        width: of the hidden layers.
        log_std_init: of the exploration, the same for all VMs and at first for all actions.
        **kwargs: for `ActorCriticPolicy`.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        width: int = 64,
        log_std_init: float = -1.5,
        **kwargs: Any,
    ) -> None:
        self.width = width
        super().__init__(
            observation_space, action_space, lr_schedule, log_std_init=log_std_init, **kwargs
        )

    def _build(self, lr_schedule: Schedule) -> None:
        space = self.observation_space
        assert isinstance(space, spaces.Dict)
        inputs = next(kind for kind in KINDS_OF_ROWS if set(kind) == set(space))
        rows, whole, _ = (int(space[name].shape[-1]) for name in inputs)  # type: ignore[index]
        axes = self.action_space.shape[1:]  # type: ignore[index]
        self.network = SetNetwork(rows, whole, self.width, math.prod(axes), inputs)
        self.log_std = nn.Parameter(th.full(axes, float(self.log_std_init)))
        options: dict[str, Any] = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.parameters(), **options)

    def forward(
        self, obs: PyTorchObs, deterministic: bool = False
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions (B, V) or (B, V, A), values (B, 1) and log-probabilities (B,)."""
        mean, value, present = self._run(obs)
        noise = th.zeros_like(mean) if deterministic else th.randn_like(mean)
        actions = mean + noise * self.log_std.exp()
        return actions, value.unsqueeze(-1), self._log_prob(actions, mean, present)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Values, log-probabilities and entropies of actions taken earlier."""
        mean, value, present = self._run(obs)
        entropy = (self.log_std + 0.5 + _LOG_SQRT_2PI).sum() * present.sum(1)
        return value.unsqueeze(-1), self._log_prob(actions, mean, present), entropy

    def predict_values(self, obs: PyTorchObs) -> th.Tensor:
        """Values (B, 1)."""
        return self._run(obs)[1].unsqueeze(-1)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        return self.forward(observation, deterministic)[0]

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """Not offered: slots without a VM have no distribution of their own.

        Raises:
            TypeError: always; use `evaluate_actions`.
        """
        raise TypeError("a set policy has no distribution over all slots; use evaluate_actions")

    def _run(self, obs: PyTorchObs) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        assert isinstance(obs, dict)
        rows, whole, present = (obs[name] for name in self.network.inputs)
        mean, value = self.network(rows, whole, present)
        return mean, value, present

    def _log_prob(self, actions: th.Tensor, mean: th.Tensor, present: th.Tensor) -> th.Tensor:
        # The learner's buffer keeps actions flat.
        scaled = (actions.reshape(mean.shape) - mean) * (-self.log_std).exp()
        each = -0.5 * scaled.pow(2) - self.log_std - _LOG_SQRT_2PI
        if each.dim() == 3:
            each = each.sum(2)
        return (each * present).sum(1)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        data.update(width=self.width, log_std_init=self.log_std_init)
        return data
