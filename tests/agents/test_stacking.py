from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gymbal_agents import stacking
from gymbal_agents.roster import build_roster, read_tuned
from gymbal_agents.stacking import CANDIDATES, SWEEPS, known_options, tune_host, tune_stacked
from gymbal_agents.tuned_file import write_tuned
from gymbal_agents.tuning import Options, Score, TuneConfig, make_score
from gymbal_envs.scenarios.source import default_scenario
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.heuristics.stacked import RESOURCE_FIELDS, Stacked
from gymbal_runtime.tasks import HOST

TWO = {
    "memory": ("static", "proportional"),
    "cache": ("shared", "equal"),
    "cpu": ("owner_weights",),
    "device": ("emulated", "busiest_io"),
    "monitor": ("counters", "itc"),
}


@pytest.fixture
def config() -> TuneConfig:
    whole = default_scenario(HOST)
    fleet = replace(whole.fleet, episode_s=100.0, num_vms=(2, 4), max_vms=4)
    return TuneConfig(
        task=default_task(HOST),
        scenario=replace(whole, fleet=fleet),
        heuristics=("stacked",),
        trials=2,
        num_scenarios=4,
        validation_scenarios=2,
        threads=1,
    )


def nothing(name: str, best: float) -> None:
    pass


def scored_by(monkeypatch: pytest.MonkeyPatch, score: Score) -> list[str]:
    """Lets ``score`` judge stacks, and lists those that it is asked for."""
    asked: list[str] = []

    def noted(options: Options) -> float:
        asked.append(json.dumps(options, sort_keys=True))
        return score(options)

    monkeypatch.setattr(stacking, "make_score", lambda *_: noted)
    return asked


def test_every_candidate_can_decide_its_resource() -> None:
    assert set(CANDIDATES) == set(RESOURCE_FIELDS)
    default = Stacked().options()
    for resource, names in CANDIDATES.items():
        assert default[resource]["name"] in names
        for name in names:
            assert make_heuristic("stacked", **{resource: {"name": name}}).name == "stacked"


def test_a_tuned_stack_is_no_worse_and_plays_as_it_was_scored(
    config: TuneConfig, tmp_path: Path
) -> None:
    found = tune_stacked(config, {"static": {"share_exponent": 0.5}}, None, nothing, TWO)
    score = make_score(config, "stacked", "train", config.num_scenarios)
    assert found.before == score({})
    assert found.after > found.before
    write_tuned(tmp_path / "host.yaml", {"stacked": found}, config, "python x")
    tuned = read_tuned(tmp_path / "host.yaml")
    assert score(tuned["stacked"]) == found.after
    assert f"budget of stacked: {found.tried} trials x 4" in (tmp_path / "host.yaml").read_text()
    assert "stacked_memory" in build_roster(["heuristics"], tuned=tuned, task=HOST)


def test_resources_are_decided_by_the_best_even_where_they_depend_on_each_other(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(stack: Options) -> float:
        # Who divides memory equally only pays once the cheap monitor is chosen, a step later.
        cheap = stack["monitor"]["name"] == "counters"
        return 2.0 * cheap + (stack["memory"]["name"] == "static") * (1.0 if cheap else -1.0)

    asked = scored_by(monkeypatch, score)
    found = tune_stacked(config, {}, None, nothing, TWO)
    assert found.options["memory"] == {"name": "static"}
    assert found.options["monitor"] == {"name": "counters"}
    unchanged = {"cache", "cpu", "device"}
    assert {r: found.options[r] for r in unchanged} == {
        r: Stacked().options()[r] for r in unchanged
    }
    assert (found.before, found.after) == (0.0, 3.0)
    assert len(set(asked)) == len(asked) - 2  # the two checks on validation


def test_what_only_pays_together_with_a_cheap_monitor_is_found(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(stack: Options) -> float:
        told = stack["monitor"]["name"], stack["cache"]["name"]
        return {("itc", "shared"): 1.0, ("sampler", "equal"): 2.0}.get(told, 0.0)

    scored_by(monkeypatch, score)
    candidates = {**TWO, "monitor": ("sampler", "itc")}
    found = tune_stacked(config, {}, None, nothing, candidates).options
    assert (found["monitor"], found["cache"]) == ({"name": "sampler"}, {"name": "equal"})


def test_tuned_options_are_tried_beside_the_published_ones_and_varied(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = {"static": {"share_exponent": 0.5}}
    asked = scored_by(
        monkeypatch, lambda stack: -abs(stack["memory"].get("share_exponent", 1.5) - 0.4)
    )
    found = tune_stacked(config, tuned, None, nothing, TWO)
    assert any('{"name": "static", "share_exponent": 0.5}' in one for one in asked)
    assert any('{"name": "static"}' in one for one in asked)
    assert found.after >= -0.1001
    assert found.options["memory"]["name"] == "static"


def test_a_killed_search_finds_what_an_uninterrupted_one_finds(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def score(stack: Options) -> float:
        return -float(sum(map(ord, json.dumps(stack))) % 97)

    asked = scored_by(monkeypatch, score)
    whole = tune_stacked(config, {}, None, nothing, TWO)
    needed, calls = len(asked), 0

    def dies(stack: Options) -> float:
        nonlocal calls
        calls += 1
        if calls == needed // 2:
            raise KeyboardInterrupt
        return score(stack)

    scored_by(monkeypatch, dies)
    with pytest.raises(KeyboardInterrupt):
        tune_stacked(config, {}, tmp_path / "trials.journal", nothing, TWO)
    asked = scored_by(monkeypatch, score)
    assert tune_stacked(config, {}, tmp_path / "trials.journal", nothing, TWO) == whole
    assert len(asked) < needed


def test_what_was_found_for_the_others_is_a_candidate(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: dict = {}

    def remember(config, tuned, storage, on_trial):
        handed.update(tuned)
        return tune_stacked(config, {}, storage, on_trial, {r: () for r in RESOURCE_FIELDS})

    monkeypatch.setattr(stacking, "tune_stacked", remember)
    both = replace(config, heuristics=("stacked", "emulated"))
    found = tune_host(both, {"ucp": {"history": 0.1}}, None, nothing)
    assert list(found) == ["emulated", "stacked"]
    assert handed == {"ucp": {"history": 0.1}, "emulated": {}}
    assert found["stacked"].tried >= 1 + SWEEPS


def test_known_options_are_those_that_are_there(tmp_path: Path) -> None:
    assert known_options(tmp_path) == {}
    (tmp_path / "cache.yaml").write_text("ucp: {history: 0.1}\n")
    assert known_options(tmp_path) == {"ucp": {"history": 0.1}}
