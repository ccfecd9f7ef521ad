"""Networks that score legal choices, as the policy of sb3-contrib's MaskablePPO.

One masked log-softmax over all rows of a batch is the whole distribution: `gymbal_agents.masked`
says what this saves, ``benchmarks/masked_ppo.py`` how much.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule

from gymbal_agents.candidate_network import CandidateNetwork
from gymbal_agents.masked import HEAD_START, entropy, log_prob_of, sample
from gymbal_agents.pair_network import PairNetwork
from gymbal_agents.set_network import ChoiceNetwork

Masks = NDArray[Any] | th.Tensor | None


class MaskedPolicy(MaskableActorCriticPolicy):
    """Actor-critic policy that chooses one legal action in each of R rows.

    The network follows from the observation: with the key ``hosts`` a `PairNetwork`, one row for
    the whole cluster; with ``candidates`` a `CandidateNetwork`, otherwise a `ChoiceNetwork`, one
    row for each VM. Rows without a VM have no
    say: they add nothing to the log-probability or the entropy.

    Args:
        observation_space: with a key for each of the network's inputs.
        action_space: (A,) choices of a cluster, or A choices of each of R VMs.
        lr_schedule: learning rate by remaining progress.
        width: of the hidden layers.
        head_start: score of the heuristic's proposal above the others, at first.
        idle_head_start: the same for rows where nothing is proposed; None: ``head_start``.
        **kwargs: for `MaskableActorCriticPolicy`.

    Raises:
        ValueError: VMs have different numbers of choices.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete | spaces.MultiDiscrete,
        lr_schedule: Schedule,
        width: int = 64,
        head_start: float = HEAD_START,
        idle_head_start: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.width, self.initial_head_start = width, head_start
        self.initial_idle_head_start = idle_head_start
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        self.network = make_network(
            self.observation_space,
            self.action_space,
            self.width,
            self.initial_head_start,
            self.initial_idle_head_start,
        )
        options: dict[str, Any] = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.parameters(), **options)

    def forward(
        self, obs: PyTorchObs, deterministic: bool = False, action_masks: Masks = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions (B,) or (B, R), values (B, 1) and log-probabilities (B,).

        Args:
            obs: the observation.
            deterministic: take the best action instead of drawing one.
            action_masks: legal actions, any shape of as many numbers as there are scores; the
                observation's own where None.
        """
        log_prob, value, present = self._run(obs, action_masks)
        actions = log_prob.argmax(-1) if deterministic else sample(log_prob)
        taken = (log_prob_of(log_prob, actions) * present).sum(1)
        return actions.reshape(-1, *self._action_shape), value.unsqueeze(-1), taken

    def evaluate_actions(
        self, obs: PyTorchObs, actions: th.Tensor, action_masks: Masks = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Values, log-probabilities and entropies of actions taken earlier."""
        log_prob, value, present = self._run(obs, action_masks)
        taken = log_prob_of(log_prob, actions.long().reshape(log_prob.shape[:2]))
        uncertain = (entropy(log_prob) * present).sum(1)
        return value.unsqueeze(-1), (taken * present).sum(1), uncertain

    def predict_values(self, obs: PyTorchObs) -> th.Tensor:
        """Values (B, 1)."""
        return self._scores(obs, None)[1].unsqueeze(-1)

    def _predict(
        self, observation: PyTorchObs, deterministic: bool = False, action_masks: Masks = None
    ) -> th.Tensor:
        return self.forward(observation, deterministic, action_masks)[0]

    def get_distribution(
        self, obs: PyTorchObs, action_masks: NDArray[Any] | None = None
    ) -> MaskableDistribution:
        """Not offered: rows without a VM have no distribution of their own.

        Raises:
            TypeError: always; use `evaluate_actions`.
        """
        raise TypeError("a masked policy has no distribution over all rows; use evaluate_actions")

    @property
    def _action_shape(self) -> tuple[int, ...]:
        shape = self.action_space.shape
        assert shape is not None
        return shape

    def _scores(self, obs: PyTorchObs, masks: Masks) -> tuple[th.Tensor, th.Tensor]:
        assert isinstance(obs, dict)
        *inputs, own = (obs[name] for name in self.network.inputs)
        if masks is not None:
            own = th.as_tensor(masks, device=own.device).reshape(own.shape)
        scores, value = self.network(*inputs, own)
        return scores, value

    def _run(self, obs: PyTorchObs, masks: Masks) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Log-probabilities (B, R, A), values (B,) and which rows count (B, R)."""
        assert isinstance(obs, dict)
        scores, value = self._scores(obs, masks)
        if isinstance(self.network, PairNetwork):
            return th.log_softmax(scores, -1).unsqueeze(1), value, th.ones_like(scores[:, :1])
        return th.log_softmax(scores, -1), value, obs["present"]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        data.update(
            width=self.width,
            head_start=self.initial_head_start,
            idle_head_start=self.initial_idle_head_start,
        )
        return data


def make_network(
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    width: int,
    head_start: float = HEAD_START,
    idle_head_start: float | None = None,
) -> PairNetwork | ChoiceNetwork | CandidateNetwork:
    """A fresh network for these spaces.

    Raises:
        ValueError: VMs have different numbers of choices.
    """
    assert isinstance(observation_space, spaces.Dict)
    features = {name: part.shape[-1] for name, part in observation_space.items() if part.shape}
    if "hosts" in features:
        return PairNetwork(
            features["vms"], features["hosts"], features["cluster"], width, head_start=head_start
        )
    if "candidates" in features:
        vms, candidates = features["vms"], features["candidates"]
        return CandidateNetwork(vms, candidates, features["centre"], width, head_start)
    assert isinstance(action_space, spaces.MultiDiscrete)
    choices = np.unique(action_space.nvec)
    if len(choices) != 1:
        raise ValueError(f"every VM needs the same number of choices, not {action_space.nvec}")
    return ChoiceNetwork(
        features["vms"], features["host"], int(choices[0]), width, head_start, idle_head_start
    )
