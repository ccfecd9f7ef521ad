"""Who decides for clusters: heuristics, oracles and learned policies meet behind one protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools


@runtime_checkable
class ClusterAgent(Protocol):
    """Decides for C clusters at once, from telemetry alone.

    As `gymbal_runtime.agent.Agent`, with clusters in the place of hosts: ``reset`` makes it forget
    the marked clusters, and ``act`` treats every cluster on its own and changes no record. The
    memory of each host is divided by an agent for hosts beside it.
    """

    name: str

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked clusters (all where ``worlds`` is None); expect this shape."""

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """Decide for every cluster of the record."""
        ...
