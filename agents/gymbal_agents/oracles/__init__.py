"""Agents that cheat: they know the simulator's state and the future. Bounds, not baselines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gymbal_agents.oracles.lookahead import HorizonOracle, PresentOracle
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.agent import Agent
from gymbal_runtime.tasks import (
    CLUSTER,
    CONSOLIDATION,
    OVERLOAD,
    PLACEMENT,
    SITES,
    TASKS,
    check_task,
)


def _present(worlds: HostWorlds) -> Agent:
    return PresentOracle(worlds.engine, worlds.config.id)


def _horizon(worlds: HostWorlds) -> Agent:
    return HorizonOracle(worlds.engine, worlds.config.id, worlds.config.weights)


def _sites(worlds: Any) -> Any:
    from gymbal_agents.oracles.sites_plans import SitesOracle

    return SitesOracle(worlds.engine, worlds.config.weights)


def _overload(worlds: Any) -> Any:
    from gymbal_agents.oracles.cluster_oracle import OverloadOracle

    return OverloadOracle(worlds)


def _clairvoyant(worlds: Any) -> Any:
    from gymbal_agents.oracles.cluster_oracle import clairvoyant

    return clairvoyant(worlds)


def _centre(worlds: Any) -> Any:
    from gymbal_agents.oracles.centre_plans import CentreOracle

    return CentreOracle(worlds)


def _placement(worlds: Any) -> Any:
    from gymbal_agents.oracles.placement_oracle import PlacementOracle

    return PlacementOracle(worlds)


_ORACLES: dict[str, dict[str, Callable[[Any], Agent]]] = {
    **{task: {"oracle_now": _present, "oracle": _horizon} for task in TASKS},
    SITES: {"oracle": _sites},
    OVERLOAD: {"clairvoyant": _clairvoyant, "oracle": _overload},
    CLUSTER: {},
    CONSOLIDATION: {"oracle": _centre},
    PLACEMENT: {"oracle": _placement},
}


def oracles_of(task: str) -> dict[str, Callable[[Any], Agent]]:
    """The oracles of a task by name.

    ``oracle`` knows the future and tries its plans in copies of the worlds; ``oracle_now`` knows
    the present; ``clairvoyant`` knows the future demand of clusters and tries nothing.

    Raises:
        ValueError: there is no such task.
    """
    check_task(task)
    return dict(_ORACLES[task])
