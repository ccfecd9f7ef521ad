"""Learning by changing parameters: finds what is there to be found, and survives being killed."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch as th
from rich.console import Console

from gymbal_agents.config import ConfigError, PpoConfig, TrainConfig, typed
from gymbal_agents.parameter_search import in_pairs, search
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.search import Search
from gymbal_agents.session import run_training
from gymbal_agents.set_network import HOSTS_OF_CLUSTER, SetNetwork
from gymbal_agents.torch_policy import TorchPolicy
from gymbal_envs.scenarios.cluster_config import whole_cluster
from gymbal_envs.scenarios.source import ScenarioConfig
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.tasks import CLUSTER

ACTIONS = ("fill", "keep")


class Landscape:
    """Worlds whose reward is how near the first action of each row comes to half its feature."""

    episode_steps = 5

    def __init__(self, num_worlds: int) -> None:
        self.num_worlds = num_worlds
        self.codec = SimpleNamespace(actions=ACTIONS)
        self.began: list[int] = []

    def reset(self, first_episode: int = 0) -> dict[str, np.ndarray]:
        numbers = in_pairs(lambda number: number)
        seeds = [numbers(first_episode + w) for w in range(self.num_worlds)]
        self.began.append(seeds[0])
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        return self._see()

    def _see(self) -> dict[str, np.ndarray]:
        self._x = np.stack([rng.uniform(-1.0, 1.0, 3) for rng in self._rngs])
        return {
            "hosts": self._x[..., None].astype(np.float32),
            "cluster": np.zeros((self.num_worlds, 1), np.float32),
            "present": np.ones((self.num_worlds, 3), np.float32),
        }

    def step(self, action: np.ndarray) -> SimpleNamespace:
        reward = -((action[..., 0] - 0.5 * self._x) ** 2).mean(axis=1) - action[..., 1].mean(axis=1)
        return SimpleNamespace(observation=self._see(), reward=reward)

    def step_base(self) -> SimpleNamespace:
        return self.step(np.zeros((self.num_worlds, 3, 2)))


def network() -> SetNetwork:
    th.manual_seed(0)
    return SetNetwork(1, 1, 16, len(ACTIONS), HOSTS_OF_CLUSTER)


def test_it_finds_what_depends_on_what_is_seen(tmp_path: Path) -> None:
    net, settings = network(), Search(rounds=30, pairs=64, step=0.02, actions=("fill",))
    search(net, Landscape(128), settings, 0, tmp_path / "search.npy", lambda *_: None)
    worlds = Landscape(200)
    answer = TorchPolicy(net)(worlds.reset())
    wanted = 0.5 * worlds._x
    assert np.mean((answer[..., 0] - wanted) ** 2) < 0.3 * np.mean(wanted**2)
    np.testing.assert_array_equal(answer[..., 1], 0.0)  # nobody looked there


def test_a_killed_search_goes_on_to_the_same_layer(tmp_path: Path) -> None:
    files = tmp_path / "once.npy", tmp_path / "killed.npy"
    settings = Search(rounds=5, pairs=4)
    whole, pieces, told = network(), network(), []
    search(whole, Landscape(8), settings, 3, files[0], lambda *_: None)
    search(network(), Landscape(8), replace(settings, rounds=2), 3, files[1], lambda *_: None)
    search(pieces, Landscape(8), settings, 3, files[1], lambda n, _: told.append(n))
    assert told == [2, 3, 4]
    assert th.equal(whole.head_out.weight, pieces.head_out.weight)
    assert th.equal(whole.head_out.bias, pieces.head_out.bias)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_rounds_play_new_scenarios_in_pairs(tmp_path: Path) -> None:
    worlds = Landscape(8)
    search(network(), worlds, Search(rounds=3, pairs=4), 0, tmp_path / "s.npy", lambda *_: None)
    assert worlds.began == [0, 0, 4, 8]  # the first is for a look at the inputs


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no fil; the policy gives fill, keep"):
        search(
            network(), Landscape(2), Search(rounds=1, pairs=1, actions=("fil",)), 0,
            tmp_path / "s.npy", lambda *_: None,
        )  # fmt: skip
    for wrong, said in (
        ({"search": {"pairs": 0}}, r"search\.pairs \(0\) must be 1 or more"),
        ({"search": {"spread": 0.0}}, r"search\.spread \(0\.0\) must be positive"),
        ({"search": {"rounds": 2}}, r"search\.rounds \(2\) is for .*Cluster-v0; with gymbal/Ball"),
        ({"lookahead": {"states": 1}, "search": {"rounds": 2}}, "lookahead.states"),
    ):
        with pytest.raises(ConfigError, match=said):
            typed(TrainConfig, wrong)


def test_a_run_that_only_searches_leaves_a_judged_bundle(tmp_path: Path) -> None:
    config = TrainConfig(
        task=default_task(CLUSTER),
        scenario=ScenarioConfig(
            cluster=replace(
                whole_cluster(), num_hosts=(2, 3), max_hosts=3, slots=12, episode_s=1200.0
            )
        ),
        ppo=PpoConfig(num_envs=4, rollout_steps=8, batch_size=32, width=16),
        search=Search(rounds=2, pairs=2),
        total_steps=0,
        evaluate_scenarios=2,
    )
    folder = RunFolder(tmp_path / "run")
    model = run_training(config, folder, Console(file=io.StringIO()), reference=False)
    assert model.policy.network.head_out.weight.abs().sum() > 0
    assert len(np.load(folder.search)) == 3
    assert folder.model.is_file()
    assert list((folder.tensorboard / "search").iterdir())
    again = run_training(config, folder, Console(file=io.StringIO()), resume=True)
    assert th.equal(model.policy.network.head_out.weight, again.policy.network.head_out.weight)
