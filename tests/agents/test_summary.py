"""Summaries of results made up so that the right answer is plain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gymbal_agents.contest import Contest, EvaluateConfig
from gymbal_agents.evaluate import Evaluation, ScenarioFacts
from gymbal_agents.measures import measures_of
from gymbal_agents.roster import Contender
from gymbal_agents.summary import summarise
from gymbal_agents.tables import gains_table, standing_table, verdicts
from gymbal_runtime.tasks import BALLOON

RNG = np.random.default_rng(3)
N = 40
HARD = RNG.uniform(0.02, 0.3, size=N)
NOISE = {name: RNG.normal(0.0, 0.002, size=N) for name in "abcdef"}
REWARDS = {
    "good": -HARD + NOISE["a"],
    "bad": -HARD - 0.05 + NOISE["b"],
    "policy/1": -HARD + 0.018 + NOISE["c"],
    "policy/2": -HARD + 0.022 + NOISE["d"],
    "tie": -HARD + NOISE["e"],
    "oracle": (-HARD + 0.04 + NOISE["f"])[: N // 2],
}
KINDS = {"good": "heuristic", "bad": "heuristic", "oracle": "oracle"}


def made_up(*names: str) -> Contest:
    roster = {
        name: Contender(name, KINDS.get(name, "policy"), lambda worlds: None, name.split("/")[0])  # type: ignore[arg-type, return-value]
        for name in names
    }
    tiers = ["nvme", "zswap"]
    facts = tuple(ScenarioFacts(str(i), tiers[i % 2], 4, 0.9 + i / N / 2) for i in range(N))
    measures = {name: dict.fromkeys(measures_of(BALLOON), REWARDS[name]) for name in names}
    return Contest(EvaluateConfig(), roster, Evaluation(facts, measures, 30))


@pytest.fixture(scope="module")
def summary():
    return summarise(made_up(*REWARDS))


def test_best_first_and_seeds_as_a_team(summary) -> None:
    assert [line.name for line in summary.lines][:4] == ["oracle", "policy/2", "policy", "policy/1"]
    assert summary.line("policy").seeds == 2
    assert summary.subject.name == "policy"


def test_costs_are_over_what_everybody_played(summary) -> None:
    assert summary.shared == N // 2
    good = summary.line("good")
    assert good.cost.value == pytest.approx(-100 * REWARDS["good"][: N // 2].mean())
    assert good.num_scenarios == N
    assert summary.best_heuristic == "good"


def test_half_of_the_gap(summary) -> None:
    assert summary.line("policy").gap_closed.value == pytest.approx(0.5, abs=0.05)
    assert summary.line("good").gap_closed.value == pytest.approx(0.0)
    assert summary.line("oracle").gap_closed.value == pytest.approx(1.0)


def test_better_than_every_heuristic_needs_every_interval(summary) -> None:
    assert summary.line("policy").beats_every_heuristic
    assert not summary.line("tie").beats_every_heuristic
    assert summary.line("tie").gains["bad"].above_zero
    assert summary.line("good").beats_every_heuristic is None
    said = verdicts(summary)
    assert "policy (2 seeds) is better than each of the 2 heuristics" in " ".join(said)
    assert "tie is not shown to be better than good on 40 scenarios" in " ".join(said)


def test_groups_cover_all_scenarios(summary) -> None:
    for kind in ("swap tier", "load"):
        members = [group for group in summary.groups if group.kind == kind]
        assert sum(group.num_scenarios for group in members) == N
    assert {group.label for group in summary.groups if group.kind == "swap tier"} == {
        "nvme",
        "zswap",
    }


def test_without_oracle_or_heuristics_there_is_still_a_standing() -> None:
    alone = summarise(made_up("tie"))
    assert alone.lines[0].gap_closed is None
    assert alone.groups == ()
    assert len(standing_table(alone).rows) == 1
    assert gains_table(alone).rows == ()
    assert verdicts(alone) == []
    assert summarise(made_up("good", "bad")).oracle is None


def test_tables_show_every_agent_and_heuristic(summary, tmp_path: Path) -> None:
    standing = standing_table(summary)
    assert len(standing.rows) == len(REWARDS) + 1
    text = standing.markdown()
    assert "**policy (2 seeds)**" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1
    assert [row[0] for row in gains_table(summary).rows] == ["good", "bad"]
