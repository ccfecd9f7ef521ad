"""What belongs to a task whatever the scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gymbal_envs.simulator.params import Clock, PhysicsParams, SensorParams
from gymbal_envs.tasks.reward import RewardWeights
from gymbal_runtime.codec import Codec, default_codec
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, TASKS, check_task

_CONTROL_INTERVAL_S = {BALLOON: 10.0, CACHE: 5.0, HOST: 10.0}
_SENSORS = {
    BALLOON: SensorParams(),
    CACHE: SensorParams(delay_s=0.0),  # counters are read just before the decision
    HOST: SensorParams(trap_s=2e-6),  # here monitors are a decision, so they cost what they trap
}


@dataclass(frozen=True)
class TaskConfig:
    """One task.

    Attributes:
        id: which.
        heuristic: the action is a correction to this one.
        options: of the heuristic.
        weights: of the reward's terms.
        physics: constants and clocks.
        guard: limits that every command passes, as it does on a real host.

    Raises:
        ValueError: there is no such task, or the heuristic decides nothing in it.
    """

    id: str = BALLOON
    heuristic: str = field(default_factory=lambda: default_codec().heuristic)
    options: dict[str, Any] = field(default_factory=lambda: default_codec().options)
    weights: RewardWeights = field(default_factory=RewardWeights)
    physics: PhysicsParams = field(default_factory=PhysicsParams)
    guard: GuardLimits = field(default_factory=GuardLimits)

    def __post_init__(self) -> None:
        check_task(self.id)
        # A whole host may be left to the heuristic of one of its resources: for comparison.
        known = [n for t in TASKS if t == self.id or self.id == HOST for n in heuristics_of(t)]
        if self.heuristic not in known:
            raise ValueError(
                f"task.heuristic {self.heuristic!r} decides nothing in {self.id}; "
                f"there are {', '.join(known)}"
            )

    @property
    def codec(self) -> Codec:
        """How telemetry is encoded and actions are decoded."""
        return Codec(self.id, self.heuristic, self.options)

    def base_agent(self) -> Any:
        """The heuristic that actions correct, fresh."""
        return make_heuristic(self.heuristic, **self.options)


def default_task(task: str = BALLOON) -> TaskConfig:
    """A task as it is registered with Gymnasium.

    Raises:
        ValueError: there is no such task.
    """
    codec = default_codec(task)
    physics = PhysicsParams(
        clock=Clock(control_interval_s=_CONTROL_INTERVAL_S[task]), sensors=_SENSORS[task]
    )
    return TaskConfig(task, codec.heuristic, codec.options, physics=physics)
