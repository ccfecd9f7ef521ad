"""Every task whose hosts draw power says what each of them took."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import gymbal_envs  # noqa: F401  registers the environments
from gymbal_envs.tasks.centre_terms import JOULES_PER_KWH
from gymbal_runtime.tasks import BALLOON, CLUSTER, CONSOLIDATION, PLACEMENT


@pytest.mark.parametrize("task", [CONSOLIDATION, PLACEMENT, CLUSTER])
def test_hosts_add_up_to_the_whole(task: str) -> None:
    env = gymnasium.make(task, disable_env_checker=True, episode_steps=2).unwrapped
    env.reset(seed=0)
    for _ in range(2):  # the second ends the episode: it is the ended one's energy
        env.action_space.seed(0)
        action = np.zeros(env.action_space.shape, dtype=env.action_space.dtype)
        energy = env.step(action)[-1]["host_energy_j"]
        assert len(energy) == env.shape.num_hosts
        assert 0.0 < sum(energy) < JOULES_PER_KWH * env.shape.num_hosts
        assert min(energy) >= 0.0
    env.close()


def test_hosts_without_power_say_nothing() -> None:
    env = gymnasium.make(BALLOON, disable_env_checker=True)
    env.reset(seed=0)
    assert "host_energy_j" not in env.step(np.zeros(env.action_space.shape, np.float32))[-1]
    env.close()
