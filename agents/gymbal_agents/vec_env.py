"""The batched task as a stable-baselines3 ``VecEnv``: no Python per host in the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from gymbal_envs.tasks.reward import terms_of
from gymbal_envs.tasks.spaces import action_space, observation_space
from gymbal_envs.tasks.worlds import HostWorlds, Transition
from gymbal_runtime.codec import Observation, as_dict


class HostVecEnv(VecEnv):
    """B hosts for a learner.

    The learner's reward may be scaled and, with ``twin``, is relative to a twin of each host that
    lives through the same demand under the plain heuristic. The demand is not the agent's doing;
    taking its share out of the reward leaves the optimum where it is and most of the noise away
    (Mao et al., "Variance Reduction for RL in Input-Driven Environments", ICLR 2019).

    Args:
        worlds: the hosts.
        twin: the same hosts once more, or None for the plain reward.
        reward_scale: factor on the learner's reward; ``info["episode"]`` is not scaled.
        stagger: see `HostWorlds.reset`.
    """

    render_mode = None  # asked for by the base class; pictures come from the evaluation

    def __init__(
        self,
        worlds: HostWorlds,
        twin: HostWorlds | None = None,
        reward_scale: float = 1.0,
        stagger: int = 8,
    ) -> None:
        super().__init__(
            worlds.num_worlds,
            observation_space(worlds.codec, worlds.num_vms),
            action_space(worlds.codec, worlds.num_vms),
        )
        self.worlds, self.twin = worlds, twin
        self.reward_scale, self.stagger = reward_scale, stagger
        self.first_episode = 0
        self._no_info: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        # The twin's demand and commands do not depend on the actions, so it steps meanwhile.
        self._meanwhile = ThreadPoolExecutor(1) if twin else None
        self._twin_step: Future[Transition] | None = None
        self._nothing = np.zeros((self.num_envs, worlds.num_vms, *worlds.codec.action_axes))
        self._actions: NDArray[Any] = self._nothing
        self._clear()

    def _clear(self) -> None:
        self.returns = np.zeros(self.num_envs)
        self.lengths = np.zeros(self.num_envs, dtype=np.int64)
        self.term_sums = {name: np.zeros(self.num_envs) for name in terms_of(self.worlds.config.id)}

    def reset(self) -> VecEnvObs:
        """Start every host on a new scenario."""
        self._clear()
        observation = self.worlds.reset(self.first_episode, self.stagger)
        if self.twin is not None:
            self.twin.reset(self.first_episode, self.stagger)
        return as_dict(observation)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Remember the corrections and let the twin begin."""
        self._actions = actions
        if self.twin is not None and self._meanwhile is not None:
            self._twin_step = self._meanwhile.submit(self.twin.step, self._nothing)

    def step_wait(self) -> VecEnvStepReturn:
        """Let one control interval pass."""
        result = self.worlds.step(self._actions)
        learned = result.reward
        if self._twin_step is not None:
            learned = learned - self._twin_step.result().reward
        self.returns += result.reward
        self.lengths += 1
        for name, value in result.terms.items():
            self.term_sums[name] += value
        infos = self._no_info
        if result.final is not None:
            infos = self._finish(result.ended, result.final)
        scaled = (learned * self.reward_scale).astype(np.float32)
        return as_dict(result.observation), scaled, result.ended.copy(), infos

    def _finish(self, ended: NDArray[np.bool_], final: Observation) -> list[dict[str, Any]]:
        infos = list(self._no_info)
        seen = as_dict(final)
        for w in np.flatnonzero(ended):
            length = int(self.lengths[w])
            infos[w] = {
                "terminal_observation": {key: value[w] for key, value in seen.items()},
                "TimeLimit.truncated": True,
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
        """The attribute of the batch, once per host asked for."""
        return [getattr(self, attr_name)] * len(self._which(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the batch."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch, once."""
        answer = getattr(self, method_name)(*args, **kwargs)
        return [answer] * len(self._which(indices))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Never: there are no single environments inside."""
        return [False] * len(self._which(indices))

    def _which(self, indices: VecEnvIndices) -> Sequence[int]:
        if indices is None:
            return range(self.num_envs)
        return [indices] if isinstance(indices, int) else list(indices)
