"""The batched task as a stable-baselines3 ``VecEnv``: no Python per world in the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from gymbal_envs.tasks.batch import Transition

Floats = NDArray[np.float64]

MASK = "mask"
"""Input that is positive where an action is legal, in worlds where some are not."""
MASKS = "action_masks"
"""What sb3-contrib asks environments for."""


class LearnedWorlds(Protocol):
    """B worlds of any kind, as far as a learner needs them.

    Where actions can be illegal, the observation has the key ``mask``, (B, ...), positive where
    they are legal.
    """

    num_worlds: int
    episodes: NDArray[np.int64]  # (B,) number of the scenario that each plays

    @property
    def observation_space(self) -> spaces.Dict:
        """Of one world."""
        ...

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of one world."""
        ...

    def reset(self, first_episode: int = 0, stagger: int = 1) -> Mapping[str, Any]:
        """Start every world on a new scenario."""
        ...

    def step(self, action: NDArray[Any]) -> Transition:
        """Carry out actions (B, ...)."""
        ...

    def step_base(self) -> Transition:
        """Do what the base heuristic proposes."""
        ...


class WorldsVecEnv(VecEnv):
    """B worlds for a learner: hosts, or clusters of them.

    The learner's reward may be scaled and, with ``twin``, is relative to a twin of each world that
    lives through the same demand under the plain heuristic. The demand is not the agent's doing;
    taking its share out of the reward leaves the optimum where it is and most of the noise away
    (Mao et al., "Variance Reduction for RL in Input-Driven Environments", ICLR 2019).

    Args:
        worlds: that actions are for.
        twin: the same worlds once more, or None for the plain reward.
        reward_scale: factor on the learner's reward; ``info["episode"]`` is not scaled.
        stagger: groups of worlds whose first episodes end at different times.
        endless: the end of an episode is only the end of what is looked at.
        hold: decisions for which an action stays the same. Where single decisions change little,
            held exploration shows what they do; episodes must end where a hold does.
    """

    render_mode = None  # asked for by the base class; pictures come from the evaluation

    def __init__(
        self,
        worlds: LearnedWorlds,
        twin: LearnedWorlds | None = None,
        reward_scale: float = 1.0,
        stagger: int = 8,
        endless: bool = True,
        hold: int = 1,
    ) -> None:
        super().__init__(worlds.num_worlds, worlds.observation_space, worlds.action_space)
        self.worlds, self.twin = worlds, twin
        self.reward_scale, self.stagger, self.endless = reward_scale, stagger, endless
        self.hold = hold
        self.first_episode = 0
        self._no_info: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        # The twin's demand and commands do not depend on the actions, so it steps meanwhile.
        self._meanwhile = ThreadPoolExecutor(1) if twin else None
        self._twin_step: Future[Floats] | None = None
        self._actions: NDArray[Any] = np.zeros(0)
        self._seen: dict[str, NDArray[Any]] = dict.fromkeys(worlds.observation_space, np.zeros(0))
        self._clear()

    @property
    def action_masks(self) -> Callable[[], NDArray[np.bool_]]:
        """Legal actions of the present state, (B, ...); the observation says them.

        Raises:
            AttributeError: everything is legal in these worlds.
        """
        if MASK not in self._seen:
            raise AttributeError("everything is legal in these worlds")
        return lambda: self._seen[MASK] > 0

    def _clear(self) -> None:
        self.returns = np.zeros(self.num_envs)
        self.lengths = np.zeros(self.num_envs, dtype=np.int64)
        self.term_sums: dict[str, Floats] = {}

    def reset(self) -> VecEnvObs:
        """Start every world on a new scenario."""
        self._clear()
        self._seen = dict(self.worlds.reset(self.first_episode, self.stagger))
        if self.twin is not None:
            self.twin.reset(self.first_episode, self.stagger)
        return self._seen

    def step_async(self, actions: NDArray[Any]) -> None:
        """Remember the actions and let the twin begin."""
        self._actions = actions
        if self.twin is not None and self._meanwhile is not None:
            self._twin_step = self._meanwhile.submit(self._reward_of_twin, self.twin)

    def _reward_of_twin(self, twin: LearnedWorlds) -> Floats:
        """What the plain heuristic gets while an action is held, (B,)."""
        total = np.zeros(self.num_envs)
        for _ in range(self.hold):
            total += twin.step_base().reward
        return total

    def step_wait(self) -> VecEnvStepReturn:
        """Let control intervals pass for as long as the action is held."""
        learned = np.zeros(self.num_envs)
        for _ in range(self.hold):
            result = self.worlds.step(self._actions)
            learned += result.reward
            self._count(result)
        if self._twin_step is not None:
            learned = learned - self._twin_step.result()
        infos = self._no_info
        if result.final is not None:
            infos = self._finish(result.ended, result.final)
        scaled = (learned * self.reward_scale).astype(np.float32)
        self._seen = dict(result.observation)
        return self._seen, scaled, result.ended.copy(), infos

    def _count(self, result: Transition) -> None:
        self.returns += result.reward
        self.lengths += 1
        for name, value in result.terms.items():
            self.term_sums[name] = self.term_sums.get(name, 0.0) + value

    def _finish(self, ended: NDArray[np.bool_], final: Mapping[str, Any]) -> list[dict[str, Any]]:
        infos = list(self._no_info)
        seen = dict(final)
        for w in np.flatnonzero(ended):
            length = int(self.lengths[w])
            infos[w] = {
                "terminal_observation": {key: value[w] for key, value in seen.items()},
                "TimeLimit.truncated": self.endless,
                "episode": {"r": float(self.returns[w]), "l": length, "t": 0.0},
                "reward_terms": {k: float(v[w]) / length for k, v in self.term_sums.items()},
            }
            self.returns[w] = 0.0
            self.lengths[w] = 0
            for sums in self.term_sums.values():
                sums[w] = 0.0
        return infos

    def close(self) -> None:
        """End the twin's thread."""
        if self._meanwhile is not None:
            self._meanwhile.shutdown()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The attribute of the batch, once per world asked for."""
        return [getattr(self, attr_name)] * len(self._which(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the batch."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch, once; of masks, each world gets its own row."""
        answer = getattr(self, method_name)(*args, **kwargs)
        if method_name == MASKS:
            return list(answer) if indices is None else [answer[w] for w in self._which(indices)]
        return [answer] * len(self._which(indices))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Never: there are no single environments inside."""
        return [False] * len(self._which(indices))

    def _which(self, indices: VecEnvIndices) -> Sequence[int]:
        if indices is None:
            return range(self.num_envs)
        return [indices] if isinstance(indices, int) else list(indices)
