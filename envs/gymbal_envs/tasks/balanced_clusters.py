"""Clusters whose hosts divide their memory by themselves, whatever is decided about the cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.tasks.batch import Worlds
from gymbal_envs.tasks.config import ClusterSettings
from gymbal_envs.tasks.recording import Viewer
from gymbal_runtime.agent import Agent
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.spare import leave_spare, thrifty
from gymbal_runtime.cluster.squeeze import squeeze
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.command import Command
from gymbal_runtime.guard import guard
from gymbal_runtime.heuristics.static import Static
from gymbal_runtime.telemetry import Floats

STATIC_ROOM_FRAC = 0.1
"""Part of a host that a static division leaves free for arrivals."""

RecordT = TypeVar("RecordT", bound=ClusterTelemetry)


class BalancedClusters(Worlds[RecordT, Orders]):
    """C clusters with a local agent on every host; orders come on top.

    Its arguments are those of `Worlds`.
    """

    engine: ClusterEngine

    def _open(self, num_threads: int) -> None:
        settings = self.config.cluster or ClusterSettings()
        sizes = (self.num_worlds, self.num_hosts, self.num_vms, self.shape.num_knots)
        self.engine = ClusterEngine(*sizes, self.config.physics, settings.params, num_threads)
        self.local: Agent = settings.local.agent()
        self._static = Static()
        self._kept_frac = settings.local.kept_frac

    def local_command(self, orders: Orders) -> Command:
        """What the hosts are told beside the orders, (C * H, V).

        Where local agents do not balance, memory is divided statically, by shares; there as well a
        part stays free, or nobody could ever come.
        """
        hosts = self.telemetry.hosts
        balanced = self.local.act(hosts).balloon_bytes
        fixed = np.repeat(~orders.balance, self.num_hosts)[:, None]
        if fixed.any():
            less = replace(hosts, budget_bytes=hosts.budget_bytes * (1.0 - STATIC_ROOM_FRAC))
            balanced = np.where(fixed, self._static.act(less).balloon_bytes, balanced)
        command = Command(balanced)
        spared = leave_spare(command, hosts, self._kept(orders)).balloon_bytes
        command = Command(np.where(fixed, balanced, spared))
        allowed, _ = guard(squeeze(command, self.telemetry), hosts, self.config.guard)
        return allowed

    def _kept(self, orders: Orders) -> float | Floats:
        """Part of the unused memory that stays with the hosts, as set or as they are told."""
        if orders.thrift is None:
            return self._kept_frac
        return thrifty(self._kept_frac, orders.thrift.ravel())

    def viewer(self) -> Viewer:
        """Somebody who watches cluster 0 from now on."""
        from gymbal_envs.tasks.cluster_viewer import ClusterViewer

        return ClusterViewer(self)

    def _reset_agents(self, ended: NDArray[np.bool_] | None = None) -> None:
        super()._reset_agents(ended)
        rows = None if ended is None else np.repeat(ended, self.num_hosts)
        for agent in (self.local, self._static):
            agent.reset(self.num_worlds * self.num_hosts, self.num_vms, rows)
