"""A task for many worlds at once, as a Gymnasium vector environment over one kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gymbal_envs.scenarios.source import ScenarioConfig, default_scenario, make_source
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.tasks.batch import Worlds
from gymbal_envs.tasks.config import TaskConfig, default_task
from gymbal_envs.tasks.env import check_id
from gymbal_envs.tasks.open import open_worlds, shape_of, spaces_of


class WorldVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs`` worlds; the environments of a single one describe the tasks.

    An episode that ends is followed by the next one within the same step (SAME_STEP): the last
    observations are in ``info["final_obs"]``, one dictionary or None per host.

    Args:
        num_envs: hosts.
        scenario: where scenarios come from; the task's own by default.
        config: the task; its defaults where None.
        split: train, validation or test.
        episode_steps: decisions in an episode.
        stagger: groups of hosts whose first episode is cut, so that they do not end together.
        num_threads: of the engine.
        render_mode: not offered for batches.
    """

    task_id: ClassVar[str]

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        scenario: ScenarioConfig | None = None,
        config: TaskConfig | None = None,
        split: SplitName = "train",
        episode_steps: int | None = None,
        stagger: int = 1,
        num_threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.scenario = scenario or default_scenario(self.task_id)
        self.config = config or default_task(self.task_id)
        check_id(self.config, self.task_id)
        self.split: SplitName = split
        self.stagger, self.num_threads = stagger, num_threads
        self.render_mode = render_mode
        shape = shape_of(self.scenario, self.config)
        self.shape = replace(shape, episode_steps=episode_steps or shape.episode_steps)
        self.single_observation_space, self.single_action_space = spaces_of(self.config, self.shape)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.worlds: Worlds[Any, Any] | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start every host on a new scenario; one seed draws all of them."""
        if isinstance(seed, list):
            seed = seed[0]
        super().reset(seed=seed)
        if self.worlds is None or seed is not None:
            drawn = seed if seed is not None else int(self.np_random.integers(2**31))
            source = make_source(self.scenario, self.split, drawn)
            self.worlds = open_worlds(
                self.config, source, self.num_envs, self.shape, self.num_threads
            )
        return dict(self.worlds.reset(stagger=self.stagger)), {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One control interval of every host."""
        assert self.worlds is not None, "call reset() before step()"
        result = self.worlds.step(actions)
        info: dict[str, Any] = {"reward_terms": result.terms}
        if result.host_energy_j is not None:
            info["host_energy_j"] = result.host_energy_j
        if result.final is not None:
            last = dict(result.final)
            info["final_obs"] = np.full(self.num_envs, None, dtype=object)
            for w in np.flatnonzero(result.ended):
                info["final_obs"][w] = {key: value[w] for key, value in last.items()}
            info["_final_obs"] = result.ended
        never = np.zeros(self.num_envs, dtype=np.bool_)
        return dict(result.observation), result.reward, never, result.ended, info
