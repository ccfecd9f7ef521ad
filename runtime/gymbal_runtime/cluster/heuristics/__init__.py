"""Published answers to overloaded hosts, as agents of clusters: for comparison and as prior."""

from __future__ import annotations

from typing import Any

from gymbal_runtime.building import build
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.heuristics.balance_first import BalanceFirst
from gymbal_runtime.cluster.heuristics.layered import (
    Layered,
    LayeredLocal,
    LayeredMigration,
    LayeredRemote,
)
from gymbal_runtime.cluster.heuristics.mom_migrate import MomMigrate
from gymbal_runtime.cluster.heuristics.overdriver import Overdriver
from gymbal_runtime.cluster.heuristics.rule import ClusterRule
from gymbal_runtime.cluster.heuristics.waiting import Always, Delay, Never, SkiRental

_ALL = (Never, Always, Delay, SkiRental, Overdriver, MomMigrate, BalanceFirst)

OVERLOAD_HEURISTICS: dict[str, type[ClusterRule]] = {rule.name: rule for rule in _ALL}
"""Every rule for overloaded hosts by the name under which configurations and bundles know it."""

CLUSTER_HEURISTICS: dict[str, type[ClusterRule]] = {
    stack.name: stack for stack in (LayeredLocal, LayeredRemote, LayeredMigration, Layered)
}
"""Every stack of layers for whole clusters, the same; each has those of the one before."""


def make_cluster_heuristic(name: str, **options: Any) -> ClusterAgent:
    """Build a rule for clusters by name.

    Args:
        name: a key of `OVERLOAD_HEURISTICS` or `CLUSTER_HEURISTICS`.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such rule or it has no such option (the message lists those that
            exist), or if an option is out of range.
    """
    agent: ClusterAgent = build(
        "heuristic", OVERLOAD_HEURISTICS | CLUSTER_HEURISTICS, name, options
    )
    return agent


__all__ = ["CLUSTER_HEURISTICS", "OVERLOAD_HEURISTICS", "ClusterRule", "make_cluster_heuristic"]
