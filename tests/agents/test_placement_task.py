"""Placement goes the way of every task: learn, export, judge, report; with a toy and an oracle."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch as th
from rich.console import Console

from gymbal_agents.candidate_network import CandidateNetwork
from gymbal_agents.config import PpoConfig, TrainConfig
from gymbal_agents.contest import EvaluateConfig, hold_contest
from gymbal_agents.evaluate import evaluate
from gymbal_agents.export import export_policy
from gymbal_agents.lookahead import Lookahead
from gymbal_agents.measures import measures_of
from gymbal_agents.model_card import model_card
from gymbal_agents.oracles.placement_oracle import PlacementOracle
from gymbal_agents.report import write_report
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import run_training
from gymbal_agents.summary import summarise
from gymbal_agents.train import make_learner, make_vec_env, make_worlds
from gymbal_envs.scenarios.centre_config import placement_centres
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.placement.heuristics import make_placement_heuristic
from gymbal_runtime.tasks import PLACEMENT

SMALL = ScenarioConfig(
    centre=replace(placement_centres(), num_hosts=(3, 6), max_hosts=6, episode_s=3600.0)
)
TOY = ScenarioConfig(toy="good-neighbours")


def tiny(**changes: object) -> TrainConfig:
    config = TrainConfig(
        task=default_task(PLACEMENT),
        scenario=SMALL,
        ppo=PpoConfig(num_envs=6, rollout_steps=8, batch_size=64, width=16, head_start=2.0),
        total_steps=96,
        checkpoint_every=48,
        evaluate_every=96,
        evaluate_scenarios=2,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A policy that looked ahead a little, learned a little and was exported."""
    folder = RunFolder(tmp_path_factory.mktemp("run") / "run")
    config = tiny(lookahead=Lookahead(states=12, horizon=3, every=1, passes=2))
    model = run_training(config, folder, Console(file=io.StringIO()))
    network = model.policy.network
    assert isinstance(network, CandidateNetwork)
    with th.no_grad():
        network.score.weight.normal_(0.0, 2.0)  # so that it differs from the rule
    export_policy(network, config, folder.bundle, seeds=[0], evaluation=[], model_card="card")
    return folder


def test_a_learner_starts_as_the_rule() -> None:
    env = make_vec_env(tiny())
    seen = env.reset()
    model = make_learner(tiny(), env)
    for _ in range(6):
        actions, _ = model.predict(seen, deterministic=True, action_masks=seen["mask"] > 0)
        np.testing.assert_array_equal(actions, seen["proposed"])
        seen, reward, _, _ = env.step(actions)
        np.testing.assert_array_equal(reward, 0.0)  # as its twin
    env.close()


def test_the_controllers_agent_does_what_the_worlds_do(folder: RunFolder) -> None:
    bundle = read_bundle(str(folder.bundle))
    worlds, agent = make_worlds(tiny(), make_source(SMALL, "train", 5), 3), bundle.agent()
    seen = worlds.reset()
    agent.reset(3, worlds.num_vms)
    others = 0
    for _ in range(20):
        orders = agent.act(worlds.telemetry)
        scores = np.where(seen["mask"] > 0, bundle.policy(seen), -np.inf)
        decided = worlds.decision(scores.argmax(axis=-1))
        np.testing.assert_array_equal(orders.chosen, decided.chosen)
        np.testing.assert_array_equal(orders.power, decided.power)
        others += int((decided.chosen != worlds.base.chosen).sum())
        seen = worlds.step(scores.argmax(axis=-1)).observation
    assert others > 0


def test_permuting_vms_and_candidates_permutes_the_scores(folder: RunFolder) -> None:
    bundle = read_bundle(str(folder.bundle))
    seen, _ = bundle.golden[1].arrays()
    rng = np.random.default_rng(0)
    vms, few = rng.permutation(seen["present"].shape[1]), rng.permutation(8)
    other = {name: values[:, vms] for name, values in seen.items() if name != "centre"}
    other["centre"] = seen["centre"]
    other["candidates"] = other["candidates"][:, :, few]
    other["offered"] = other["offered"][:, :, few]
    other["mask"] = np.concatenate([other["mask"][..., :1], other["offered"]], axis=-1)
    back = np.argsort(few) + 1
    proposed = other["proposed"].astype(int)
    other["proposed"] = np.where(proposed > 0, back[proposed - 1], 0).astype(np.float32)
    scores = bundle.policy(seen)[:, vms]
    expected = np.concatenate([scores[..., :1], scores[..., 1:][..., few]], axis=-1)
    np.testing.assert_allclose(bundle.policy(other), expected, atol=1e-4)


def test_one_bundle_serves_a_centre_of_any_size(folder: RunFolder) -> None:
    centre = replace(placement_centres(), num_hosts=(200, 200), max_hosts=200, episode_s=1200.0)
    large = ScenarioConfig(centre=centre)
    played = evaluate(
        {"policy": lambda worlds: read_bundle(str(folder.bundle)).agent()},
        make_source(large, "test", 0), 1, shape_of(large, default_task(PLACEMENT)),
        default_task(PLACEMENT),
    )  # fmt: skip
    assert played.values("policy", "orders_refused")[0] == 0.0


def test_measures_and_reports_are_the_tasks(folder: RunFolder, tmp_path: Path) -> None:
    contest = hold_contest(
        EvaluateConfig(
            task=default_task(PLACEMENT), scenario=SMALL, policy=str(folder.bundle),
            agents=("compatible", "first_fit", "worst_fit"), num_scenarios=3, threads=1,
        )
    )  # fmt: skip
    summary = summarise(contest)
    for measures in contest.evaluation.measures.values():
        assert tuple(measures) == measures_of(PLACEMENT)
        np.testing.assert_allclose(
            measures["slowdown_hosts"], measures["slowdown"] * measures["hosts_on"]
        )
        by_cause = sum(measures[f"lost_to_{cause}"] for cause in ("cache", "io", "waking"))
        assert (by_cause <= measures["slowdown"] + 1e-12).all()
    write_report(contest, summary, tmp_path, "command")
    assert "slowdown x hosts on" in (tmp_path / "report.md").read_text()
    card = model_card(tiny(), [("here", contest.config, summary)], "command")
    assert "chooses that or another" in card


def test_the_toys_optimum_is_found_by_those_who_look() -> None:
    task = default_task(PLACEMENT)
    played = evaluate(
        {
            "first_fit": lambda worlds: make_placement_heuristic("first_fit", ceiling=1.0),
            "best_fit": lambda worlds: make_placement_heuristic("best_fit", ceiling=1.0),
            "compatible": lambda worlds: make_placement_heuristic("compatible", ceiling=1.0),
            "oracle": lambda worlds: PlacementOracle(worlds, horizon=3),
        },
        make_source(TOY, "test", 0), 1, shape_of(TOY, task), task,
    )  # fmt: skip
    slowdown = {name: float(played.values(name, "slowdown")[0]) for name in played.measures}
    assert slowdown["oracle"] == pytest.approx(0.0, abs=1e-4)
    assert slowdown["compatible"] == pytest.approx(0.0, abs=1e-4)
    assert min(slowdown["first_fit"], slowdown["best_fit"]) > 0.05


def test_an_oracle_is_no_worse_than_the_rule() -> None:
    task, source = default_task(PLACEMENT), make_source(SMALL, "train", 8)
    played = evaluate(
        {"rule": lambda worlds: task.base_agent(), "oracle": PlacementOracle},
        source, 4, shape_of(SMALL, task), task,
    )  # fmt: skip
    assert played.gains("oracle", "rule").mean() > 0.0
