"""VMware ESX: shares, idle memory tax and reclaim states (Waldspurger, OSDI 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import (
    actual_bytes,
    bounds,
    host_free_frac,
    known,
    shares,
)
from gymbal_runtime.heuristics.split import host_sum, water_fill
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

_HIGH, _SOFT = 0.0, 1.0
"""Reclaim states in order of pressure; hard and low are 2 and 3."""


@dataclass(frozen=True, eq=False)
class Esx(PeriodicHeuristic):
    """Min-funding revocation at its equilibrium, done only when memory is short.

    A page is worth rho = S / (P (f + k (1 - f))) to a VM with S shares, P pages and active
    fraction f, where an idle page costs k = 1 / (1 - tau) times an active one. Pages move from the
    least rho to the greatest until all are equal, thus P is proportional to S / (f + k (1 - f))
    within [min, max].

    Source: Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002, sections 5
    and 6; constants from there, period and balloon limit from the ESX 3 manual (models.md 3.1).

    Attributes:
        idle_tax: 1, tau.
        high_frac: 1, free memory from which nothing is reclaimed any more.
        soft_frac: 1, free memory below which balloons inflate.
        hard_frac: 1, free memory below which the host pages too.
        low_frac: 1, free memory below which VMs above target are blocked too.
        max_balloon_frac: 1, largest part of a VM's memory that its balloon may take in state soft.
        period_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "idle_tax": (0.0, 0.95),
        "soft_frac": (0.02, 0.06),
        "max_balloon_frac": (0.3, 0.95),
    }
    name = "esx"

    idle_tax: float = 0.75
    high_frac: float = 0.06
    soft_frac: float = 0.04
    hard_frac: float = 0.02
    low_frac: float = 0.01
    max_balloon_frac: float = 0.65
    period_s: float = 15.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            idle_tax=(self.idle_tax, 0.0, 0.999),
            high_frac=(self.high_frac, 0.0, 1.0),
            soft_frac=(self.soft_frac, 0.0, self.high_frac),
            hard_frac=(self.hard_frac, 0.0, self.soft_frac),
            low_frac=(self.low_frac, 0.0, self.hard_frac),
            max_balloon_frac=(self.max_balloon_frac, 0.0, 1.0),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        return {**super()._state_shapes(num_hosts, num_vms), "reclaim": (num_hosts,)}

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, high = bounds(telemetry)
        budget, present = telemetry.budget_bytes, telemetry.present
        actual = np.clip(actual_bytes(telemetry), low, high)
        worth = self._worth(telemetry)
        state = self._reclaim_state(telemetry, due)
        # A balloon alone cannot take more than its limit; from state hard on the host pages.
        limit = np.maximum(low, (1.0 - self.max_balloon_frac) * high)
        gently = (state == _SOFT) & (host_sum(limit, present) <= budget)
        floor = np.where(gently[:, None], limit, low)
        entitled = water_fill(worth, floor, high, budget, present)
        # Without pressure nobody loses: VMs below their entitlement grow into what is free.
        calm = state == _HIGH
        if not calm.any():
            return entitled
        grown = water_fill(worth, actual, np.maximum(actual, entitled), budget, present)
        return np.where(calm[:, None], grown, entitled)

    def _worth(self, telemetry: Telemetry) -> Floats:
        """S / (f + k (1 - f)), (H, V); a VM whose activity is unknown counts as fully active."""
        actual = actual_bytes(telemetry)
        active = known(telemetry.active_bytes, actual, telemetry.present)
        f = np.clip(active / np.maximum(actual, 1.0), 0.0, 1.0)
        k = 1.0 / (1.0 - self.idle_tax)
        worth: Floats = shares(telemetry) / (f + k * (1.0 - f))
        return worth

    def _reclaim_state(self, telemetry: Telemetry, due: Bools) -> Floats:
        """Reclaim state (H,) after this record, 0 high to 3 low.

        A state is entered when free memory falls below its threshold, and left for a better one
        only when free memory has reached that one's threshold again.
        """
        free = host_free_frac(telemetry)
        thresholds = (self.high_frac, self.soft_frac, self.hard_frac, self.low_frac)
        below = [(free < threshold).astype(np.float64) for threshold in thresholds]
        at_least, at_most = below[1] + below[2] + below[3], below[0] + below[1] + below[2]
        before = self._state["reclaim"]
        before = np.where(np.isnan(before), at_least, before)
        state = np.clip(before, at_least, at_most)
        self._state["reclaim"][due] = state[due]
        return state
