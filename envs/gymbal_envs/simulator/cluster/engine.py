"""The batched engine of clusters: C clusters of H hosts, one set of tables, one kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.loading import load_cluster
from gymbal_envs.simulator.cluster.params import ClusterParams
from gymbal_envs.simulator.cluster.readings import (
    MEASURED,
    measured,
    read_cluster,
    read_powered,
)
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.cluster.transition import advance_clusters, begin_cluster
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.host_power import (
    NUM_POWER_FIXED,
    NUM_POWER_OUTCOME,
    NUM_POWER_STATE,
)
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_envs.simulator.work_sharing import WorkSharing
from gymbal_runtime.centre.orders import LEAVE
from gymbal_runtime.centre.rules.power import NUM_LEVELS
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.command import Command

Floats = NDArray[np.float64]

_PER_CLUSTER = ("cluster", "pages", "link")
_PER_HOST = ("member", "guest", "slot", "power", "power_fixed", "power_outcome", "watts")


class ClusterEngine:
    """C independent clusters of up to H hosts with up to V VMs each, advanced together.

    Host h of cluster c is row ``c * H + h`` of ``hosts`` and of every other table with a row per
    host (`layout`). Deterministic: a cluster's bytes depend on its scenario, orders and commands
    alone, not on C, on its place in the batch, or on the number of threads.

    Args:
        num_clusters: C.
        num_hosts: H, places for hosts of each cluster.
        num_vms: V, slots of each host.
        num_knots: demand knots of the longest scenario that will be loaded.
        params: physical constants of hosts.
        cluster: physical constants of clusters.
        num_threads: threads that share the clusters.
    """

    def __init__(
        self,
        num_clusters: int,
        num_hosts: int,
        num_vms: int,
        num_knots: int,
        params: PhysicsParams | None = None,
        cluster: ClusterParams | None = None,
        num_threads: int = 1,
    ) -> None:
        self.num_clusters, self.num_hosts, self.num_vms = num_clusters, num_hosts, num_vms
        self.params = params or PhysicsParams()
        self.cluster_params = cluster or ClusterParams()
        c, h, v = num_clusters, num_hosts, num_vms
        n = c * h
        self.hosts = Engine(n, v, num_knots, self.params)
        self.cluster = np.zeros((c, at.NUM_CLUSTER))
        self.member = np.zeros((n, at.NUM_MEMBER))
        self.guest = np.zeros((n, at.NUM_GUEST, v))
        self.slot = np.zeros((n, v, at.FAR_AT + h))
        self.pages = np.zeros((c, at.NUM_PAGES, h, h))
        self.link = np.zeros((c, at.NUM_LINK, 2 * h + 2))
        self.power = np.zeros((n, NUM_POWER_STATE))
        self.power_fixed = np.zeros((n, NUM_POWER_FIXED))
        self.power_outcome = np.zeros((n, NUM_POWER_OUTCOME))
        self.watts = np.zeros((n, NUM_LEVELS))
        self.orders = np.zeros((c, at.NUM_ORDER, h, v))
        self._tables = Tables(**{name: self._table(name) for name in Tables._fields})
        self._host_tables = HostTables(**{name: self._table(name) for name in HostTables._fields})
        self.interval_s = self.params.clock.control_interval_s
        self.work = WorkSharing(c, num_threads, h)

    def _table(self, name: str) -> NDArray[Any]:
        own = name in _PER_CLUSTER or name in _PER_HOST
        table: NDArray[Any] = getattr(self if own else self.hosts, name)
        return table

    def rows(self, c: int) -> range:
        """Rows of the hosts of cluster ``c``."""
        return range(c * self.num_hosts, (c + 1) * self.num_hosts)

    def span(self, c: int) -> slice:
        """The same as a slice."""
        return slice(c * self.num_hosts, (c + 1) * self.num_hosts)

    def load(self, which: Sequence[int], scenarios: Sequence[ClusterScenario]) -> None:
        """Start the given clusters on new scenarios.

        Raises:
            ScenarioError: if a scenario has more hosts, slots or knots than the engine.
        """
        for c, scenario in zip(which, scenarios, strict=True):
            load_cluster(self, c, scenario)
            begin_cluster(self._tables, c)

    def step(
        self, orders: Orders, local: Command, num_ticks: int | None = None, goes_on: bool = False
    ) -> None:
        """Carry out orders and the commands for (C * H, V) VMs and advance, by one interval.

        What cannot be done is refused and counted.

        Args:
            orders: to the clusters.
            local: to their hosts.
            num_ticks: physics steps; by default those of one interval.
            goes_on: this is a further part of the same interval: what happened is added up.

        Raises:
            ValueError: if the orders do not fit the clusters.
        """
        shape = (self.num_clusters, self.num_hosts, self.num_vms)
        orders.check(shape)
        self.hosts.tell(local)
        self.orders[:, at.ORDER_VERB] = orders.verb
        self.orders[:, at.ORDER_TARGET] = orders.target
        self.member[:, at.POOL_TOLD] = orders.pool_bytes.reshape(-1)
        self.cluster[:, at.POOLED] = (~np.isnan(orders.pool_bytes)).any(axis=1)
        self.member[:, at.POWER_TOLD] = LEAVE if orders.power is None else orders.power.reshape(-1)
        ticks = self.params.clock.ticks_per_decision if num_ticks is None else num_ticks
        passed_s = self.interval_s if goes_on else 0.0
        self.interval_s = passed_s + ticks * self.params.clock.tick_s
        self.work.run(lambda first, last: self._advance(first, last, ticks, goes_on))

    def _advance(self, first: int, last: int, ticks: int, goes_on: bool) -> None:
        tables = (self._tables, self._host_tables, self.orders)
        advance_clusters(first, last, ticks, goes_on, *tables)

    def telemetry(self) -> ClusterTelemetry:
        """What the clusters report now."""
        return read_cluster(self)

    def powered_telemetry(self) -> PoweredTelemetry:
        """The same, with what hosts draw and which VMs wait for one."""
        return read_powered(self)

    def measured(self, names: Iterable[str] = MEASURED) -> dict[str, Floats]:
        """What happened in the last interval, one number per cluster; see `readings.measured`."""
        return measured(self, names)

    def copy_clusters(self, source: ClusterEngine, origin: NDArray[np.int64]) -> None:
        """Make cluster i the exact twin of ``source``'s cluster ``origin[i]``, to look ahead."""
        origin = np.asarray(origin, dtype=np.int64)
        rows = (origin[:, None] * self.num_hosts + np.arange(self.num_hosts)).ravel()
        self.hosts.copy_worlds(source.hosts, rows)
        np.take(source.hosts.outcome, rows, axis=0, out=self.hosts.outcome)
        for names, index in ((_PER_CLUSTER, origin), (_PER_HOST, rows)):
            for name in names:
                np.take(getattr(source, name), index, axis=0, out=getattr(self, name))
        self.interval_s = source.interval_s
