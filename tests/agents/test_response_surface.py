"""Corrections that are held: what they were worth is found again, and a policy goes where it is."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch as th
from rich.console import Console

from gymbal_agents.config import ConfigError, PpoConfig, TrainConfig, typed
from gymbal_agents.response_surface import ResponseSurface, climb
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import run_training
from gymbal_agents.set_network import HOSTS_OF_CLUSTER, SetNetwork
from gymbal_agents.surface import Surface
from gymbal_agents.surface_trials import Trials, others_of, try_corrections
from gymbal_agents.torch_policy import TorchPolicy
from gymbal_envs.scenarios.cluster_config import whole_cluster
from gymbal_envs.scenarios.source import ScenarioConfig
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.tasks import CLUSTER

ACTIONS = ("fill", "keep")
SETTINGS = Surface(
    rounds=3, pairs=2, spread={"fill": 0.8}, inputs=("cluster.load", "hosts.warm"), ridge=1e-3,
    most_gain=1000.0,
)  # fmt: skip


class Landscape:
    """Worlds of three hosts, two of them there: best is a fill of half of how warm hosts are."""

    episode_steps = 5

    def __init__(self, num_worlds: int) -> None:
        self.num_worlds = num_worlds
        self.action_space = SimpleNamespace(shape=(3, len(ACTIONS)))
        named = lambda name: SimpleNamespace(now=[SimpleNamespace(name=name)])  # noqa: E731
        self.codec = SimpleNamespace(
            actions=ACTIONS,
            layout=SimpleNamespace(row=named("warm"), whole=named("load")),
            signature=SimpleNamespace(inputs={"hosts": (), "cluster": (), "present": ()}),
        )
        self.began: list[int] = []

    def reset(self, first_episode: int = 0) -> dict[str, np.ndarray]:
        self.began.append(first_episode)
        rngs = [np.random.default_rng(first_episode + w) for w in range(self.num_worlds)]
        self._warm = np.array([rng.uniform(-1.0, 1.0) for rng in rngs])
        return self._see()

    def _see(self) -> dict[str, np.ndarray]:
        present = np.tile(np.array([1.0, 1.0, 0.0], np.float32), (self.num_worlds, 1))
        rows = np.repeat(self._warm[:, None, None], 3, axis=1).astype(np.float32)
        rows[:, 2] = 77.0  # nobody is there
        return {"hosts": rows, "cluster": np.ones((self.num_worlds, 1), np.float32),
                "present": present}  # fmt: skip

    def step(self, action: np.ndarray) -> SimpleNamespace:
        off = action[:, :2, 0] - 0.5 * self._warm[:, None]
        return SimpleNamespace(observation=self._see(), reward=-(off**2).mean(axis=1))

    def step_base(self) -> SimpleNamespace:
        return self.step(np.zeros((self.num_worlds, 3, 2)))


def silent(*_: object) -> None:
    """Nobody listens."""


def test_trials_are_against_the_heuristic_on_the_same_scenarios(tmp_path: Path) -> None:
    worlds = Landscape(8)
    trials = try_corrections(worlds, SETTINGS, 0, tmp_path / "s.npz", silent)
    assert len(trials.gain) == 3 * 8 * 4
    assert worlds.began == [n for n in (0, 8, 16) for _ in range(5)]
    assert np.abs(trials.levers).max() <= 0.8
    np.testing.assert_allclose(trials.inputs[:, 0], 1.0)
    warm, fill = trials.inputs[:, 1], trials.levers[:, 0]
    np.testing.assert_allclose(trials.gain, 100.0 * (fill * warm - fill**2), atol=1e-5)


def test_the_surface_is_found_and_the_policy_climbs_it(tmp_path: Path) -> None:
    worlds = Landscape(64)
    trials = try_corrections(worlds, SETTINGS, 0, tmp_path / "s.npz", silent)
    surface = ResponseSurface.fit(trials, SETTINGS)
    scale = trials.inputs[:, 1].std() + 1e-3
    assert surface.slope[0, 2] == pytest.approx(100.0 * scale, rel=1e-3)
    assert surface.bend[0, 0] == pytest.approx(-100.0, rel=1e-3)
    assert surface.plain()["slope"]["fill"]["hosts.warm"] == surface.slope[0, 2]
    th.manual_seed(0)
    net = SetNetwork(1, 1, 16, len(ACTIONS), HOSTS_OF_CLUSTER)
    climb(net, surface, worlds, replace(SETTINGS, passes=60), silent)
    judged = Landscape(200)
    answer = TorchPolicy(net)(judged.reset(10_000))
    wanted = 0.5 * judged._warm[:, None]
    assert np.mean((answer[:, :2, 0] - wanted) ** 2) < 0.05 * np.mean(wanted**2)
    assert not answer[..., 1].any(), "nobody tried it"


def test_nothing_is_asked_far_beyond_what_was_tried(tmp_path: Path) -> None:
    settings = replace(SETTINGS, spread={"fill": 0.1}, passes=40)
    worlds = Landscape(32)
    surface = ResponseSurface.fit(
        try_corrections(worlds, settings, 0, tmp_path / "s.npz", silent), settings
    )
    th.manual_seed(0)
    net = SetNetwork(1, 1, 16, len(ACTIONS), HOSTS_OF_CLUSTER)
    climb(net, surface, worlds, settings, silent)
    assert np.abs(TorchPolicy(net)(Landscape(200).reset(9_000))[..., 0]).max() < 0.6


def test_killed_trials_go_on(tmp_path: Path) -> None:
    files = tmp_path / "once.npz", tmp_path / "killed.npz"
    whole = try_corrections(Landscape(4), SETTINGS, 3, files[0], silent)
    try_corrections(Landscape(4), replace(SETTINGS, rounds=1), 3, files[1], silent)
    told: list[int] = []
    rest = try_corrections(Landscape(4), SETTINGS, 3, files[1], lambda n, _: told.append(n))
    assert told == [1, 2]
    np.testing.assert_array_equal(whole.gain, rest.gain)
    np.testing.assert_array_equal(Trials.load(files[1]).levers, whole.levers)


def test_trials_of_other_runs_count_too(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.npz" for n in range(3)]
    runs = [try_corrections(Landscape(4), SETTINGS, n, files[n], silent) for n in range(3)]
    settings = replace(SETTINGS, also=(str(files[1]), str(files[2])))
    every = runs[0].and_then(*others_of(settings))
    assert len(every.gain) == 3 * len(runs[0].gain)
    assert len(np.unique(every.scenario)) == 3 * 12
    with pytest.raises(ValueError, match=r"nowhere\.npz holds no trials"):
        others_of(replace(SETTINGS, also=("nowhere.npz",)))
    with pytest.raises(ValueError, match="has 1 actions and 2 inputs, this run 1 and 1"):
        others_of(replace(settings, inputs=("cluster.load",)))


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    for settings, said in (
        (replace(SETTINGS, spread={"fil": 0.5}), "there is no fil; the policy gives fill, keep"),
        (replace(SETTINGS, inputs=("cluster.lod",)), "there is no cluster.lod"),
        (replace(SETTINGS, inputs=("load",)), "there is no load; tables are hosts and cluster"),
    ):
        with pytest.raises(ValueError, match=said):
            try_corrections(Landscape(2), settings, 0, tmp_path / "s.npz", silent)
    for wrong, said in (
        ({"surface": {"pairs": 0}}, r"surface\.pairs \(0\) must be 1 or more"),
        ({"surface": {"ridge": 0.0}}, r"surface\.ridge \(0\.0\) must be positive"),
        ({"surface": {"spread": {"fill": 2.0}}}, r"surface\.spread\.fill \(2\.0\) must lie in"),
        ({"surface": {"rounds": 2}}, "surface.spread names no action"),
        (
            {"surface": {"rounds": 2, "spread": {"fill": 0.5}}},
            r"surface\.rounds \(2\) is for .*Cluster-v0; with gymbal/Ball",
        ),
    ):
        with pytest.raises(ConfigError, match=said):
            typed(TrainConfig, wrong)
    with pytest.raises(ValueError, match="both set"):
        TrainConfig(
            task=default_task(CLUSTER), surface=SETTINGS,
            search=TrainConfig().search.__class__(rounds=1),
        )  # fmt: skip


def test_a_run_that_only_tries_leaves_a_judged_bundle(tmp_path: Path) -> None:
    config = TrainConfig(
        task=default_task(CLUSTER),
        scenario=ScenarioConfig(
            cluster=replace(
                whole_cluster(), num_hosts=(2, 3), max_hosts=3, slots=12, episode_s=1200.0
            )
        ),
        ppo=PpoConfig(num_envs=4, rollout_steps=8, batch_size=32, width=16),
        surface=Surface(rounds=2, pairs=1, spread={"fill": 0.7, "thrift": 0.5}, passes=1),
        total_steps=0,
        evaluate_scenarios=2,
    )
    folder = RunFolder(tmp_path / "run")
    model = run_training(config, folder, Console(file=io.StringIO()), reference=False)
    head = model.policy.network.head_out.weight
    used = [name in config.surface.spread for name in config.task.codec.actions]
    assert (head.abs().sum(dim=1) > 0).tolist() == used
    assert len(Trials.load(folder.surface).gain) == 16
    said = json.loads(folder.surface.with_suffix(".json").read_text())
    assert set(said["slope"]) == {"fill", "thrift"}
    assert folder.model.is_file()
    again = run_training(config, folder, Console(file=io.StringIO()), resume=True)
    assert th.equal(head, again.policy.network.head_out.weight)
