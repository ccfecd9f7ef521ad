from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gymbal_agents import timeline
from gymbal_agents.contest import Contest, EvaluateConfig, hold_contest
from gymbal_agents.evaluate import Evaluation
from gymbal_agents.report import write_report, write_scalars
from gymbal_agents.summary import summarise
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.open import shape_of

PICTURES = ("standing", "gains", "parts", "groups", "timeline")


@pytest.fixture(scope="module")
def out(contest: Contest, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(contest, summarise(contest), folder / "new", "python <script> & co")
    return folder / "new"


def test_pictures_are_written(out: Path) -> None:
    for name in PICTURES:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_html_stands_alone(out: Path) -> None:
    html = (out / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len(PICTURES)
    for foreign in ("http://", "https://", "<script", "<link", 'src="/'):
        assert foreign not in html
    assert "python &lt;script&gt; &amp; co" in html
    assert "policy (2 seeds)" in html


def test_markdown_points_to_pictures_beside_it(out: Path) -> None:
    text = (out / "report.md").read_text()
    assert "python <script> & co" in text
    for name in PICTURES:
        assert f"({name}.png)" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_json_holds_every_scenario_of_every_agent(out: Path, contest: Contest) -> None:
    content = json.loads((out / "evaluation.json").read_text())
    stored = Evaluation.from_dict(content["evaluation"])
    for name in contest.roster:
        np.testing.assert_array_equal(stored.values(name), contest.evaluation.values(name))
    assert content["summary"]["best_heuristic"] in contest.roster
    assert content["config"]["num_scenarios"] == 8
    assert content["agents"]["policy/1"]["team"] == "policy"


def test_scalars_have_stable_names(contest: Contest, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_scalars(contest, summarise(contest), tmp_path)
    events = EventAccumulator(str(tmp_path / "test_policy_1")).Reload()
    assert {"test/cost", "test/cost_iqm", "test/reward"} <= set(events.Tags()["scalars"])


def test_one_agent_alone_has_a_report(short_scenarios: ScenarioConfig, tmp_path: Path) -> None:
    config = EvaluateConfig(scenario=short_scenarios, agents=("static",), num_scenarios=1)
    alone = hold_contest(config)
    write_report(alone, summarise(alone), tmp_path, "")
    assert (tmp_path / "report.html").is_file()
    assert not (tmp_path / "gains.png").exists()


def test_timeline_is_the_scenario_that_was_scored(
    contest: Contest, short_scenarios: ScenarioConfig
) -> None:
    config = contest.config
    scenario = make_source(short_scenarios, config.split, config.seed)(3)
    shape = shape_of(short_scenarios, config.task)
    seen = timeline.record("esx", contest.roster["esx"].make, scenario, shape, config.task)
    assert seen.cost.mean() == pytest.approx(-contest.evaluation.values("esx")[3], rel=1e-12)
    assert seen.held_bytes.shape == (30, int(scenario.present.sum()))
    assert (seen.held_bytes.sum(axis=1) <= scenario.capacity_bytes * (1 + 1e-9)).all()
    assert seen.time_s[0] == 10.0
    assert seen.time_s[-1] == 300.0
