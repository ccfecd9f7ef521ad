"""``gymbal/Balloon-v0`` itself: what an action, a reward and an episode are."""

import gymnasium
import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import PhysicsParams, SensorParams
from gymbal_envs.tasks.balloon import BalloonEnv
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.reward import RewardWeights, terms_of
from gymbal_runtime.tasks import BALLOON

QUIET = PhysicsParams(sensors=SensorParams(lru_noise=0.0, active_pages=1e12))
HEURISTICS = ("static", "proportional", "esx", "mom", "proxmox", "meb")


@pytest.mark.parametrize("heuristic", HEURISTICS)
def test_zero_is_exactly_the_heuristic(random_scenario, worlds_of, heuristic):
    scenarios = [random_scenario(seed) for seed in range(24)]
    config = TaskConfig(heuristic=heuristic, options={})
    corrected, plain = (worlds_of(scenarios, config) for _ in range(2))
    for _ in range(8):
        one = corrected.step(np.zeros((24, 6), dtype=np.float32))
        other = plain.apply(plain.base)
        np.testing.assert_array_equal(corrected.engine.vm, plain.engine.vm)
        np.testing.assert_array_equal(one.reward, other.reward)


def test_other_actions_are_not(random_scenario, worlds_of):
    worlds = worlds_of([random_scenario(seed) for seed in range(24)])
    base = worlds.base.balloon_bytes.copy()
    rng = np.random.default_rng(0)
    worlds.step(rng.uniform(-1, 1, (24, 6)))
    moved = np.abs(worlds.engine.vm[:, at.TARGET] - base) > 1e6
    assert moved[worlds.telemetry.present].mean() > 0.5


@pytest.mark.parametrize("action", [-1.0, 1.0, 5.0, np.nan])
def test_whatever_the_action_targets_are_feasible(random_scenario, worlds_of, action):
    scenarios = [random_scenario(seed) for seed in range(24)]
    worlds = worlds_of(scenarios)
    for _ in range(5):
        worlds.step(np.full((24, 6), action))
        for w, scenario in enumerate(scenarios):
            here = scenario.present
            target = worlds.engine.vm[w, at.TARGET, here]
            assert np.all(target <= scenario.memory_max_bytes[here] * (1 + 1e-9))
            held = worlds.telemetry.actual_bytes[w, here].sum()
            assert target.sum() <= max(scenario.capacity_bytes, held) * (1 + 1e-9)


def test_the_reward_is_minus_the_weighted_terms(fleet_of):
    weights = RewardWeights(progress_lost=2.0, balloon_traffic=0.3, processes_killed=5.0)
    env = BalloonEnv(fleet_of(4, load=(1.3, 1.4)), TaskConfig(weights=weights))
    env.reset(seed=3)
    seen = set()
    for _ in range(60):
        _, reward, *_, info = env.step(env.action_space.sample())
        terms = info["reward_terms"]
        assert set(terms) == set(terms_of(BALLOON))
        assert all(value >= 0 for value in terms.values())
        expected = -sum(getattr(weights, name) * terms[name] for name in terms_of(BALLOON))
        assert reward == pytest.approx(expected, rel=1e-12)
        seen |= {name for name, value in terms.items() if value > 0}
    assert {"progress_lost", "balloon_traffic"} <= seen


def test_terms_are_what_the_engine_counted(random_scenario, worlds_of):
    worlds = worlds_of([random_scenario(seed) for seed in range(16)])
    result = worlds.step(np.random.default_rng(0).uniform(-1, 1, (16, 6)))
    engine = worlds.engine
    shares = engine.world_vm[:, at.SHARES]
    weight = shares / shares.sum(axis=1, keepdims=True)
    lost = (weight * engine.outcome[:, at.LOST]).sum(axis=1) / 10.0
    np.testing.assert_allclose(result.terms["progress_lost"], lost)
    moved = engine.outcome[:, at.MOVED].sum(axis=1) / engine.world_host[:, at.CAPACITY]
    np.testing.assert_allclose(result.terms["balloon_traffic"], moved)
    killed = (weight * engine.outcome[:, at.KILLED]).sum(axis=1)
    np.testing.assert_allclose(result.terms["processes_killed"], killed)


def test_an_episode_is_cut_after_its_time_and_never_terminates(fleet_of):
    env = BalloonEnv(fleet_of(3, episode_s=300.0))
    assert env.episode_steps == 30
    for _ in range(2):
        _, info = env.reset(seed=0)
        ends = [env.step(env.action_space.sample())[2:4] for _ in range(30)]
        assert ends == [(False, False)] * 29 + [(False, True)]
    assert info == {"scenario": 0, "split": "train"}


def test_a_scenario_can_be_asked_for_by_number(fleet_of):
    env = BalloonEnv(fleet_of(3), split="validation")
    env.reset(seed=7)
    env.reset()
    third, info = env.reset()
    assert info == {"scenario": 2, "split": "validation"}
    again, _ = env.reset(seed=7, options={"scenario": 2})
    np.testing.assert_array_equal(third["vms"], again["vms"])
    _, info = env.reset()
    assert info["scenario"] == 3


@pytest.mark.parametrize("num_vms", [2, 3, 16, 64])
def test_from_two_to_sixty_four_vms(fleet_of, num_vms):
    env = gymnasium.make("gymbal/Balloon-v0", scenario=fleet_of(num_vms))
    observation, _ = env.reset(seed=0)
    assert observation["present"].tolist() == [1.0] * num_vms
    for _ in range(10):
        observation, reward, *_ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert -3.0 < reward <= 0.0


@pytest.mark.parametrize("monitor", [0, 1, 2])
def test_every_monitor_gives_a_whole_observation(fleet_of, monitor):
    env = BalloonEnv(fleet_of(4, monitor=monitor))
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        assert env.observation_space.contains(observation)
        observation, *_ = env.step(env.action_space.sample())


def permuted(scenario, order):
    """The same host with its VMs in other slots."""
    values = {}
    for name in scenario.__dataclass_fields__:
        value = getattr(scenario, name)
        if isinstance(value, np.ndarray):
            per_knot = name in ("working_set_bytes", "footprint_bytes", "cores")
            value = value[:, order] if per_knot else value[order]
        values[name] = value
    return type(scenario)(**values)


def test_permuting_the_vms_permutes_everything_and_changes_nothing(random_scenario, worlds_of):
    """Without the sensors' noise, which is drawn in the order of the slots."""
    rng = np.random.default_rng(0)
    scenarios = [random_scenario(seed) for seed in range(12)]
    order = rng.permutation(6)
    config = TaskConfig(physics=QUIET)
    one = worlds_of(scenarios, config)
    other = worlds_of([permuted(s, order) for s in scenarios], config)
    for _ in range(10):
        action = rng.uniform(-1, 1, (12, 6))
        mine, its = one.step(action), other.step(action[:, order])
        for key in ("vms", "present"):
            np.testing.assert_allclose(
                mine.observation[key][:, order], its.observation[key], atol=1e-5
            )
        np.testing.assert_allclose(mine.observation["host"], its.observation["host"], atol=1e-5)
        np.testing.assert_allclose(mine.reward, its.reward, rtol=1e-6, atol=1e-9)


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="rgb_array or None, not 'human'"):
        BalloonEnv(render_mode="human")
