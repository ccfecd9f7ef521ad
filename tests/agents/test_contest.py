from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gymbal_agents.config import ConfigError, typed
from gymbal_agents.contest import Contest, EvaluateConfig, contest_progress, hold_contest
from gymbal_envs.demand.trace import TraceError
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.source import ScenarioConfig


def test_everybody_plays_as_much_as_asked(contest: Contest) -> None:
    played = {name: contest.evaluation.values(name).size for name in contest.roster}
    assert played.pop("oracle") == 4
    assert set(played.values()) == {8}


def test_oracle_can_be_left_out(short_scenarios: ScenarioConfig) -> None:
    config = EvaluateConfig(
        scenario=short_scenarios, agents=("static", "oracles"), num_scenarios=2, oracle_scenarios=0
    )
    assert list(hold_contest(config).roster) == ["static", "oracle_now"]


def test_bars_are_full_at_the_end(short_scenarios: ScenarioConfig) -> None:
    config = EvaluateConfig(
        scenario=short_scenarios, agents=("static", "oracle"), num_scenarios=3, oracle_scenarios=1
    )
    progress = contest_progress()
    hold_contest(config, progress=progress)
    assert [(bar.description, bar.total, bar.completed) for bar in progress.tasks] == [
        ("static", 90, 90),
        ("oracle", 30, 30),
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"num_scenarios": "many"}, "num_scenarios"),
        ({"split": "holdout"}, "split"),
        ({"policy": 3}, "policy"),
        ({"nonsense": 1}, "`nonsense` is unknown"),
        ({"scenario": {"fleet": {"tiers": ["tape"]}}}, "tape"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        typed(EvaluateConfig, values)


def test_policy_may_be_one_file_or_several() -> None:
    assert typed(EvaluateConfig, {"policy": "a.gymbal"}).policy == "a.gymbal"
    assert typed(EvaluateConfig, {"policy": ["a", "b=c"]}).policy == ("a", "b=c")


def test_impossible_requests_are_named(short_scenarios: ScenarioConfig) -> None:
    config = EvaluateConfig(scenario=short_scenarios, agents=("static",))
    with pytest.raises(ConfigError, match="num_scenarios must be at least 1"):
        hold_contest(replace(config, num_scenarios=0))
    with pytest.raises(ScenarioError, match="toy"):
        hold_contest(replace(config, scenario=ScenarioConfig(toy="chess")))
    with pytest.raises(TraceError, match="such"):
        hold_contest(replace(config, scenario=ScenarioConfig(trace="no/such.csv")))


def test_the_toy_can_be_played() -> None:
    config = EvaluateConfig(
        scenario=ScenarioConfig(toy="opposite-peaks"), agents=("static", "oracle_now"),
        num_scenarios=1,
    )  # fmt: skip
    played = hold_contest(config).evaluation
    assert played.gains("oracle_now", "static")[0] > 0.1  # see OppositePeaks: half a host is idle
