"""A task itself, for B hosts at once: every environment class is a thin coat over this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.reward import reward_terms, total_reward
from gymbal_runtime.agent import Agent
from gymbal_runtime.codec import Observation
from gymbal_runtime.command import Command
from gymbal_runtime.guard import guard
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.observation import History
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
ScenarioSource = Callable[[int], Scenario]


@dataclass(frozen=True, slots=True)
class Transition:
    """What one step of B worlds gives."""

    observation: Observation  # after the step, and after the reset where an episode ended
    reward: Floats  # (B,)
    terms: dict[str, Floats]  # (B,) each, unweighted
    ended: NDArray[np.bool_]  # (B,) the episode's time is up (there is no other end)
    final: Observation | None  # before the reset, all worlds; None where no episode ended


_NOTHING = Observation(
    vms=np.zeros(0, np.float32), host=np.zeros(0, np.float32), present=np.zeros(0, np.float32)
)


class HostWorlds:
    """B hosts whose resources are divided by actions (corrections) or by commands.

    Args:
        source: scenario by number; world w plays numbers w, w + B, w + 2B, ...
        num_worlds: B.
        episode_steps: decisions in an episode.
        num_vms: V, slots; scenarios may have fewer.
        num_knots: demand knots of the longest scenario.
        config: the task; `gymbal/Balloon-v0` with its defaults where None.
        num_threads: of the engine.
        encode: False leaves observations empty, for hosts that nobody learns from.
        propose: False asks no heuristic either: such hosts take commands only.
    """

    def __init__(
        self,
        source: ScenarioSource,
        num_worlds: int,
        episode_steps: int,
        num_vms: int,
        num_knots: int,
        config: TaskConfig | None = None,
        num_threads: int = 1,
        encode: bool = True,
        propose: bool = True,
    ) -> None:
        self.config = config or TaskConfig()
        self.source, self.encode, self.propose = source, encode and propose, propose
        self.num_worlds, self.num_vms = num_worlds, num_vms
        self.episode_steps = episode_steps
        self.engine = Engine(num_worlds, num_vms, num_knots, self.config.physics, num_threads)
        self.codec = codec = self.config.codec
        self.base_agent: Agent = make_heuristic(codec.heuristic, **codec.options)
        self.telemetry: Telemetry
        self.base: Command
        self.history: History
        self.steps = np.zeros(num_worlds, dtype=np.int64)
        self.episodes = np.arange(num_worlds, dtype=np.int64)
        self._clear()

    def _clear(self) -> None:
        self.base_agent.reset(self.num_worlds, self.num_vms)
        self.history = self.codec.initial_history(self.num_worlds, self.num_vms)
        self._remembered = self.history

    def reset(self, first_episode: int = 0, stagger: int = 1) -> Observation:
        """Start every world on a new scenario.

        Args:
            first_episode: number of world 0's scenario.
            stagger: groups of worlds whose first episodes end at different times, so that a learner
                does not see all hosts at the same hour.
        """
        self.episodes = first_episode + np.arange(self.num_worlds, dtype=np.int64)
        self._clear()
        self.engine.load(range(self.num_worlds), [self.source(int(i)) for i in self.episodes])
        group = np.arange(self.num_worlds) % max(stagger, 1)
        self.steps = group * self.episode_steps // max(stagger, 1)
        return self._observe()

    def step(self, action: NDArray[Any]) -> Transition:
        """Apply corrections (B, V) or (B, V, A) in [-1, 1] to the heuristic's command."""
        return self.apply(self.codec.decode(action, self.telemetry, self.base))

    def apply(self, command: Command) -> Transition:
        """Apply a command, whoever made it, through the guard."""
        allowed, _ = guard(command, self.telemetry, self.config.guard)
        self.engine.step(allowed)
        terms = reward_terms(self.engine, self.config.id)
        self.steps += 1
        ended = self.steps >= self.episode_steps
        observation = self._observe()
        final = None
        if ended.any():
            final = observation
            observation = self._restart(np.flatnonzero(ended), ended)
        reward = total_reward(terms, self.config.weights)
        return Transition(observation, reward, terms, ended, final)

    def _restart(self, which: NDArray[np.int64], ended: NDArray[np.bool_]) -> Observation:
        self.episodes[which] += self.num_worlds
        self.steps[which] = 0
        self.engine.load(
            [int(w) for w in which], [self.source(int(self.episodes[w])) for w in which]
        )
        self.base_agent.reset(self.num_worlds, self.num_vms, ended)
        # Observe again from the same memory: for worlds that go on this repeats the same answer.
        self.history = self._remembered.forget(ended)
        return self._observe()

    def _observe(self) -> Observation:
        self._remembered = self.history
        self.telemetry = self.engine.telemetry()
        if self.propose:
            self.base = self.base_agent.act(self.telemetry)
        if not self.encode:
            return _NOTHING
        observation, self.history = self.codec.encode(self.telemetry, self.base, self.history)
        return observation
