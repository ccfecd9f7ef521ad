"""Who decides for data centres: heuristics, oracles and policies behind one protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.telemetry import Bools


@runtime_checkable
class CentreAgent(Protocol):
    """Decides for C centres at once, from telemetry alone; as `gymbal_runtime.agent.Agent`."""

    name: str

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked centres (all where ``worlds`` is None); expect this shape.

        Args:
            num_worlds: C.
            num_vms: V.
            worlds: (C,) those to forget.
        """

    def act(self, telemetry: CentreTelemetry) -> CentreOrders:
        """Decide for every VM and host of every centre of the record."""
        ...
