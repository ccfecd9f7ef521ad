"""The oracle of overloads: plans each cluster's whole episode, and carries the plan out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.cluster_plans import Plan, Player, put_orders
from gymbal_agents.oracles.cluster_search import PlanSearch, SearchSettings, portfolio
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools

Floats = NDArray[np.float64]


class OverloadOracle(ClusterAgent):
    """Knows the true state and the true future, and tries in exact copies what to do about it.

    It plans where an episode begins, and where it has been reset; the search is `PlanSearch`.

    Args:
        worlds: the clusters to look into.
        settings: how much is tried.
        agents: the portfolio that the search starts from, besides the clairvoyant's plan.
        name: how tables call this agent.
    """

    def __init__(
        self,
        worlds: ClusterWorlds,
        settings: SearchSettings | None = None,
        agents: Callable[[], Sequence[ClusterAgent]] = portfolio,
        name: str = "oracle",
    ) -> None:
        self.name = name
        self.worlds = worlds
        self.search = PlanSearch(worlds, settings, agents)
        self.plans: list[Plan | None] = [None] * worlds.num_worlds
        self.expected = np.zeros(worlds.num_worlds)  # (C,) reward of the rest when it was planned
        self._players: list[tuple[NDArray[np.int64], Player]] = []
        self._unplanned = np.ones(worlds.num_worlds, dtype=np.bool_)

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Plan the marked clusters (C,), or all of them, at the next decision."""
        self._unplanned |= True if worlds is None else worlds

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """What the plans say."""
        begins = self.worlds.engine.cluster[:, at.TIME] == 0.0
        which = np.flatnonzero(self._unplanned | begins)
        if which.size:
            self._plan(which)
        orders = Orders.none(*telemetry.shape)
        for clusters, player in self._players:
            put_orders(orders, clusters, player.orders(telemetry.take_clusters(clusters)))
        return orders

    def _plan(self, which: NDArray[np.int64]) -> None:
        plans, value = self.search(which)
        for c, plan in zip(which, plans, strict=True):
            self.plans[c] = plan
        self.expected[which] = value
        self._unplanned[which] = False
        kept = [(clusters, player) for clusters, player in self._players]
        self._players = [(which, Player(plans))]
        for clusters, player in kept:
            stay = ~np.isin(clusters, which)
            if stay.any():
                self._players.append((clusters[stay], player.only(np.flatnonzero(stay))))


def clairvoyant(worlds: ClusterWorlds) -> OverloadOracle:
    """Knows the future, but tries nothing: the plan of the placement problem as it is."""
    return OverloadOracle(worlds, SearchSettings(tries=0), tuple, name="clairvoyant")
