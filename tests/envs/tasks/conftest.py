"""Small balloon tasks to play with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.scenarios.source import ScenarioConfig
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.worlds import HostWorlds


def worlds_of(
    scenarios: Sequence[Scenario], config: TaskConfig | None = None, episode_steps: int = 1000
) -> HostWorlds:
    """The task on given scenarios, one world each, reset."""
    worlds = HostWorlds(
        lambda index: scenarios[index % len(scenarios)],
        len(scenarios),
        WorldShape(scenarios[0].num_vms, scenarios[0].num_knots, episode_steps),
        config,
    )
    worlds.reset()
    return worlds


def fleet_of(num_vms: int, **changes: Any) -> ScenarioConfig:
    """Scenarios with exactly ``num_vms`` VMs and no empty slot."""
    return ScenarioConfig(fleet=FleetConfig(num_vms=(num_vms, num_vms), max_vms=num_vms, **changes))


@pytest.fixture(scope="session", name="worlds_of")
def _worlds_of() -> Callable[..., HostWorlds]:
    return worlds_of


@pytest.fixture(scope="session", name="fleet_of")
def _fleet_of() -> Callable[..., ScenarioConfig]:
    return fleet_of
