"""What every task does with a batch of worlds: episodes, proposals, observations, rewards.

The kinds of worlds differ in their engine, in what they report and in what they can be told; how
episodes begin and end, when the base heuristic is asked and what a learner sees is the same, and
stands here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.tasks.config import TaskConfig, default_task
from gymbal_envs.tasks.recording import Viewer
from gymbal_envs.tasks.reward import total_reward

Floats = NDArray[np.float64]
Seen = dict[str, NDArray[np.float32]]
"""An observation: arrays, those of a batch with a leading axis of worlds."""
ScenarioSource = Callable[[int], Any]
"""Scenario by number."""

TelemetryT = TypeVar("TelemetryT")
DecisionT = TypeVar("DecisionT")


@dataclass(frozen=True, slots=True)
class Transition:
    """What one step of B worlds gives."""

    observation: Any  # after the step, and after the reset where an episode ended
    reward: Floats  # (B,)
    terms: dict[str, Floats]  # (B,) each, unweighted
    ended: NDArray[np.bool_]  # (B,) the episode's time is up (there is no other end)
    final: Any | None  # before the reset, all worlds; None where no episode ended
    host_energy_j: Floats | None = None  # (B, H) in the interval; None: hosts have no power here


@dataclass(frozen=True)
class WorldShape:
    """How large the worlds are that scenarios are loaded into.

    Attributes:
        num_vms: VM slots of a host, V.
        num_knots: demand knots, K.
        episode_steps: decisions of one scenario, T.
        num_hosts: hosts of a cluster, H; 1 where a world is one host.
    """

    num_vms: int
    num_knots: int
    episode_steps: int
    num_hosts: int = 1


class Worlds(ABC, Generic[TelemetryT, DecisionT]):
    """B worlds that take actions or decisions.

    Args:
        source: scenario by number; world w plays numbers w, w + B, w + 2B, ...
        num_worlds: B.
        shape: of each.
        config: the task; the one that such worlds are for, with its defaults, where None.
        num_threads: of the engine.
        encode: False leaves observations empty, for worlds that nobody learns from.
        propose: False asks no heuristic either: such worlds take decisions only.

    Attributes:
        TASK: id of the task that such worlds are for.
    """

    TASK: ClassVar[str]

    telemetry: TelemetryT
    base: DecisionT
    engine: Any  # that plays them, and the codec of the task: subclasses say which
    codec: Any

    def __init__(
        self,
        source: ScenarioSource,
        num_worlds: int,
        shape: WorldShape,
        config: TaskConfig | None = None,
        num_threads: int = 1,
        encode: bool = True,
        propose: bool = True,
    ) -> None:
        self.config, self.source = config or default_task(self.TASK), source
        self.encode, self.propose = encode and propose, propose
        self.num_worlds, self.shape = num_worlds, shape
        self.num_vms, self.num_hosts = shape.num_vms, shape.num_hosts
        self.episode_steps = shape.episode_steps
        self.base_agent = self.config.base_agent()
        self.steps = np.zeros(num_worlds, dtype=np.int64)
        self.episodes = np.arange(num_worlds, dtype=np.int64)
        self.codec = self.config.codec
        self._open(num_threads)
        self._clear()

    # What kinds of worlds differ in.

    @abstractmethod
    def _open(self, num_threads: int) -> None:
        """Make the engine, and whatever else takes part."""

    @staticmethod
    @abstractmethod
    def spaces_of(config: TaskConfig, shape: WorldShape) -> tuple[spaces.Dict, spaces.Space[Any]]:
        """Observation and action space of one world."""

    @abstractmethod
    def decision(self, action: NDArray[Any]) -> DecisionT:
        """What actions (B, ...) say in the present state."""

    @abstractmethod
    def measured(self) -> dict[str, Floats]:
        """What the reward does not say about the last interval, (B,) each."""

    def host_energy_j(self) -> Floats | None:
        """J that each host took in the last interval, (B, H); None: nothing is known of power."""
        return None

    @abstractmethod
    def viewer(self) -> Viewer:
        """Somebody who watches world 0 from now on."""

    @abstractmethod
    def _carry_out(self, decision: DecisionT) -> None: ...

    @abstractmethod
    def _terms(self) -> dict[str, Floats]: ...

    @abstractmethod
    def _new_history(self) -> Any: ...

    # What they have in common.

    @property
    def observation_space(self) -> spaces.Dict:
        """Of one world."""
        return self.spaces_of(self.config, self.shape)[0]

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of one world."""
        return self.spaces_of(self.config, self.shape)[1]

    def _load(self, which: Sequence[int], scenarios: Sequence[Any]) -> None:
        self.engine.load(which, scenarios)

    def _read(self) -> TelemetryT:
        telemetry: TelemetryT = self.engine.telemetry()
        return telemetry

    def _encoded(self) -> tuple[Any, Any]:
        """Observation and new history from the present telemetry and proposal."""
        seen: tuple[Any, Any] = self.codec.encode(self.telemetry, self.base, self.history)
        return seen

    def _reset_agents(self, ended: NDArray[np.bool_] | None = None) -> None:
        """Agents forget the worlds that are marked (B,), or all of them."""
        self.base_agent.reset(self.num_worlds, self.num_vms, ended)

    def _clear(self) -> None:
        self._reset_agents()
        self.history: Any = self._new_history()
        self._remembered = self.history

    def reset(self, first_episode: int = 0, stagger: int = 1) -> Any:
        """Start every world on a new scenario.

        Args:
            first_episode: number of world 0's scenario.
            stagger: groups of worlds whose first episodes end at different times, so that a learner
                does not see all of them at the same hour.
        """
        self.episodes = first_episode + np.arange(self.num_worlds, dtype=np.int64)
        self._clear()
        self._load(range(self.num_worlds), [self.source(int(i)) for i in self.episodes])
        group = np.arange(self.num_worlds) % max(stagger, 1)
        self.steps = group * self.episode_steps // max(stagger, 1)
        return self._observe()

    def step(self, action: NDArray[Any]) -> Transition:
        """Carry out actions (B, ...)."""
        return self.apply(self.decision(action))

    def step_base(self) -> Transition:
        """Do what the base heuristic proposes."""
        return self.apply(self.base)

    def apply(self, decision: DecisionT) -> Transition:
        """Carry out a decision, whoever made it."""
        self._carry_out(decision)
        terms, energy = self._terms(), self.host_energy_j()
        self.steps += 1
        ended = self.steps >= self.episode_steps
        observation = self._observe()
        final = None
        if ended.any():
            final = observation
            observation = self._restart(np.flatnonzero(ended), ended)
        reward = total_reward(terms, self.config.weights)
        return Transition(observation, reward, terms, ended, final, energy)

    def _restart(self, which: NDArray[np.int64], ended: NDArray[np.bool_]) -> Any:
        self.episodes[which] += self.num_worlds
        self.steps[which] = 0
        self._load([int(w) for w in which], [self.source(int(self.episodes[w])) for w in which])
        self._reset_agents(ended)
        # Observe again from the same memory: for worlds that go on this repeats the same answer.
        self.history = self._remembered.forget(ended)
        return self._observe()

    def _observe(self) -> Any:
        self._remembered = self.history
        self.telemetry = self._read()
        if self.propose:
            self.base = self.base_agent.act(self.telemetry)
        if not self.encode:
            return {name: np.zeros(0, np.float32) for name in self.codec.signature.inputs}
        observation, self.history = self._encoded()
        return observation
