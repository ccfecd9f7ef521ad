"""Small contests: a few short scenarios that every test of evaluation and reports can afford."""

from __future__ import annotations

from pathlib import Path

import pytest

from gymbal_agents.config import TrainConfig, typed
from gymbal_agents.contest import Contest, EvaluateConfig, hold_contest
from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.source import ScenarioConfig

BUNDLE = Path(__file__).parents[1] / "runtime" / "fixtures" / "tiny.gymbal"
FIVE_MINUTES = ScenarioConfig(fleet=FleetConfig(episode_s=300.0, num_vms=(2, 4), max_vms=4))


@pytest.fixture(scope="session")
def bundle_file() -> Path:
    return BUNDLE


@pytest.fixture(scope="session")
def short_scenarios() -> ScenarioConfig:
    return FIVE_MINUTES


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
