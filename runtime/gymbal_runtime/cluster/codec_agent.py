"""A policy as an agent of clusters: heuristic, codec and network in one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.history import ClusterHistory
from gymbal_runtime.cluster.observation import ClusterObservation
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.telemetry import Bools
from gymbal_runtime.training_range import RangeCheck, TrainingRange, check_measured


class ClusterPolicy(Protocol):
    """Any function from the observation of C clusters to one action each."""

    def __call__(self, observation: ClusterObservation) -> NDArray[np.integer]:
        """Observation to (C,) numbers of legal actions."""
        ...


class ClusterCodecAgent(ClusterAgent):
    """Lets a policy choose the order of each cluster, beside the heuristic it was trained with.

    Args:
        codec: names the heuristic, encodes and decodes.
        policy: observation to action.
        name: how tables and logs call this agent.
        known: what the policy has seen in training; where given, the agent refuses to decide on
            anything else. Evaluation leaves it out, to see what happens then.
    """

    def __init__(
        self,
        codec: ClusterCodec,
        policy: ClusterPolicy,
        name: str = "policy",
        known: TrainingRange | None = None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.policy = policy
        self.heuristic = make_cluster_heuristic(codec.heuristic, **codec.options)
        self._known = known
        self._range_check = RangeCheck(known, codec) if known else None
        self._history: ClusterHistory | None = None

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked clusters (C,), or all of them."""
        self.heuristic.reset(num_worlds, num_vms, worlds)
        known = self._history
        if known is None or worlds is None or known.vm_id.shape[::2] != (num_worlds, num_vms):
            self._history = None
        else:
            self._history = known.forget(worlds)

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """Decide for every cluster of the record.

        The heuristic and the history see every record, also one that the policy is not asked about,
        so that the next decision is as good as if nothing had happened.

        Raises:
            DecisionError: the record or the observation is unlike training (only where ``known``
                was given), the policy failed, or its answer is not a legal action of each cluster.
        """
        base = self.heuristic.act(telemetry)
        if self._history is None or self._history.vm_id.shape != telemetry.shape:
            self._history = self.codec.initial_history(*telemetry.shape)
        observation, self._history = self.codec.encode(telemetry, base, self._history)
        if self._known and self._range_check:
            check_measured(telemetry.hosts, self._known)
            self._range_check(observation)
        action = check_choice(self.policy(observation), observation)
        return self.codec.decode(action, telemetry, base)


def check_choice(answer: object, observation: ClusterObservation) -> NDArray[np.int64]:
    """The answer of a policy as numbers (C,), if each is a legal action of its cluster.

    Raises:
        InvalidActionError: wrong type or shape, not whole numbers, or an action that is masked.
    """
    try:
        given = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"choice is not an array of numbers: {error}") from error
    num_clusters, num_actions = observation["mask"].shape
    if given.shape != (num_clusters,):
        raise InvalidActionError(f"choice has shape {given.shape}, expected ({num_clusters},)")
    inside = (given >= 0) & (given < num_actions) & (given == np.floor(given))
    if not inside.all():
        raise InvalidActionError(f"a choice is not a whole number in 0..{num_actions - 1}")
    choice = given.astype(np.int64)
    if not (observation["mask"][np.arange(num_clusters), choice] > 0).all():
        raise InvalidActionError("a choice is not legal in its cluster")
    return choice
