"""The batch is the same environment, many times: no second task, no second physics."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import gymbal_envs  # noqa: F401
from gymbal_envs.tasks.balloon import BalloonEnv, BalloonVectorEnv

NUM_ENVS, EPISODE = 4, 6


def actions_of(step, num_envs=NUM_ENVS, num_vms=5):
    rng = np.random.default_rng(step)
    return rng.uniform(-1, 1, (num_envs, num_vms)).astype(np.float32)


@pytest.fixture
def batch(fleet_of):
    envs = BalloonVectorEnv(NUM_ENVS, fleet_of(5), episode_steps=EPISODE)
    observation, _ = envs.reset(seed=11)
    return envs, observation


@pytest.fixture
def single(fleet_of):
    def make(scenario):
        env = BalloonEnv(fleet_of(5), episode_steps=EPISODE)
        observation, _ = env.reset(seed=11, options={"scenario": scenario})
        return env, observation

    return make


def row(observation, index):
    return {key: value[index] for key, value in observation.items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.parametrize("index", range(NUM_ENVS))
def test_each_row_is_the_single_environment_with_the_same_scenario(batch, single, index):
    envs, observation = batch
    env, seen = single(index)
    assert_same(row(observation, index), seen)
    for step in range(EPISODE - 1):
        observation, reward, _, truncated, info = envs.step(actions_of(step))
        seen, its_reward, _, its_end, its_info = env.step(actions_of(step)[index])
        assert_same(row(observation, index), seen)
        assert reward[index] == its_reward
        assert truncated[index] == its_end
        terms = {name: value[index] for name, value in info["reward_terms"].items()}
        assert terms == its_info["reward_terms"]


def test_an_ended_episode_gives_its_last_observation_and_the_first_of_the_next(batch, single):
    """SAME_STEP autoreset: row w goes on with scenario w + num_envs."""
    envs, _ = batch
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for step in range(EPISODE):
        observation, _, terminated, truncated, info = envs.step(actions_of(step))
    assert truncated.all()
    assert not terminated.any()
    assert info["_final_obs"].all()
    env, _ = single(2)
    for step in range(EPISODE):
        last, *_ = env.step(actions_of(step)[2])
    assert_same(info["final_obs"][2], last)
    _, first = single(2 + NUM_ENVS)
    assert_same(row(observation, 2), first)


def test_staggered_episodes_do_not_end_together(fleet_of):
    envs = BalloonVectorEnv(6, fleet_of(3), episode_steps=EPISODE, stagger=3)
    envs.reset(seed=0)
    ends = np.array([envs.step(actions_of(t, 6, 3))[3] for t in range(2 * EPISODE)])
    assert ends.sum(axis=1).tolist() == [0, 2, 0, 2, 0, 2] * 2
    assert np.all(ends.sum(axis=0) == 2)


def test_two_threads_give_the_same_rollout(fleet_of):
    rollouts = []
    for threads in (1, 2):
        envs = BalloonVectorEnv(128, fleet_of(3), num_threads=threads)
        envs.reset(seed=5)
        rollouts.append([envs.step(actions_of(t, 128, 3))[1] for t in range(5)])
    np.testing.assert_array_equal(*rollouts)


def test_it_is_what_many_single_environments_are(fleet_of):
    """``make_vec`` in sync mode gives every row a seed of its own, the batch draws from one."""
    kwargs = {"scenario": fleet_of(3)}
    native = gymnasium.make_vec("gymbal/Balloon-v0", num_envs=2, **kwargs)
    sync = gymnasium.make_vec("gymbal/Balloon-v0", num_envs=2, vectorization_mode="sync", **kwargs)
    assert isinstance(native.unwrapped, BalloonVectorEnv)
    assert native.single_observation_space == sync.single_observation_space
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    first, _ = native.reset(seed=9)
    other, _ = sync.reset(seed=9)
    assert_same(row(first, 0), row(other, 0))


def test_resetting_again_without_a_seed_goes_on_and_with_it_starts_over(batch):
    envs, first = batch
    envs.step(actions_of(0))
    assert_same(envs.reset(seed=11)[0], first)
    other = envs.reset(seed=12)[0]
    assert not np.array_equal(other["vms"], first["vms"])
