from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import msgspec
import numpy as np
import pytest

from gymbal_agents.evaluate import Evaluation, ScenarioFacts, evaluate
from gymbal_agents.measures import measures_of
from gymbal_agents.roster import build_roster
from gymbal_envs.scenarios.source import (
    ScenarioConfig,
    ScenarioSource,
    default_scenario,
    make_source,
)
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.open import shape_of
from gymbal_envs.tasks.reward import terms_of
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.command import Command
from gymbal_runtime.tasks import BALLOON, CENTRE_TASKS, CLUSTER_TASKS, TASKS

Evaluate = Callable[..., Evaluation]


@pytest.fixture
def source(short_scenarios: ScenarioConfig) -> ScenarioSource:
    return make_source(short_scenarios, "test", 0)


@pytest.fixture
def shape(short_scenarios: ScenarioConfig) -> WorldShape:
    return shape_of(short_scenarios, TaskConfig())


def factories(*names: str):
    return {name: one.make for name, one in build_roster(names).items()}


def test_shape_follows_the_settings(shape: WorldShape) -> None:
    assert shape == WorldShape(num_vms=4, num_knots=31, episode_steps=30)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_result_does_not_depend_on_the_batch(source, shape, batch: int) -> None:
    agents = factories("static", "esx", "meb", "oracle_now")
    whole = evaluate(agents, source, 5, shape, batch=5)
    parts = evaluate(agents, source, 5, shape, batch=batch, num_threads=2)
    for name in agents:
        for measure in measures_of(BALLOON):
            np.testing.assert_array_equal(
                whole.values(name, measure),
                parts.values(name, measure),
                err_msg=f"{name} {measure}",
            )


def test_result_does_not_depend_on_the_company(source, shape) -> None:
    alone = evaluate(factories("esx"), source, 4, shape)
    together = evaluate(factories("static", "oracle_now", "esx"), source, 4, shape)
    np.testing.assert_array_equal(alone.values("esx"), together.values("esx"))


def test_scenarios_are_the_sources_in_order(source, shape) -> None:
    played = evaluate(factories("static"), source, 5, shape, batch=2)
    assert played.scenarios == tuple(ScenarioFacts.of(source(i)) for i in range(5))
    assert all(0.5 < facts.load < 2.0 for facts in played.scenarios)


def test_reward_is_minus_the_weighted_terms(source, shape) -> None:
    config = TaskConfig()
    played = evaluate(factories("meb"), source, 4, shape, config)
    total = sum(
        getattr(config.weights, name) * played.values("meb", name) for name in terms_of(BALLOON)
    )
    np.testing.assert_allclose(played.values("meb"), -total, rtol=1e-12, atol=1e-15)
    assert (played.values("meb", "lost_to_memory") <= played.values("meb", "progress_lost")).all()


def test_every_decision_is_made_and_reported(source, shape) -> None:
    asked: list[float] = []
    reported: list[tuple[str, int]] = []

    class Watching:
        name = "watching"

        def reset(self, num_hosts, num_vms, hosts=None) -> None:
            self.shape = (num_hosts, num_vms)

        def act(self, telemetry) -> Command:
            asked.append(float(telemetry.time_s[0]))
            return Command.no_change(*self.shape)

    evaluate(
        {"watching": lambda worlds: Watching()}, source, 3, shape, batch=2,
        on_step=lambda name, decisions: reported.append((name, decisions)),
    )  # fmt: skip
    one_pass = [10.0 * step for step in range(shape.episode_steps)]
    assert asked == one_pass + one_pass
    assert reported == [("watching", 2)] * 30 + [("watching", 1)] * 30


def test_a_slow_agent_plays_the_first_scenarios_only(source, shape) -> None:
    agents = factories("static", "oracle_now")
    played = evaluate(agents, source, 5, shape, batch=2, limits={"oracle_now": 3})
    full = evaluate(agents, source, 5, shape)
    assert played.values("oracle_now").size == 3
    np.testing.assert_array_equal(played.values("oracle_now"), full.values("oracle_now")[:3])
    np.testing.assert_array_equal(
        played.gains("oracle_now", "static"), full.gains("oracle_now", "static")[:3]
    )


def test_weights_are_those_of_the_config(source, shape) -> None:
    heavy = TaskConfig()
    heavy = replace(heavy, weights=replace(heavy.weights, progress_lost=10.0))
    light, ten = (evaluate(factories("static"), source, 2, shape, c) for c in (None, heavy))
    assert (ten.values("static") < light.values("static")).all()


def test_oracles_see_the_worlds_they_play(source, shape) -> None:
    seen: list[HostWorlds] = []

    def spy(worlds: HostWorlds):
        seen.append(worlds)
        return factories("static")["static"](worlds)

    evaluate({"spy": spy}, source, 3, shape, batch=2)
    assert [worlds.num_worlds for worlds in seen] == [2, 1]


def test_plain_form_goes_there_and_back(source, shape) -> None:
    played = evaluate(factories("static"), source, 2, shape)
    again = Evaluation.from_dict(played.to_dict())
    assert again.scenarios == played.scenarios
    assert again.steps == 30
    np.testing.assert_array_equal(again.values("static"), played.values("static"))


def test_nothing_to_play_is_an_error(source, shape) -> None:
    with pytest.raises(ValueError, match="num_scenarios"):
        evaluate(factories("static"), source, 0, shape)


@pytest.mark.parametrize("task", [*TASKS, *CLUSTER_TASKS, *CENTRE_TASKS])
def test_facts_of_every_kind_of_scenario_are_plain_numbers(task: str) -> None:
    facts = ScenarioFacts.of(make_source(default_scenario(task), "train", 0)(0))
    assert msgspec.json.decode(msgspec.json.encode(asdict(facts))) == asdict(facts)
