from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO

from gymbal_agents.config import PpoConfig, TrainConfig
from gymbal_agents.masked_buffer import MaskedBuffer
from gymbal_agents.masked_learner import load_learner, make_masked_learner
from gymbal_agents.torch_policy import TorchPolicy, network_of
from gymbal_agents.train import make_learner, make_vec_env
from gymbal_agents.vec_env import WorldsVecEnv
from gymbal_runtime.policy import best_legal

CONFIG = TrainConfig(
    ppo=PpoConfig(
        num_envs=64, rollout_steps=16, batch_size=256, learning_rate=3e-3, gamma=0.0, width=16,
        target_kl=None, reward_scale=1.0, head_start=1.0,
    )
)  # fmt: skip


@pytest.fixture
def env(worlds: Any) -> WorldsVecEnv:
    return WorldsVecEnv(worlds)


def score(model: MaskablePPO, env: WorldsVecEnv) -> float:
    """Mean reward of the policy at its best."""
    observation, rewards = env.reset(), []
    for _ in range(20):
        actions, _ = model.predict(observation, deterministic=True)
        observation, reward, _, _ = env.step(actions)
        rewards.append(reward)
    return float(np.mean(rewards))


def test_it_learns_to_choose(env: WorldsVecEnv, tmp_path: Path) -> None:
    model = make_learner(CONFIG, env)
    assert isinstance(model, MaskablePPO)
    assert isinstance(model.rollout_buffer, MaskedBuffer)
    fresh = score(model, env)
    model.learn(24 * 64 * 16)
    learned = score(model, env)
    assert learned > fresh + 0.15, (fresh, learned)
    assert env.worlds.illegal == 0
    model.save(tmp_path / "model.zip")
    again = load_learner(tmp_path / "model.zip", env)
    assert isinstance(again, MaskablePPO)
    observation = env.reset()
    np.testing.assert_array_equal(
        again.predict(observation, deterministic=True)[0],
        model.predict(observation, deterministic=True)[0],
    )
    again.learn(64 * 16, reset_num_timesteps=False)
    assert again.num_timesteps == 25 * 64 * 16


def test_a_stored_network_answers_as_the_policy(env: WorldsVecEnv, tmp_path: Path) -> None:
    model = make_masked_learner(CONFIG, env)
    model.learn(2 * 64 * 16)
    model.save(tmp_path / "model.zip")
    observation = env.reset()
    scores = TorchPolicy(network_of(tmp_path / "model.zip"))(observation)
    expected, _ = model.predict(observation, deterministic=True)
    np.testing.assert_array_equal(best_legal(scores, observation["mask"]), expected)


def test_the_same_seed_learns_the_same(toy_choices: Any) -> None:
    weights = []
    for _ in range(2):
        model = make_masked_learner(CONFIG, WorldsVecEnv(toy_choices(64)))
        model.learn(64 * 16)
        weights.append([p.detach().numpy().tobytes() for p in model.policy.parameters()])
    assert weights[0] == weights[1]


def test_the_buffer_gives_what_sb3_contribs_gives(env: WorldsVecEnv, toy_choices: Any) -> None:
    models = []
    for kind in (MaskedBuffer, MaskableDictRolloutBuffer):
        again = WorldsVecEnv(toy_choices(64, env.worlds.rows))
        model = make_masked_learner(CONFIG, again)
        model.rollout_buffer = kind(
            16, env.observation_space, env.action_space, "cpu", 0.9, 0.0, n_envs=64
        )
        model.learn(64 * 16)
        models.append(model)
    mine, theirs = models
    np.random.seed(0)  # noqa: NPY002 - both draw minibatches from numpy's global generator
    ours = list(mine.rollout_buffer.get(300))
    np.random.seed(0)  # noqa: NPY002
    for a, b in zip(ours, theirs.rollout_buffer.get(300), strict=True):
        assert (a.action_masks.flatten(1) == b.action_masks.bool()).all()
        assert (a.observations["mask"] == a.action_masks).all()
        assert (a.observations["vms"] == b.observations["vms"]).all()
        assert (a.actions == b.actions).all()
        assert (a.old_log_prob == b.old_log_prob).all()
        assert (a.advantages == b.advantages).all()
    for p, q in zip(mine.policy.parameters(), theirs.policy.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach(), q.detach())


def test_environments_hand_out_their_masks(env: WorldsVecEnv) -> None:
    env.reset()
    assert is_masking_supported(env)
    np.testing.assert_array_equal(get_action_masks(env), env.worlds.mask)
    env.step(np.zeros_like(env.worlds.right))
    np.testing.assert_array_equal(get_action_masks(env), env.worlds.mask)
    some = env.env_method("action_masks", indices=[3, 5])
    np.testing.assert_array_equal(some, env.worlds.mask[[3, 5]])


def test_the_twin_does_what_is_proposed(toy_choices: Any) -> None:
    env = WorldsVecEnv(toy_choices(8), toy_choices(8), reward_scale=2.0)
    env.reset()
    for _ in range(30):
        actions = env.worlds.right.copy()
        _, reward, done, infos = env.step(actions)
        assert set(reward) <= {0.0, 2.0}  # the twin is right only where nothing is right
        for w in np.flatnonzero(done):
            assert infos[w]["reward_terms"] == {"wrong": 0.0}
    env.close()


def test_hosts_have_no_masks(tiny: TrainConfig) -> None:
    env = make_vec_env(tiny)
    env.reset()
    assert not is_masking_supported(env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(make_learner(tiny, env), PPO)
    env.close()
