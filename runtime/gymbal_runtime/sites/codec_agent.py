"""A policy as an agent of moves between sites: heuristic, codec and network in one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.sites.agent import SitesAgent
from gymbal_runtime.sites.codec import SitesCodec, SitesObservation
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.sites.orders import NUM_VERBS, SitesOrders
from gymbal_runtime.sites.telemetry import SitesTelemetry
from gymbal_runtime.telemetry import Bools
from gymbal_runtime.training_range import RangeCheck, TrainingRange


class SitesPolicy(Protocol):
    """Any function from the observation of B worlds to a verb for each VM."""

    def __call__(self, observation: SitesObservation) -> NDArray[np.integer]:
        """Observation to (B, V) legal verbs."""
        ...


class SitesCodecAgent(SitesAgent):
    """Lets a policy choose each VM's verb, beside the heuristic it was trained with.

    Args:
        codec: names the heuristic, encodes and decodes.
        policy: observation to verbs.
        name: how tables and logs call this agent.
        known: what the policy has seen in training; where given, the agent refuses to decide on
            anything else. Evaluation leaves it out, to see what happens then.
    """

    def __init__(
        self,
        codec: SitesCodec,
        policy: SitesPolicy,
        name: str = "policy",
        known: TrainingRange | None = None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.policy = policy
        self.heuristic = make_sites_heuristic(codec.heuristic, **codec.options)
        self._range_check = RangeCheck(known, codec) if known else None
        self._shape = (0, 0)
        self._history = codec.initial_history(0, 0)

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked worlds (B,), or all of them, and expect (num_worlds, num_vms)."""
        self.heuristic.reset(num_worlds, num_vms, worlds)
        if worlds is None or self._shape != (num_worlds, num_vms):
            self._shape = (num_worlds, num_vms)
            self._history = self.codec.initial_history(num_worlds, num_vms)
        else:
            self._history = self._history.forget(worlds)

    def act(self, telemetry: SitesTelemetry) -> SitesOrders:
        """Decide for every world of the record.

        Raises:
            ValueError: the record has another shape than `reset` announced.
            DecisionError: the observation is unlike training (only where ``known`` was given), the
                policy failed, or its answer is not a legal verb for each VM.
        """
        if telemetry.present.shape != self._shape:
            raise ValueError(f"record is {telemetry.present.shape}, reset announced {self._shape}")
        base = self.heuristic.act(telemetry)
        observation, self._history = self.codec.encode(telemetry, base, self._history)
        if self._range_check:
            self._range_check(observation)
        verbs = check_verbs(self.policy(observation), observation)
        return self.codec.decode(verbs, telemetry, base)


def check_verbs(answer: object, observation: SitesObservation) -> NDArray[np.int64]:
    """The answer of a policy as verbs (B, V), if each is legal for its VM.

    Raises:
        InvalidActionError: wrong type or shape, not whole numbers, or a verb that is masked.
    """
    try:
        given = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"choice is not an array of numbers: {error}") from error
    expected = observation["present"].shape
    if given.shape != expected:
        raise InvalidActionError(f"choice has shape {given.shape}, expected {expected}")
    if not ((given >= 0) & (given < NUM_VERBS) & (given == np.floor(given))).all():
        raise InvalidActionError(f"a choice is not a whole number in 0..{NUM_VERBS - 1}")
    verbs = given.astype(np.int64)
    allowed = np.take_along_axis(observation["mask"], verbs[..., None], axis=2)[..., 0] > 0
    if not allowed.all():
        raise InvalidActionError("a choice is not legal for its VM")
    return verbs
