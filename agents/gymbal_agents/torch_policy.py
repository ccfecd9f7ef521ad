"""A policy in training, as the runtime's codec agent can run it: for evaluation before export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3 import PPO

from gymbal_agents.set_network import SetNetwork
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_runtime.codec import Observation


class TorchPolicy:
    """Mean action of a set network."""

    def __init__(self, network: SetNetwork) -> None:
        self.network = network

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Observation to (H, V) or (H, V, A) action."""
        with th.no_grad():
            action, _ = self.network(
                th.as_tensor(observation["vms"]),
                th.as_tensor(observation["host"]),
                th.as_tensor(observation["present"]),
            )
        answer: NDArray[np.float32] = action.numpy()
        return answer


def network_of(path: Path) -> SetNetwork:
    """The network of a stored learner."""
    policy = PPO.load(path, device="cpu").policy
    assert isinstance(policy, SetActorCriticPolicy)
    return policy.network
