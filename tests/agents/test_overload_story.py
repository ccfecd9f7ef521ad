"""What agents did about overloads, told of plays in which the right answer is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from gymbal_agents.contest import Contest, EvaluateConfig
from gymbal_agents.evaluate import Evaluation, ScenarioFacts, evaluate
from gymbal_agents.measures import measures_of
from gymbal_agents.overload_answers import (
    BORROWED,
    BY_ITSELF,
    MOVED,
    NEIGHBOUR,
    answers_of,
    vm_answers_of,
)
from gymbal_agents.overload_chart import answers_figure
from gymbal_agents.overload_story import NOBODY_AT_ALL, episodes_of, tell_story
from gymbal_agents.overload_tables import (
    answers_table,
    effort_table,
    ends_table,
    overloads_table,
    shortages_table,
)
from gymbal_agents.report import write_report
from gymbal_agents.roster import Contender
from gymbal_agents.summary import summarise
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_toy import OneOverload
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator.params import GIB
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.cluster_events import orders_of
from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.tasks import OVERLOAD

TOY = OneOverload(overload_s=300.0, episode_s=600.0)
STEPS = 60
GROWING, QUIET = 0, 1
"""Slots of the toy's first host."""


@dataclass
class Scripted:
    """Gives orders for VMs of the first host at some times: (verb, slot, target)."""

    script: dict[float, tuple[int, int, int]] = field(default_factory=dict)
    name: str = "scripted"

    def reset(self, num_worlds, num_vms, worlds=None) -> None:
        pass

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        orders = Orders.none(*telemetry.shape)
        told = self.script.get(float(telemetry.time_s[0]))
        if told is not None:
            orders.verb[:, 0, told[1]], orders.target[:, 0, told[1]] = told[0], told[2]
        return orders


def scripted(script: dict[float, tuple[int, int, int]] | None = None):
    return lambda worlds: Scripted(script or {})


def shape() -> WorldShape:
    scenario = TOY()
    return WorldShape(scenario.slots, scenario.num_knots, STEPS, scenario.num_hosts)


def played(script: dict[float, tuple[int, int, int]] | None = None) -> ClusterEpisode:
    (episode,) = episodes_of(scripted(script), [TOY()], shape(), default_task(OVERLOAD))
    return episode


@pytest.fixture(scope="module")
def alone() -> ClusterEpisode:
    return played()


def needs(episode: ClusterEpisode) -> dict[int, np.ndarray]:
    needed = episode.tracks.of_vms(episode.needed_bytes, 0.0)
    return {int(vm): needed[:, k] for k, vm in enumerate(episode.tracks.ids)}


def answer_to(episode: ClusterEpisode, alone: ClusterEpisode):
    (answer,) = answers_of(episode, orders_of(episode), needs(alone))
    return answer


def test_an_overload_that_nobody_answers_ends_by_itself(alone) -> None:
    answer = answer_to(alone, alone)
    assert answer.ended == BY_ITSELF
    assert answer.first is None
    assert not answer.in_force
    assert answer.alone_s == answer.overload.lasts_s == 300.0
    assert answer.overload.lost > 0.05


def test_a_move_ends_it(alone) -> None:
    answer = answer_to(played({150.0: (MIGRATE, QUIET, 1)}), alone)
    assert answer.first == MIGRATE
    assert answer.delays[MIGRATE] == 150.0 - answer.overload.begins_s
    assert answer.ended == MOVED
    assert answer.overload.lasts_s < 100.0
    assert answer.alone_s == 300.0  # what it would have been


def test_borrowing_makes_it_bearable_until_its_end(alone) -> None:
    answer = answer_to(played({130.0: (BORROW, GROWING, -1)}), alone)
    assert answer.first == BORROW
    assert answer.delays[BORROW] == 130.0 - answer.overload.begins_s
    assert answer.ended == BORROWED
    assert answer.overload.lasts_s == 300.0
    assert answer.overload.lost < answer_to(alone, alone).overload.lost


def test_what_was_ordered_before_is_in_force(alone) -> None:
    answer = answer_to(played({100.0: (BORROW, GROWING, -1)}), alone)
    assert answer.in_force
    assert answer.first is None
    assert answer.delays[BORROW] == -np.inf


def test_a_vm_is_answered_by_its_own_orders_and_by_a_neighbour_that_goes() -> None:
    episode = played({150.0: (MIGRATE, QUIET, 1)})
    answers = vm_answers_of(episode, orders_of(episode))
    vm = int(episode.vm_id[0, 0, GROWING])
    theirs = [
        one
        for one in answers
        if one.shortage.vm == vm and one.shortage.begins_s < 150.0 < one.shortage.ends_s
    ]
    (answer,) = theirs
    assert answer.first == NEIGHBOUR
    assert answer.left_s == answer.shortage.ends_s - 150.0
    moved = [one for one in answers if one.shortage.vm == int(episode.vm_id[0, 0, QUIET])]
    assert all(one.delays[NEIGHBOUR] == np.inf for one in moved)


def test_a_story_adds_up() -> None:
    agents = {
        "mover": scripted({150.0: (MIGRATE, QUIET, 1)}),
        "borrower": scripted({130.0: (BORROW, GROWING, -1)}),
    }
    source = [TOY(), TOY()].__getitem__
    story = tell_story(agents, source, 2, shape(), default_task(OVERLOAD))
    assert list(story) == [NOBODY_AT_ALL, "mover", "borrower"]
    for told in story.values():
        assert told.hours == pytest.approx(2 * 600.0 / 3600.0)
        assert 0.0 < told.effort.lost_in_overload_s <= told.effort.lost_s
    nobody, mover, borrower = (story[name].effort for name in story)
    assert nobody.orders == nobody.moves_bytes == nobody.far_bytes == nobody.aside_frac == 0.0
    assert mover.orders == pytest.approx(6.0)  # one in ten minutes
    assert mover.orders_in_overload == mover.orders
    assert mover.moves_bytes == pytest.approx(6.0 * 2.05 * GIB, rel=0.1)
    assert mover.aside_frac > 0.0
    assert mover.paused_s > 0.0
    assert borrower.far_bytes > 6.0 * 0.4 * GIB
    assert borrower.moves_bytes == 0.0
    assert [answer.scenario for answer in story["mover"].answers] == [0, 1]


def test_tables_and_picture_have_a_row_or_panel_for_each_agent() -> None:
    agents = {"mover": scripted({150.0: (MIGRATE, QUIET, 1)}), "sleeper": scripted()}
    story = tell_story(agents, lambda index: TOY(), 1, shape(), default_task(OVERLOAD))
    for make in (overloads_table, answers_table, shortages_table, ends_table, effort_table):
        table = make(story, frozenset({"mover"}))
        assert [row[0] for row in table.rows] == [NOBODY_AT_ALL, "mover", "sleeper"]
        assert {len(row) for row in table.rows} == {len(table.header)}
    rows = dict((row[0], row) for row in answers_table(story).rows)
    assert "100 (40 s)" in rows["mover"]
    assert rows["sleeper"][-1] == "100"
    titles = [axes.get_title(loc="left") for axes in answers_figure(story, ["mover"]).axes]
    assert titles == ["mover: 1 overloads"]


def test_facts_of_a_cluster_are_those_of_its_hosts() -> None:
    config = ScenarioConfig(cluster=ClusterConfig(num_hosts=(3, 3), max_hosts=4))
    scenario = make_source(config, "test", 0)(0)
    facts = ScenarioFacts.of(scenario)
    hosts = [ScenarioFacts.of(host) for host in scenario.hosts if host is not None]
    assert (facts.hosts, facts.num_vms) == (3, sum(host.num_vms for host in hosts))
    assert facts.load == max(host.load for host in hosts)
    assert facts.tier == hosts[0].tier
    assert (facts.far, facts.migration) == (scenario.far.name, scenario.migration.name)
    assert facts.nic_gbit_s in (1.0, 10.0, 25.0)
    assert (hosts[0].hosts, hosts[0].far, hosts[0].nic_gbit_s) == (1, "", 0.0)


def test_clusters_are_grouped_by_what_matters_for_them() -> None:
    facts = tuple(
        ScenarioFacts(
            str(i), "nvme", 20, 1.1, hosts=2 + i, far=("rdma", "tcp_10g")[i % 2],
            migration=("qemu", "postcopy")[i // 3],
        )
        for i in range(6)
    )  # fmt: skip
    measures = {
        name: {key: -RNG.uniform(0.0, 1.0, 6) for key in measures_of(OVERLOAD)} for name in "ab"
    }
    roster = {name: Contender(name, "heuristic", scripted(), name) for name in "ab"}
    config = EvaluateConfig(task=default_task(OVERLOAD))
    groups = summarise(Contest(config, roster, Evaluation(facts, measures, 10))).groups
    labels = {(group.kind, group.label): group.num_scenarios for group in groups}
    assert labels[("far memory", "rdma")] == 3
    assert labels[("migration rule", "qemu")] == 3
    assert sum(n for (kind, _), n in labels.items() if kind == "hosts") == 6


RNG = np.random.default_rng(0)


def test_the_report_tells_the_story(tmp_path: Path) -> None:
    agents = {
        "mover": scripted({150.0: (MIGRATE, QUIET, 1)}),
        "borrower": scripted({130.0: (BORROW, GROWING, -1)}),
    }
    config = EvaluateConfig(
        task=default_task(OVERLOAD), scenario=ScenarioConfig(toy="short-overload"), num_scenarios=1
    )
    kinds = {"mover": "policy", "borrower": "heuristic"}
    roster = {name: Contender(name, kinds[name], make, name) for name, make in agents.items()}  # type: ignore[arg-type]
    toy = make_source(config.scenario, "test", 0)
    long = replace(shape(), num_knots=toy(0).num_knots, episode_steps=180)
    played = evaluate(agents, toy, 1, long, config.task)
    contest = Contest(config, roster, played)
    write_report(contest, summarise(contest), tmp_path, "python <script>")
    text = (tmp_path / "report.md").read_text()
    for title in (
        "Overloads",
        "First answers to an overload",
        "VMs short of memory",
        "How overloads ended",
        "What the answers took",
        "One scenario over time",
    ):
        assert f"## {title}\n" in text
    for name in ("answers", "timeline"):
        assert f"({name}.png)" in text
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["evaluation"]["scenarios"][0]["hosts"] == 2
