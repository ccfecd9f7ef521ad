"""Data centres go the way of every task: train, export, judge, report; their rows are hosts."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch as th
from rich.console import Console

from gymbal_agents.charts import PERCENT, cost_parts
from gymbal_agents.config import PpoConfig, TrainConfig
from gymbal_agents.contest import Contest, EvaluateConfig, hold_contest
from gymbal_agents.energy_report import dominance_table, energy_table
from gymbal_agents.export import LARGEST_CENTRE, export_policy
from gymbal_agents.measures import measures_of
from gymbal_agents.model_card import evaluation_rows, model_card
from gymbal_agents.report import write_report
from gymbal_agents.roster import build_roster
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import network_agent, run_training
from gymbal_agents.set_network import HOSTS_OF_CENTRE
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.summary import summarise
from gymbal_agents.tables import measures_table
from gymbal_agents.torch_policy import network_of
from gymbal_agents.train import make_learner, make_vec_env
from gymbal_agents.tuning import TuneConfig, search_space, tune
from gymbal_envs.scenarios.centre_config import CentreConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.heuristics import heuristics_of
from gymbal_runtime.tasks import CONSOLIDATION

SMALL = ScenarioConfig(
    centre=CentreConfig(num_hosts=(3, 6), max_hosts=6, mean_use=(0.3, 0.4), episode_s=7200.0)
)


def tiny() -> TrainConfig:
    return TrainConfig(
        task=default_task(CONSOLIDATION),
        scenario=SMALL,
        ppo=PpoConfig(num_envs=8, rollout_steps=16, batch_size=64, width=16),
        total_steps=256,
        checkpoint_every=128,
        evaluate_every=128,
        evaluate_scenarios=2,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> RunFolder:
    """A trained and exported policy."""
    folder, config = RunFolder(tmp_path_factory.mktemp("run") / "run"), tiny()
    model = run_training(config, folder, Console(file=io.StringIO()))
    assert isinstance(model.policy, SetActorCriticPolicy)
    with th.no_grad():
        # So that it differs from the heuristic, which a policy this young need not.
        model.policy.network.head_out.weight.normal_(0.0, 0.5)
    model.save(folder.model)
    export_policy(
        model.policy.network, config, folder.bundle, seeds=[0], evaluation=[], model_card="card"
    )
    return folder


@pytest.fixture(scope="module")
def contest(folder: RunFolder) -> Contest:
    """The policy against three rules."""
    return hold_contest(
        EvaluateConfig(
            task=default_task(CONSOLIDATION),
            scenario=SMALL,
            agents=("thr_mmt", "always_on", "drs"),
            policy=str(folder.bundle),
            num_scenarios=4,
        )
    )


def test_a_bundle_is_the_network_for_any_number_of_hosts(folder: RunFolder) -> None:
    bundle, network = read_bundle(str(folder.bundle)), network_of(folder.model)
    assert network.inputs == HOSTS_OF_CENTRE
    assert bundle.manifest.max_hosts == LARGEST_CENTRE
    observation, expected = bundle.golden[0].arrays()
    assert expected.shape == (*observation["present"].shape, 3)
    np.testing.assert_allclose(bundle.policy(observation), expected, atol=1e-5)
    many = {
        "hosts": np.repeat(observation["hosts"], 100, axis=1),
        "centre": observation["centre"],
        "present": np.repeat(observation["present"], 100, axis=1),
    }
    answer = bundle.policy(many)
    assert answer.shape == (*many["present"].shape, 3)
    # Its context is the mean and the maximum, so that a hundred of each are as one of each.
    np.testing.assert_allclose(answer[:, ::100], expected, atol=1e-4)


def test_permuting_the_hosts_permutes_the_corrections(folder: RunFolder) -> None:
    bundle = read_bundle(str(folder.bundle))
    observation, _ = bundle.golden[1].arrays()
    order = np.random.default_rng(0).permutation(observation["present"].shape[1])
    other = observation | {name: observation[name][:, order] for name in ("hosts", "present")}
    answer = bundle.policy(observation)
    assert np.ptp(answer) > 0.01
    np.testing.assert_allclose(bundle.policy(other), answer[:, order], atol=1e-5)


def test_the_controllers_agent_does_what_the_worlds_do(folder: RunFolder) -> None:
    """A bundle reads the same telemetry and gives the same orders as the learner's own worlds."""
    config, bundle = tiny(), read_bundle(str(folder.bundle))
    source = make_source(SMALL, "train", 5)
    from gymbal_agents.train import make_worlds

    worlds, agent = make_worlds(config, source, 3), bundle.agent()
    seen = worlds.reset()
    agent.reset(3, worlds.num_vms)
    for _ in range(12):
        orders = agent.act(worlds.telemetry)
        action = bundle.policy(seen)
        decided = worlds.decision(action)
        np.testing.assert_array_equal(orders.target, decided.target)
        np.testing.assert_array_equal(orders.power, decided.power)
        seen = worlds.step(action).observation


def test_measures_and_reports_are_the_tasks(contest: Contest, tmp_path: Path) -> None:
    assert list(contest.roster) == ["thr_mmt", "always_on", "drs", "policy"]
    summary, steps = summarise(contest), shape_of(SMALL, contest.config.task).episode_steps
    for name in contest.roster:
        measures = contest.evaluation.measures[name]
        assert tuple(measures) == measures_of(CONSOLIDATION)
        np.testing.assert_allclose(measures["slav"], measures["slatah"] * measures["pdm"])
        assert (measures["energy_kwh"] > 0).all()
    always = contest.evaluation.measures["always_on"]
    assert (always["migrations"] == 0).all()
    assert steps == 24
    write_report(contest, summary, tmp_path, "command")
    text = (tmp_path / "report.md").read_text()
    assert f"# {CONSOLIDATION} on test scenarios" in text
    assert (tmp_path / "timeline.png").is_file()
    assert (tmp_path / "energy.png").is_file()
    assert "## Energy and service" in text
    assert "SLATAH, %" in measures_table(summary).header
    for line in summary.lines:
        parts = cost_parts(line, contest.config.task.weights)
        assert sum(parts.values()) == pytest.approx(line.cost.value)
        assert min(parts.values()) > -1e-6 * PERCENT
    card = model_card(tiny(), [("here", contest.config, summary)], "command")
    assert "for each host: fill, relief, keep" in card
    assert "data centres of 3 to 6 hosts" in card
    assert evaluation_rows(summary, "here")


def test_who_dominates_whom_is_said_of_energy_and_violations(contest: Contest) -> None:
    summary = summarise(contest)
    rows = {row[0]: row for row in dominance_table(contest, summary).rows}
    assert set(rows) == {"thr_mmt", "always_on", "drs"}
    assert rows["always_on"][2:] == ("it violates nothing", "a trade")
    energy = contest.evaluation.values("policy", "energy_kwh").mean()
    most = contest.evaluation.values("always_on", "energy_kwh").mean()
    assert rows["always_on"][1].startswith(f"{PERCENT * energy / most:.1f} [")
    listed = [row[0] for row in energy_table(contest, summary).rows]
    assert sorted(listed) == sorted(contest.roster)
    assert listed[-1] == "always_on"


def test_a_learner_starts_as_the_heuristic() -> None:
    config = tiny()
    env = make_vec_env(config)
    observation = env.reset()
    model = make_learner(config, env)
    actions, _ = model.predict(observation, deterministic=True)
    assert actions.shape == (8, 6, 3)
    assert not actions.any()
    for _ in range(5):
        observation, reward, _, _ = env.step(actions)
        np.testing.assert_array_equal(reward, 0.0)  # as its twin
    assert network_agent(model, config).codec == config.task.codec
    env.close()


def test_places_without_a_host_have_no_say() -> None:
    config = tiny()
    env = make_vec_env(config)
    policy = make_learner(config, env).policy
    seen = {key: th.as_tensor(value) for key, value in env.reset().items()}
    here = seen["present"] > 0
    assert not here.all()
    actions, _, log_prob = policy(seen)
    other = th.where(here.unsqueeze(-1), actions, actions + 1.0)
    th.testing.assert_close(policy.evaluate_actions(seen, other.flatten(1))[1], log_prob)
    env.close()


def test_groups_and_tuning_are_those_of_the_task() -> None:
    roster = build_roster(["heuristics", "oracles"], task=CONSOLIDATION)
    assert list(roster) == [*heuristics_of(CONSOLIDATION), "oracle"]
    config = TuneConfig(
        task=default_task(CONSOLIDATION), scenario=SMALL, heuristics=("thr_mmt",), trials=2,
        num_scenarios=2, validation_scenarios=2,
    )  # fmt: skip
    assert replace(config, heuristics=()).names == tuple(heuristics_of(CONSOLIDATION))
    assert "parameter" in search_space("thr_mmt")
    assert tune(config, None, lambda name, best: None)["thr_mmt"].tried == 2
