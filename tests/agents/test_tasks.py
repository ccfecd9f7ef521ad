"""Every task goes the same way: train, export, judge, report."""

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
from gymbal_agents.export import export_policy
from gymbal_agents.measures import measures_of
from gymbal_agents.model_card import evaluation_rows, model_card
from gymbal_agents.oracles import oracles_of
from gymbal_agents.report import write_report
from gymbal_agents.roster import RosterError, build_roster, find_tuned
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import network_agent, run_training
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.summary import summarise
from gymbal_agents.tables import groups_table, measures_table
from gymbal_agents.train import make_learner, make_vec_env
from gymbal_agents.tuning import TuneConfig, search_space
from gymbal_envs.scenarios.source import ScenarioConfig, default_scenario
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.heuristics import heuristics_of
from gymbal_runtime.heuristics.stacked import RESOURCE_FIELDS
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, TASKS

SEVERAL_ACTIONS = (CACHE, HOST)
FEW = {
    CACHE: ("ucp", "shared"),
    HOST: ("stacked", "busiest_io"),
}


def short(task: str) -> ScenarioConfig:
    whole = default_scenario(task)
    fleet = replace(whole.fleet, episode_s=200.0, num_vms=(2, 4), max_vms=4)
    return replace(whole, fleet=fleet)


def tiny(task: str) -> TrainConfig:
    return TrainConfig(
        task=default_task(task),
        scenario=short(task),
        ppo=PpoConfig(num_envs=8, rollout_steps=16, batch_size=64, width=16),
        total_steps=128,
        checkpoint_every=1000,
        evaluate_every=1000,
        evaluate_scenarios=2,
    )


@pytest.fixture(scope="module", params=SEVERAL_ACTIONS)
def contest(request, tmp_path_factory) -> Contest:
    """A trained policy against two heuristics and the oracle of the present."""
    task, folder = request.param, RunFolder(tmp_path_factory.mktemp("run") / "run")
    config = tiny(task)
    model = run_training(config, folder, Console(file=io.StringIO()), reference=False)
    assert isinstance(model.policy, SetActorCriticPolicy)
    export_policy(
        model.policy.network, config, folder.bundle, seeds=[0], evaluation=[], model_card="card"
    )
    return hold_contest(
        EvaluateConfig(
            task=config.task,
            scenario=config.scenario,
            agents=(*FEW[task], "oracle_now"),
            policy=str(folder.bundle),
            num_scenarios=4,
            oracle_scenarios=0,
        )
    )


def test_a_bundle_of_several_actions_is_the_network(contest: Contest, tmp_path: Path) -> None:
    bundle = read_bundle(str(contest.config.policy))
    codec = bundle.codec
    assert bundle.manifest.task == contest.config.task.id
    assert codec.fingerprint() == contest.config.task.codec.fingerprint()
    observation, expected = bundle.golden[0].arrays()
    assert expected.shape == (*observation["present"].shape, len(codec.actions))
    np.testing.assert_allclose(bundle.policy(observation), expected, atol=1e-5)
    with pytest.raises(RosterError, match=f"is a policy of {codec.task}"):
        build_roster([], str(contest.config.policy))


def test_measures_and_reports_are_the_tasks(contest: Contest, tmp_path: Path) -> None:
    task, summary = contest.config.task.id, summarise(contest)
    for name in contest.roster:
        assert tuple(contest.evaluation.measures[name]) == measures_of(task)
    write_report(contest, summary, tmp_path, "command")
    text = (tmp_path / "report.md").read_text()
    assert f"# {task} on test scenarios" in text
    assert "lost to the cache, %" in measures_table(summary).header
    assert ("balloon traffic" in text) == (task == HOST)
    kinds = dict.fromkeys(group.kind for group in summary.groups)
    assert "cache" in kinds
    assert groups_table(summary, []).title == f"By {' and by '.join(kinds)}"
    for line in summary.lines:
        parts = cost_parts(line, contest.config.task.weights)
        assert sum(parts.values()) == pytest.approx(line.cost.value)
        assert min(parts.values()) > -1e-6 * PERCENT
    card = model_card(tiny(task), [("here", contest.config, summary)], "command")
    assert card.startswith(f"# Policy for {task}\n")
    assert evaluation_rows(summary, "here")


@pytest.mark.parametrize("task", SEVERAL_ACTIONS)
def test_a_learner_starts_as_the_heuristic(task: str) -> None:
    config = tiny(task)
    env = make_vec_env(config)
    observation = env.reset()
    model = make_learner(config, env)
    actions, _ = model.predict(observation, deterministic=True)
    assert actions.shape == (8, 4, len(config.task.codec.actions))
    assert not actions.any()
    for _ in range(5):
        observation, reward, _, _ = env.step(actions)
        np.testing.assert_allclose(reward, 0.0, atol=1e-9)  # as its twin
    assert network_agent(model, config).codec == config.task.codec
    env.close()


def test_slots_without_a_vm_have_no_say_in_any_of_their_actions() -> None:
    config = tiny(CACHE)
    env = make_vec_env(config)
    policy = make_learner(config, env).policy
    seen = {key: th.as_tensor(value) for key, value in env.reset().items()}
    here = seen["present"] > 0
    assert not here.all()
    actions, _, log_prob = policy(seen)
    other = th.where(here.unsqueeze(-1), actions, actions + 1.0)
    _, same, entropy = policy.evaluate_actions(seen, other.flatten(1))
    th.testing.assert_close(same, log_prob)
    moved = th.where(here.unsqueeze(-1), actions + 1.0, actions)
    assert not th.allclose(policy.evaluate_actions(seen, moved.flatten(1))[1], log_prob)
    count = here.sum(1) * len(config.task.codec.actions)
    each = float(policy.log_std.detach()[0]) + 0.5 + 0.5 * np.log(2 * np.pi)
    th.testing.assert_close(entropy, count * each, check_dtype=False)
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_groups_are_those_of_the_task(task: str) -> None:
    roster = build_roster(["heuristics", "oracles"], task=task)
    parts = [f"stacked_{resource}" for resource in RESOURCE_FIELDS] if task == HOST else []
    assert list(roster) == [*heuristics_of(task), *parts, *oracles_of(task)]
    stranger = "ucp" if task == BALLOON else "meb"
    with pytest.raises(RosterError, match=f"no agent '{stranger}'"):
        build_roster([stranger], task=task)


@pytest.mark.parametrize("task", TASKS)
def test_tuning_is_over_the_heuristics_of_the_task(task: str) -> None:
    config = TuneConfig(task=default_task(task), scenario=short(task))
    assert config.names == tuple(heuristics_of(task))
    for name in config.names:
        search_space(name)


def test_tuned_options_are_found_by_task(tmp_path: Path) -> None:
    (tmp_path / "cache.yaml").write_text("ucp: {}\n")
    assert find_tuned("auto", tmp_path, CACHE) == {"ucp": {}}
    assert find_tuned("auto", tmp_path, BALLOON) is None
    assert find_tuned(None, tmp_path, CACHE) is None
    assert find_tuned(str(tmp_path / "cache.yaml"), tmp_path, BALLOON) == {"ucp": {}}
