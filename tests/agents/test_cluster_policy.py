"""Whole clusters go the way of every task: train, export, judge, report."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch as th
from rich.console import Console

from gymbal_agents.config import PpoConfig, TrainConfig
from gymbal_agents.contest import EvaluateConfig, hold_contest
from gymbal_agents.export import export_policy
from gymbal_agents.measures import measures_of
from gymbal_agents.model_card import model_card
from gymbal_agents.report import write_report
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import run_training
from gymbal_agents.set_network import HOSTS_OF_CLUSTER
from gymbal_agents.summary import summarise
from gymbal_agents.torch_policy import network_of
from gymbal_agents.train import make_worlds
from gymbal_agents.tuning import TuneConfig, search_space, tune
from gymbal_envs.scenarios.cluster_config import whole_cluster
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.heuristics import heuristics_of
from gymbal_runtime.tasks import CLUSTER

SMALL = ScenarioConfig(
    cluster=replace(whole_cluster(), num_hosts=(2, 3), max_hosts=3, slots=12, episode_s=1200.0)
)
TINY = TrainConfig(
    task=default_task(CLUSTER),
    scenario=SMALL,
    ppo=PpoConfig(num_envs=4, rollout_steps=8, batch_size=32, width=16),
    total_steps=64,
    checkpoint_every=32,
    evaluate_every=64,
    evaluate_scenarios=2,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> RunFolder:
    """A trained and exported policy."""
    folder = RunFolder(tmp_path_factory.mktemp("run") / "run")
    model = run_training(TINY, folder, Console(file=io.StringIO()))
    with th.no_grad():
        # So that it differs from the stack, which a policy this young need not.
        model.policy.network.head_out.weight.normal_(0.0, 0.5)
    model.save(folder.model)
    export_policy(
        model.policy.network, TINY, folder.bundle, seeds=[0], evaluation=[], model_card="card"
    )
    return folder


def test_the_controllers_agent_does_what_the_worlds_do(folder: RunFolder) -> None:
    """A bundle reads the same telemetry and gives the same orders as the learner's own worlds."""
    bundle = read_bundle(str(folder.bundle))
    assert network_of(folder.model).inputs == HOSTS_OF_CLUSTER
    worlds, agent = make_worlds(TINY, make_source(SMALL, "train", 5), 3), bundle.agent()
    seen = worlds.reset()
    agent.reset(3, worlds.num_vms)
    for _ in range(15):
        orders = agent.act(worlds.telemetry)
        action = bundle.policy(seen)
        decided = worlds.decision(action)
        for name in ("verb", "target", "power", "pool_bytes"):
            np.testing.assert_array_equal(getattr(orders, name), getattr(decided, name))
        seen = worlds.step(action).observation


def test_one_bundle_serves_more_hosts(folder: RunFolder) -> None:
    bundle = read_bundle(str(folder.bundle))
    observation, expected = bundle.golden[0].arrays()
    many = {
        "hosts": np.repeat(observation["hosts"], 10, axis=1),
        "cluster": observation["cluster"],
        "present": np.repeat(observation["present"], 10, axis=1),
    }
    np.testing.assert_allclose(bundle.policy(many)[:, ::10], expected, atol=1e-4)


def test_stacks_and_policy_are_compared_and_reported(folder: RunFolder, tmp_path: Path) -> None:
    config = EvaluateConfig(
        task=TINY.task,
        scenario=SMALL,
        agents=("heuristics", "oracles"),
        policy=str(folder.bundle),
        num_scenarios=3,
    )
    contest = hold_contest(config)
    summary = summarise(contest)
    assert {line.name for line in summary.lines} == {*heuristics_of(CLUSTER), "policy"}
    assert set(contest.evaluation.measures["policy"]) == set(measures_of(CLUSTER))
    files = write_report(contest, summary, tmp_path, "command")
    assert any(file.suffix == ".html" for file in files)
    card = model_card(TINY, [("all", config, summary)], "command")
    assert "for each host: fill, relief, keep, haste, exchange" in card
    assert "Corrects what the heuristic `layered` proposes" in card


def test_the_stack_can_be_tuned() -> None:
    assert {"fill_frac", "wake_gap", "clone"} <= set(search_space("layered"))
    assert "layers" not in search_space("layered")
    config = TuneConfig(
        task=TINY.task, scenario=SMALL, heuristics=("layered",), trials=2, num_scenarios=2,
        validation_scenarios=2,
    )  # fmt: skip
    found = tune(config, None, lambda name, best: None)
    assert found["layered"].tried == 2
