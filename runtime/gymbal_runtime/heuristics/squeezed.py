"""XenServer squeezed: every guest at the same point between its floor and its ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import MIB, actual_bytes, bounds
from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Squeezed(PeriodicHeuristic):
    """target = min + gamma (max - min) with one gamma per host, whatever guests do.

    gamma = clip(surplus / sum(max - min), 0, 1), where the surplus is the budget less the floors. A
    guest that was told to move and has not is inactive: it is taken to keep what it holds, and the
    others share what that leaves. It is asked again the next time.

    Source: XenServer (xapi) squeezed, its design document and squeeze.ml (rule described, no code
    taken; models.md section 4). There a guest is inactive after 5 s without progress; here between
    two decisions.

    Attributes:
        tolerance_bytes: bytes, a guest closer than that to its target has reached it, and one that
            moved by less has not moved. 4 MiB, ours.
        period_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {"tolerance_bytes": (1 * MIB, 64 * MIB)}
    name = "squeezed"

    tolerance_bytes: float = 4 * MIB
    period_s: float = 10.0

    def __post_init__(self) -> None:
        check_range(self.name, tolerance_bytes=(self.tolerance_bytes, 0.0, np.inf))

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        return {**shapes, "held_bytes": (num_hosts, num_vms)}

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, high = bounds(telemetry)
        present = telemetry.present
        actual = np.clip(actual_bytes(telemetry), low, high)
        inactive = self._inactive(telemetry, due)
        floor = np.where(inactive, actual, low)
        span = np.where(inactive, 0.0, high - low)
        surplus = telemetry.budget_bytes - host_sum(floor, present)
        gamma = np.clip(surplus / np.maximum(host_sum(span, present), 1.0), 0.0, 1.0)
        return floor + gamma[:, None] * span

    def _inactive(self, telemetry: Telemetry, due: Bools) -> Bools:
        """Guests (H, V) that were told to move and have not since the last decision."""
        actual, target = actual_bytes(telemetry), self._state["target_bytes"]
        held = self._state["held_bytes"]
        # NaN, where nothing is remembered, compares false: such a guest is active.
        away = np.abs(actual - target) > self.tolerance_bytes
        inactive: Bools = away & (np.abs(actual - held) < self.tolerance_bytes)
        held[due] = np.where(telemetry.present, actual, np.nan)[due]
        return inactive
