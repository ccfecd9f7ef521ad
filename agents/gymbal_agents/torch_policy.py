"""A policy in training, as the runtime's codec agents can run it: for evaluation before export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch as th
from numpy.typing import NDArray

from gymbal_agents.candidate_network import CandidateNetwork
from gymbal_agents.masked_learner import load_learner
from gymbal_agents.masked_policy import MaskedPolicy
from gymbal_agents.pair_network import PairNetwork
from gymbal_agents.set_network import ChoiceNetwork, SetNetwork
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_runtime.signature import Arrays

Network = SetNetwork | PairNetwork | ChoiceNetwork | CandidateNetwork


class TorchPolicy:
    """Mean action of a set network, or the scores of one that chooses."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def __call__(self, observation: Arrays) -> NDArray[np.float32]:
        """Observation to answer, as `gymbal_runtime.policy.Policy` says."""
        with th.no_grad():
            answer, _ = self.network(*(th.as_tensor(observation[k]) for k in self.network.inputs))
        array: NDArray[np.float32] = answer.numpy()
        return array


def network_of(path: Path) -> Network:
    """The network of a stored learner."""
    policy = load_learner(path).policy
    assert isinstance(policy, SetActorCriticPolicy | MaskedPolicy)
    return policy.network
