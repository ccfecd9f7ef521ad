"""Who decides about moves between sites: heuristics, oracles and policies behind one protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gymbal_runtime.sites.orders import SitesOrders
from gymbal_runtime.sites.telemetry import SitesTelemetry
from gymbal_runtime.telemetry import Bools


@runtime_checkable
class SitesAgent(Protocol):
    """Decides for B worlds at once, from telemetry alone; as `gymbal_runtime.agent.Agent`."""

    name: str

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked worlds (all where ``worlds`` is None); from now on expect this shape.

        Args:
            num_worlds: B.
            num_vms: V.
            worlds: (B,) those to forget.
        """

    def act(self, telemetry: SitesTelemetry) -> SitesOrders:
        """Decide for every VM of every world of the record."""
        ...
