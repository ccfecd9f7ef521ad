"""Small contests: a few short scenarios that every test of evaluation and reports can afford."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gymbal_agents.config import TrainConfig, typed
from gymbal_agents.contest import Contest, EvaluateConfig, hold_contest
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.tasks import OVERLOAD

BUNDLE = Path(__file__).parents[1] / "runtime" / "fixtures" / "tiny.gymbal"
FIVE_MINUTES = ScenarioConfig(fleet=FleetConfig(episode_s=300.0, num_vms=(2, 4), max_vms=4))


@pytest.fixture(scope="session")
def bundle_file() -> Path:
    return BUNDLE


@pytest.fixture(scope="session")
def short_scenarios() -> ScenarioConfig:
    return FIVE_MINUTES


SMALL_CLUSTERS = ScenarioConfig(
    cluster=ClusterConfig(
        num_hosts=(2, 3), max_hosts=3, vms_per_host=(3, 4), slots=6, episode_s=600.0,
        overload_frac=1.0,
    )
)  # fmt: skip


@pytest.fixture(scope="session")
def open_clusters() -> Callable[..., ClusterWorlds]:
    """Opens small clusters at the beginning of an episode of 60 decisions that never ends."""

    def open_some(count: int, first: int = 0) -> ClusterWorlds:
        config, source = default_task(OVERLOAD), make_source(SMALL_CLUSTERS, "train", 3)
        shape = replace(shape_of(SMALL_CLUSTERS, config), episode_steps=10**6)
        worlds = ClusterWorlds(
            lambda index: source(first + index), count, shape, config, encode=False, propose=False
        )
        worlds.reset()
        return worlds

    return open_some


@pytest.fixture(scope="session")
def contest(bundle_file: Path) -> Contest:
    """Three heuristics, both oracles and two seeds of a policy that nobody trained."""
    return hold_contest(
        EvaluateConfig(
            scenario=FIVE_MINUTES,
            agents=("static", "senpai", "esx", "oracles"),
            policy=(str(bundle_file), str(bundle_file)),
            num_scenarios=8,
            oracle_scenarios=4,
            batch=8,
        )
    )


@pytest.fixture
def tiny() -> TrainConfig:
    """A training run of seconds: short episodes, few hosts."""
    return typed(
        TrainConfig,
        {
            "scenario": {"fleet": {"episode_s": 300.0, "num_vms": [2, 4], "max_vms": 4}},
            "ppo": {"num_envs": 16, "rollout_steps": 16, "batch_size": 128, "width": 16},
            "total_steps": 1024,
            "checkpoint_every": 256,
            "evaluate_every": 512,
            "evaluate_scenarios": 4,
        },
    )
