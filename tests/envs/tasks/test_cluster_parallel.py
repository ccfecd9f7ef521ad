"""Whole clusters for PettingZoo: its own checkers, and rewards that add up."""

import warnings

import numpy as np
import pytest

from gymbal_envs.scenarios.source import ScenarioConfig

pytest.importorskip("pettingzoo")

from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils import parallel_to_aec

from gymbal_envs.tasks.cluster_parallel import local_rewards, parallel_env

STEPS = 8


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Not every place of a scenario has a host.
        warnings.filterwarnings("ignore", message="No agents present but not all possible_agents")
        yield


def test_it_passes_the_parallel_test():
    parallel_api_test(parallel_env(episode_steps=STEPS), num_cycles=2 * STEPS)


def test_equal_seeds_give_equal_episodes():
    parallel_seed_test(lambda: parallel_env(episode_steps=STEPS), num_cycles=2 * STEPS)


def test_it_passes_the_test_of_turns():
    api_test(parallel_to_aec(parallel_env(episode_steps=STEPS)), num_cycles=3 * STEPS)


def test_who_says_nothing_follows_the_stack():
    """Zero is what no action is, and what a policy that never learned says."""
    silent, zero = parallel_env(episode_steps=STEPS), parallel_env(episode_steps=STEPS)
    silent.reset(seed=3)
    zero.reset(seed=3)
    for _ in range(STEPS):
        nothing = {
            name: np.zeros(zero.action_space(name).shape, np.float32) for name in zero.agents
        }
        assert silent.step({})[1] == zero.step(nothing)[1]
    assert silent.agents == []
    with pytest.raises(RuntimeError, match="reset"):
        silent.step({})


def test_every_host_sees_itself_and_a_summary_of_the_others():
    env = parallel_env()
    views, infos = env.reset(seed=0, options={"scenario": 2})
    assert infos[env.agents[0]] == {"scenario": 2, "split": "train"}
    width = env.observation_space(env.agents[0]).shape[0] // 3
    own = np.stack([views[name][:width] for name in env.agents])
    for k, name in enumerate(env.agents):
        assert env.observation_space(name).contains(views[name])
        others = np.delete(own, k, axis=0)
        np.testing.assert_allclose(views[name][width : 2 * width], others.mean(0), atol=1e-6)
        np.testing.assert_allclose(views[name][2 * width :], others.max(0), atol=1e-6)


def test_local_rewards_are_parts_of_the_common_one():
    common, local = parallel_env(), parallel_env(reward="local")
    common.reset(seed=5)
    local.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(25):
        said = {name: rng.uniform(-1, 1, 6).astype(np.float32) for name in common.agents}
        whole, parts = common.step(said)[1], local.step(said)[1]
        assert sum(parts.values()) == pytest.approx(next(iter(whole.values())), abs=1e-9)
        assert len(set(whole.values())) == 1
    assert len(set(parts.values())) > 1
    assert local_rewards(local._worlds).shape == (local.shape.num_hosts,)


def test_a_picture_and_wrong_settings():
    env = parallel_env(scenario=ScenarioConfig(toy="night-shift"), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.agents == ["host_0", "host_1"]
    env.step({})
    assert env.render().shape[2] == 3
    env.close()
    with pytest.raises(ValueError, match="render_mode"):
        parallel_env(render_mode="human")
    with pytest.raises(ValueError, match="common or local"):
        parallel_env(reward="shared")
