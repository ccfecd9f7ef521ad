"""Moves between sites can be evaluated and reported like everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gymbal_agents.charts import cost_parts
from gymbal_agents.config import TrainConfig
from gymbal_agents.contest import EvaluateConfig, hold_contest
from gymbal_agents.measures import measures_of
from gymbal_agents.model_card import model_card
from gymbal_agents.report import write_report
from gymbal_agents.summary import summarise
from gymbal_agents.tables import _UNITS
from gymbal_envs.scenarios.sites_config import SitesConfig
from gymbal_envs.scenarios.source import ScenarioConfig, default_scenario
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.tasks import CENTRE_TASKS, CLUSTER_TASKS, SITES, TASKS


@pytest.mark.parametrize("task", [*TASKS, *CLUSTER_TASKS, *CENTRE_TASKS])
def test_every_measure_of_every_task_has_a_unit(task: str) -> None:
    assert set(measures_of(task)) <= set(_UNITS)


def test_a_report_says_what_the_cost_is_made_of(tmp_path: Path) -> None:
    contest = hold_contest(
        EvaluateConfig(
            task=default_task(SITES),
            scenario=ScenarioConfig(sites=SitesConfig(episode_s=1200.0)),
            agents=("smart_stop", "smart_stop_cbr"),
            num_scenarios=2,
            threads=1,
        )
    )
    summary = summarise(contest)
    for line in summary.lines:
        parts = cost_parts(line, contest.config.task.weights)
        assert set(parts) == {"downtime", "degradation", "wan traffic", "away"}
        assert sum(parts.values()) == pytest.approx(line.cost.value)
    write_report(contest, summary, tmp_path, "command")
    assert (tmp_path / "timeline.png").is_file() or summary.subject.name == summary.best_heuristic
    assert "gymbal/Sites-v0" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("task", [*TASKS, *CLUSTER_TASKS, *CENTRE_TASKS])
def test_every_task_has_a_model_card(task: str) -> None:
    config = TrainConfig(task=default_task(task), scenario=default_scenario(task))
    card = model_card(config, [], "command")
    assert card.startswith(f"# Policy for {task}")
    assert config.task.heuristic in card
