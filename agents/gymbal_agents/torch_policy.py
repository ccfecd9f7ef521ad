"""A policy in training, as the runtime's codec agent can run it: for evaluation before export."""

from __future__ import annotations

import numpy as np
import torch as th
from gymbal_runtime.codec import Observation
from numpy.typing import NDArray

from gymbal_agents.set_network import SetNetwork


class TorchPolicy:
    """Mean action of a set network."""

    def __init__(self, network: SetNetwork) -> None:
        self.network = network

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Observation to (H, V) action."""
        with th.no_grad():
            action, _ = self.network(
                th.as_tensor(observation["vms"]),
                th.as_tensor(observation["host"]),
                th.as_tensor(observation["present"]),
            )
        answer: NDArray[np.float32] = action.numpy()
        return answer
