"""What the Gymnasium environments of all tasks have in common: all but their documentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.source import (
    ScenarioConfig,
    ScenarioSource,
    default_scenario,
    make_source,
)
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.tasks.batch import Seen, Worlds
from gymbal_envs.tasks.config import TaskConfig, default_task
from gymbal_envs.tasks.open import open_worlds, shape_of, spaces_of
from gymbal_envs.tasks.recording import Viewer


class WorldEnv(gymnasium.Env[Seen, Any]):
    """One world of the simulator, as a task of Gymnasium; its subclasses are the tasks.

    Args:
        scenario: where scenarios come from; the task's own by default.
        config: the task; its defaults where None.
        split: train, validation or test.
        episode_steps: decisions in an episode; by default the scenario's length.
        render_mode: ``rgb_array`` or None.

    Raises:
        ValueError: the configuration is of another task, or there is no such render mode.
    """

    task_id: ClassVar[str]

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        scenario: ScenarioConfig | None = None,
        config: TaskConfig | None = None,
        split: SplitName = "train",
        episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be rgb_array or None, not {render_mode!r}")
        self.scenario = scenario or default_scenario(self.task_id)
        self.config = config or default_task(self.task_id)
        check_id(self.config, self.task_id)
        self.split: SplitName = split
        self.render_mode = render_mode
        shape = shape_of(self.scenario, self.config)
        self.shape = replace(shape, episode_steps=episode_steps or shape.episode_steps)
        self.observation_space, self.action_space = spaces_of(self.config, self.shape)  # type: ignore[assignment]
        self.worlds: Worlds[Any, Any] | None = None
        self._viewer: Viewer | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Start a new scenario.

        Args:
            seed: of the draw of this and all later scenarios.
            options: ``{"scenario": n}`` plays scenario number n of the seed.
        """
        super().reset(seed=seed)
        if self.worlds is None or seed is not None:
            drawn = seed if seed is not None else int(self.np_random.integers(2**31))
            source = make_source(self.scenario, self.split, drawn)
            self.worlds = self._new_worlds(source)
            self._next = 0
        self._next = int((options or {}).get("scenario", self._next))
        observation = self.worlds.reset(self._next)
        self._next += 1
        if self.render_mode == "rgb_array":
            self._viewer = self.worlds.viewer()
        self._running = True
        return _single(observation), {"scenario": self._next - 1, "split": self.split}

    def step(self, action: NDArray[np.float32]) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Apply the correction and let one control interval pass.

        ``info`` has the ``reward_terms``, and ``host_energy_j`` (H,) where hosts draw power.

        Raises:
            gymnasium.error.ResetNeeded: before ``reset`` and after the episode's end.
        """
        if self.worlds is None or not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        result = self.worlds.step(np.asarray(action)[None])
        if self._viewer is not None:
            self._viewer.record()
        truncated = bool(result.ended[0])
        self._running = not truncated
        seen = result.final if result.final is not None else result.observation
        terms = {name: float(value[0]) for name, value in result.terms.items()}
        info: dict[str, Any] = {"reward_terms": terms}
        if result.host_energy_j is not None:
            info["host_energy_j"] = result.host_energy_j[0].tolist()
        return _single(seen), float(result.reward[0]), False, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Picture of the episode so far: who holds what, who suffers."""
        return None if self._viewer is None else self._viewer.image()

    def close(self) -> None:
        """Forget the picture."""
        self._viewer = None

    @property
    def episode_steps(self) -> int:
        """Decisions in an episode."""
        return self.shape.episode_steps

    def _new_worlds(self, source: ScenarioSource) -> Worlds[Any, Any]:
        return open_worlds(self.config, source, 1, self.shape)


class MaskedWorldEnv(WorldEnv):
    """One world of a task in which not every action is legal all the time."""

    def action_masks(self) -> NDArray[np.bool_]:
        """Legal actions now, as sb3-contrib expects them: flat, rows one after another.

        Raises:
            gymnasium.error.ResetNeeded: before ``reset``.
        """
        if self.worlds is None:
            raise gymnasium.error.ResetNeeded("call reset() before action_masks()")
        return self.worlds.action_masks()[0].ravel()  # type: ignore[attr-defined,no-any-return]


def check_id(config: TaskConfig, task_id: str) -> None:
    """Refuse the configuration of another task.

    Raises:
        ValueError: naming both.
    """
    if config.id != task_id:
        raise ValueError(f"config.id is {config.id!r}, this environment is {task_id!r}")


def _single(observation: Seen) -> Seen:
    """One world's part of a batch of one."""
    return {key: value[0] for key, value in observation.items()}
