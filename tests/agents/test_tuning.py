from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from gymbal_agents.config import ConfigError
from gymbal_agents.roster import read_tuned
from gymbal_agents.tuned_file import write_tuned
from gymbal_agents.tuning import (
    TuneConfig,
    make_score,
    open_study,
    search,
    search_space,
    tune,
)
from gymbal_envs.scenarios.source import ScenarioConfig
from gymbal_runtime.heuristics import HEURISTICS, make_heuristic


@pytest.fixture
def config(short_scenarios: ScenarioConfig) -> TuneConfig:
    return TuneConfig(
        scenario=short_scenarios,
        heuristics=("static",),
        trials=5,
        num_scenarios=6,
        validation_scenarios=4,
        threads=1,
    )


def nothing(name: str, best: float) -> None:
    pass


@pytest.mark.parametrize("name", HEURISTICS)
def test_every_end_of_the_search_space_is_a_heuristic(name: str) -> None:
    space = search_space(name)
    assert set(HEURISTICS[name].TUNABLE) <= set(space)
    for pick in (0, -1):
        options = {}
        for option, values in space.items():
            if isinstance(values, FloatDistribution):
                options[option] = (values.low, values.high)[pick]
            else:
                assert isinstance(values, CategoricalDistribution)
                options[option] = values.choices[pick]
        assert make_heuristic(name, **options).name == name


def test_switches_are_searched_too() -> None:
    assert search_space("meb")["weighted"] == CategoricalDistribution((False, True))


def test_tuning_never_makes_it_worse_and_what_is_written_is_what_was_scored(
    config: TuneConfig, tmp_path: Path
) -> None:
    found = tune(config, None, nothing)["static"]
    score = make_score(config, "static", "train", config.num_scenarios)
    assert found.before == score({})
    assert found.after >= found.before
    write_tuned(tmp_path / "a" / "tuned.yaml", {"static": found}, config, "python x")
    assert score(read_tuned(tmp_path / "a" / "tuned.yaml")["static"]) == found.after
    text = (tmp_path / "a" / "tuned.yaml").read_text()
    assert "# command: python x" in text
    assert "5 trials x 6 scenarios = 900 decisions" in text


def test_the_default_is_the_first_trial_and_stays_where_nothing_is_better(
    config: TuneConfig,
) -> None:
    tried: list[dict] = []

    def score(options: dict) -> float:
        tried.append(options)
        return 1.0 if not options else 0.0

    before, options, after = search(open_study("a", None), "static", score, config, nothing)
    assert (before, options, after) == (1.0, {}, 1.0)
    assert tried[0] == {}
    assert len(tried) == config.trials


def test_a_killed_search_finds_what_an_uninterrupted_one_finds(
    config: TuneConfig, tmp_path: Path
) -> None:
    def score(options: dict) -> float:
        return -abs(options.get("share_exponent", 1.0) - 0.3)

    whole = search(open_study("a", None), "static", score, config, nothing)
    calls = 0

    def dies(options: dict) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return score(options)

    file = tmp_path / "trials.journal"
    with pytest.raises(KeyboardInterrupt):
        search(open_study("a", file), "static", dies, config, nothing)
    seen: list[float] = []
    rest = search(
        open_study("a", file), "static", score, config, lambda name, best: seen.append(best)
    )
    assert rest == whole
    assert len(seen) == config.trials
    assert replace(config, trials=3).decisions == 3 * 6 * 30


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"heuristics": ("esxi",)}, "no heuristic 'esxi'"), ({"trials": 0}, "trials must be")],
)
def test_impossible_settings_are_named(config: TuneConfig, change: dict, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        replace(config, **change)
