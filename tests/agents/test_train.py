from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from stable_baselines3.common.vec_env.base_vec_env import VecEnv
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gymbal_agents.config import ConfigError, TrainConfig
from gymbal_agents.export import (
    ExportError,
    check_graph,
    export_policy,
    golden_cases,
    observed_in_training,
    to_onnx,
)
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import run_training
from gymbal_agents.torch_policy import network_of
from gymbal_agents.train import make_learner, make_vec_env
from gymbal_runtime.bundle import read_bundle

ROOT = Path(__file__).parents[2]


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_the_vec_env_keeps_the_learners_contract(tiny: TrainConfig) -> None:
    env = make_vec_env(replace(tiny, ppo=replace(tiny.ppo, twin=True, reward_scale=1.0)))
    assert isinstance(env, VecEnv)
    env.reset()
    zeros = np.zeros((env.num_envs, env.worlds.num_vms))
    finished = 0
    for _ in range(40):
        observation, reward, done, infos = env.step(zeros)
        # the heuristic's twin does exactly what a correction of zero does
        assert np.allclose(reward, 0.0)
        assert all(np.isfinite(part).all() for part in observation.values())
        for w in np.flatnonzero(done):
            finished += 1
            assert infos[w]["TimeLimit.truncated"]
            assert set(infos[w]["terminal_observation"]) == {"vms", "host", "present"}
            assert infos[w]["episode"]["r"] <= 0.0
    assert finished >= env.num_envs
    env.close()


def test_a_held_action_is_as_many_equal_ones(tiny: TrainConfig) -> None:
    scenario = replace(tiny.scenario, fleet=replace(tiny.scenario.fleet, episode_s=320.0))
    ppo = replace(tiny.ppo, twin=True, reward_scale=1.0)
    every = make_vec_env(replace(tiny, scenario=scenario, ppo=ppo))
    held = make_vec_env(replace(tiny, scenario=scenario, ppo=replace(ppo, hold=2)))
    every.reset()
    held.reset()
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.uniform(-1.0, 1.0, (every.num_envs, *every.action_space.shape))
        _, first, early, _ = every.step(action)
        one, second, done, infos = every.step(action)
        other, total, held_done, held_infos = held.step(action)
        assert not early.any()
        np.testing.assert_array_equal(done, held_done)
        np.testing.assert_allclose(first + second, total, atol=1e-6)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
        assert [info.get("episode") for info in infos] == [i.get("episode") for i in held_infos]
    every.close()
    held.close()


def test_a_hold_that_episodes_do_not_end_with_is_refused(tiny: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"ppo\.hold \(2\) must divide 3\.75"):
        make_vec_env(replace(tiny, ppo=replace(tiny.ppo, hold=2)))


def test_a_run_leaves_a_policy_charts_and_checkpoints(tiny: TrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    model = run_training(tiny, folder, quiet())
    assert folder.load_config() == tiny
    assert folder.last_checkpoint() is not None
    events = EventAccumulator(str(folder.tensorboard / "training")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {
        "charts/SPS",
        "charts/reward_per_decision",
        "terms/progress_lost",
        "terms/balloon_traffic",
        "terms/processes_killed",
        "evaluation/reward",
    } <= tags
    assert "evaluation/allocation" in events.Tags()["images"]
    reference = EventAccumulator(str(folder.tensorboard / "reference_meb")).Reload()
    assert "evaluation/reward" in reference.Tags()["scalars"]
    bundle = export_policy(
        model.policy.network, tiny, folder.bundle, seeds=[0], evaluation=[], model_card="# Card\n"
    )
    assert read_bundle(folder.bundle).sha256 == bundle.sha256


def test_the_same_seed_learns_the_same(tiny: TrainConfig, tmp_path: Path) -> None:
    weights = []
    for name in ("a", "b"):
        folder = RunFolder(tmp_path / name)
        run_training(tiny, folder, quiet(), reference=False)
        network = network_of(folder.model)
        weights.append([p.detach().numpy().tobytes() for p in network.parameters()])
    assert weights[0] == weights[1]


def test_another_configuration_is_not_resumed(tiny: TrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run_training(tiny, folder, quiet(), reference=False)
    with pytest.raises(ConfigError, match="another configuration"):
        run_training(replace(tiny, seed=5), folder, quiet(), resume=True, reference=False)
    with pytest.raises(ConfigError, match="resume=true"):
        run_training(tiny, folder, quiet(), reference=False)


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable, str(ROOT / "scripts" / "train.py"), f"out={out}", "reference=false",
        "scenario.fleet.episode_s=300", "ppo.num_envs=16", "ppo.rollout_steps=16",
        "ppo.batch_size=128", "checkpoint_every=512", "evaluate_every=100000000",
        "evaluate_scenarios=2", "total_steps=10000000",
    ]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = RunFolder(out)
    deadline = time.monotonic() + 120
    while len(list(folder.checkpoints.glob("*.json"))) < 3:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    found = folder.last_checkpoint()
    assert found is not None
    reached = found[1]["num_timesteps"]
    command[-1] = f"total_steps={reached + 1024}"
    subprocess.run([*command, "resume=true"], check=True, capture_output=True, timeout=120)
    resumed = folder.last_checkpoint()
    assert resumed is not None
    assert resumed[1]["num_timesteps"] > reached
    assert read_bundle(folder.bundle).manifest.seeds == [0]


def test_an_export_that_differs_from_torch_is_refused(tiny: TrainConfig) -> None:
    env = make_vec_env(tiny)
    network = make_learner(tiny, env).policy.network
    observations, measured, codec = observed_in_training(tiny, num_worlds=4, decisions=4)
    assert "lru_hit_rate" in measured
    golden = golden_cases(network, observations, codec.signature)
    check_graph(to_onnx(network, observations[0], codec.signature), golden, codec)
    network.head_out.bias.data.fill_(0.3)
    with pytest.raises(ExportError, match="differs from torch"):
        check_graph(to_onnx(network, observations[0], codec.signature), golden, codec)
    env.close()
