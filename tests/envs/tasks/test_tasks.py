"""What differs between tasks: parts, terms and pace; everything else is the same code."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.simulated_host import open_host
from gymbal_envs.simulator import layout as at
from gymbal_envs.tasks.balloon import BalloonEnv
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.cache import CacheEnv, CacheVectorEnv
from gymbal_envs.tasks.config import TaskConfig, default_task
from gymbal_envs.tasks.host import WholeHostEnv
from gymbal_envs.tasks.reward import RewardWeights, terms_of
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics import heuristics_of
from gymbal_runtime.host import capabilities_of
from gymbal_runtime.safeguard import Safeguard
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, TASKS

NUM_WORLDS = 12


def worlds_of(config: TaskConfig, **options) -> HostWorlds:
    scenario = default_scenario(config.id)
    shape = WorldShape(scenario.num_vms, scenario.num_knots, 1000)
    worlds = HostWorlds(make_source(scenario, "train", 0), NUM_WORLDS, shape, config, **options)
    worlds.reset()
    return worlds


def action_of(worlds: HostWorlds, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (NUM_WORLDS, worlds.num_vms, *worlds.codec.action_axes))


HEURISTICS = [(task, name) for task in (CACHE, HOST) for name in heuristics_of(task)]


@pytest.mark.parametrize(("task", "heuristic"), HEURISTICS)
def test_zero_is_exactly_the_heuristic(task: str, heuristic: str) -> None:
    config = replace(default_task(task), heuristic=heuristic, options={})
    corrected, plain = worlds_of(config), worlds_of(config)
    for _ in range(6):
        one = corrected.step(0.0 * action_of(corrected, np.random.default_rng(0)))
        other = plain.apply(plain.base)
        np.testing.assert_array_equal(corrected.engine.vm, plain.engine.vm)
        np.testing.assert_array_equal(one.reward, other.reward)


@pytest.mark.parametrize("task", TASKS)
def test_the_reward_is_minus_the_weighted_terms_of_the_task(task: str) -> None:
    weights = RewardWeights(2.0, 0.3, 5.0, 0.7)
    worlds = worlds_of(replace(default_task(task), weights=weights))
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    for _ in range(10):
        result = worlds.step(action_of(worlds, rng))
        assert tuple(result.terms) == terms_of(task)
        total = sum(getattr(weights, name) * value for name, value in result.terms.items())
        np.testing.assert_allclose(result.reward, -total, rtol=1e-12)
        seen |= {name for name, value in result.terms.items() if (value > 0).any()}
        assert all((value >= 0).all() for value in result.terms.values())
    assert seen >= set(terms_of(task)) - {"processes_killed"}


def test_moved_cache_is_the_part_that_came_to_others() -> None:
    worlds = worlds_of(default_task(CACHE))
    result = worlds.step(action_of(worlds, np.random.default_rng(0)))
    came = worlds.engine.outcome[:, at.UNITS_MOVED].sum(axis=1)
    expected = came / worlds.engine.world_host[:, at.LLC_UNITS]
    np.testing.assert_allclose(result.terms["cache_moved"], expected)
    assert (result.terms["cache_moved"] <= 1.0).all()


@pytest.mark.parametrize("task", [CACHE, HOST])
def test_whatever_the_action_the_host_does_it(task: str) -> None:
    worlds = worlds_of(default_task(task))
    rng = np.random.default_rng(1)
    for _ in range(5):
        worlds.step(3.0 * action_of(worlds, rng))
        held, present = worlds.telemetry.llc_units_held, worlds.telemetry.present
        classes = worlds.telemetry.llc_class
        for w in range(NUM_WORLDS):
            parts = dict(zip(classes[w][present[w]], held[w][present[w]], strict=True))
            assert sum(parts.values()) <= worlds.telemetry.llc_units[w]
            assert len(parts) <= worlds.telemetry.llc_classes[w]


def test_tasks_decide_at_their_own_pace() -> None:
    pace = {task: default_task(task).physics.clock.control_interval_s for task in TASKS}
    assert pace == {BALLOON: 10.0, CACHE: 5.0, HOST: 10.0}
    assert CacheEnv().episode_steps == 180


def test_the_configuration_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="this environment is 'gymbal/Host-v0'"):
        WholeHostEnv(config=default_task(CACHE))
    with pytest.raises(ValueError, match="this environment is 'gymbal/Cache-v0'"):
        CacheVectorEnv(config=default_task())
    with pytest.raises(ValueError, match="'ucp' decides nothing in gymbal/Balloon-v0"):
        TaskConfig(heuristic="ucp")
    with pytest.raises(ValueError, match="no task 'gymbal/Nothing-v0'"):
        default_task("gymbal/Nothing-v0")
    assert TaskConfig(HOST, "ucp", {}).codec.task == HOST  # one resource of several


def test_worlds_that_take_commands_only_ask_no_heuristic() -> None:
    worlds = worlds_of(default_task(CACHE), propose=False)
    assert not hasattr(worlds, "base")
    result = worlds.apply(Command.no_change(NUM_WORLDS, worlds.num_vms))
    assert (result.terms["cache_moved"] == 0).all()
    assert result.observation["vms"].size == 0


@pytest.mark.parametrize("name", ["gymbal/Cache-v0", "gymbal/Host-v0"])
def test_pictures_show_what_is_divided(name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array", episode_steps=4).unwrapped
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(3):
        env.step(env.action_space.sample())
        pictures.append(env.render())
    assert {picture.shape for picture in pictures} == {(600, 900, 3)}
    assert pictures[-1].std() > 10


def test_a_batch_is_the_same_task() -> None:
    many = gymnasium.make_vec("gymbal/Cache-v0", num_envs=2)
    one = gymnasium.make("gymbal/Cache-v0")
    assert many.single_action_space == one.action_space
    first, _ = many.reset(seed=3)
    seen, _ = one.reset(seed=3)
    np.testing.assert_array_equal(first["vms"][0], seen["vms"])
    action = np.random.default_rng(0).uniform(-1, 1, many.action_space.shape)
    action = action.astype(np.float32)
    assert many.step(action)[1][0] == one.step(action[0])[1]


@pytest.mark.parametrize("task", TASKS)
def test_a_simulated_host_can_be_that_of_any_task(task: str) -> None:
    host = open_host(task=task)
    record = host.telemetry()
    assert np.isfinite(record.llc_units).all() == (task != BALLOON)
    host.apply(Command.no_change(1, record.num_vms))
    interval = default_task(task).physics.clock.control_interval_s
    assert host.telemetry().time_s[0] == interval
    assert len(host.progress_lost) == 1


def test_a_simulated_host_says_that_it_knows_no_caps() -> None:
    host = open_host(task=HOST)
    record = host.telemetry()
    command = Command(record.actual_bytes, cpu_cap_cores=np.ones(record.present.shape))
    safe = Safeguard()(command, record, host.vm_names, capabilities_of(host))
    assert safe.not_obeyed == {"cpu_cap_cores": record.num_vms}
    assert safe.command.cpu_cap_cores is None


def test_balloon_env_is_what_is_registered() -> None:
    assert isinstance(gymnasium.make("gymbal/Balloon-v0").unwrapped, BalloonEnv)
