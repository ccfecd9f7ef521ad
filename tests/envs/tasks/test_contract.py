"""What every registered task promises, whatever it is about."""

import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import gymbal_envs  # noqa: F401
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, TASKS

IDS = sorted(name for name in gymnasium.registry if name.startswith("gymbal/"))

CONSTANT_BY_DEFAULT = {
    BALLOON: {
        "has_histogram": "the default scenarios run an LRU histogram in every VM",
        "has_guest_stats": "every simulated guest has a balloon driver that reports",
    },
    CACHE: {"has_curve": "the default scenarios run a histogram monitor in every VM"},
    HOST: {
        "memory.has_guest_stats": "every simulated guest has a balloon driver that reports",
        "cpu.cpu_has_weight": "the weights of a simulated scheduler can be set",
        "device.device_has_modes": "every simulated device can be handed through",
    },
}

pytestmark = pytest.mark.parametrize("name", IDS)


def same(one, other):
    return all(np.array_equal(one[key], other[key]) for key in one) and one.keys() == other.keys()


def play(env, seed, steps):
    """Observations, rewards and infos of a random rollout; every choice follows from the seed."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    seen, rewards, infos = [observation], [], [info]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        seen.append(observation)
        rewards.append(reward)
        infos.append(info)
        if terminated or truncated:
            observation, info = env.reset()
            seen.append(observation)
            infos.append(info)
    return seen, rewards, infos


def test_it_passes_gymnasiums_checker_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(name, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])
def test_it_can_be_made_as_a_vector(name, mode):
    envs = gymnasium.make_vec(name, num_envs=3, vectorization_mode=mode)
    observation, _ = envs.reset(seed=1)
    assert envs.observation_space.contains(observation)
    observation, reward, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(observation)
    assert reward.shape == terminated.shape == truncated.shape == (3,)


def test_equal_seeds_give_equal_rollouts(name):
    one, other = (play(gymnasium.make(name), seed=4, steps=12) for _ in range(2))
    assert all(same(a, b) for a, b in zip(one[0], other[0], strict=True))
    assert one[1:] == other[1:]
    different = play(gymnasium.make(name), seed=5, steps=12)
    assert one[1] != different[1]


def test_observations_are_finite_and_within_their_space(name):
    env = gymnasium.make(name)
    for seed in range(4):
        for observation in play(env, seed, steps=25)[0]:
            assert env.observation_space.contains(observation)
            assert all(np.isfinite(part).all() for part in observation.values())


def test_observations_do_not_share_memory(name):
    seen, _, _ = play(gymnasium.make(name), seed=0, steps=3)
    before = [{key: part.copy() for key, part in observation.items()} for observation in seen]
    for i, one in enumerate(seen):
        for other in seen[i + 1 :]:
            assert not any(np.shares_memory(one[key], other[key]) for key in one)
    for part in seen[0].values():
        part[...] = 7.0
    assert all(same(a, b) for a, b in zip(before[1:], seen[1:], strict=True))


def test_no_feature_is_constant_over_random_play(name):
    if name not in TASKS:
        pytest.skip("moves take longer than random play: see tests/envs/cluster")
    env = gymnasium.make(name)
    seen = [o for seed in range(12) for o in play(env, seed, steps=15)[0]]
    rows = np.concatenate([o["vms"][o["present"] > 0] for o in seen])
    hosts = np.stack([o["host"] for o in seen])
    layout = env.unwrapped.config.codec.layout
    names = [q.name for q in (*layout.vm, *layout.history * HISTORY_STEPS)]
    constant = {names[i] for i in np.flatnonzero(np.ptp(rows, axis=0) == 0)}
    constant |= {layout.host[i].name for i in np.flatnonzero(np.ptp(hosts, axis=0) == 0)}
    assert constant == set(CONSTANT_BY_DEFAULT[name])


def test_the_initial_state_is_random(name):
    env = gymnasium.make(name)
    starts = [env.reset(seed=seed)[0] for seed in range(5)] + [env.reset()[0] for _ in range(5)]
    assert not any(same(a, b) for i, a in enumerate(starts) for b in starts[:i])


def test_it_can_be_pickled_before_and_within_an_episode(name):
    env = gymnasium.make(name).unwrapped
    pickle.loads(pickle.dumps(env)).reset(seed=0)
    env.reset(seed=2)
    env.step(env.action_space.sample())
    twin = pickle.loads(pickle.dumps(env))
    for _ in range(3):
        action = env.action_space.sample()
        mine, its = env.step(action), twin.step(action)
        assert same(mine[0], its[0])
        assert mine[1:] == its[1:]


def test_a_step_before_reset_or_after_the_end_is_refused(name):
    env = gymnasium.make(name, episode_steps=2).unwrapped
    action = env.action_space.sample()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(action)
    env.reset(seed=0)
    assert [env.step(action)[3] for _ in range(2)] == [False, True]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(action)


def test_it_documents_itself_in_gymnasiums_sections(name):
    doc = gymnasium.make(name).unwrapped.__doc__
    sections = (
        "Description", "Action Space", "Observation Space", "Rewards", "Starting State",
        "Episode End", "Arguments", "Version History",
    )  # fmt: skip
    places = [doc.find(f"## {section}") for section in sections]
    assert -1 not in places
    assert places == sorted(places)
