"""Qubes OS qmemman: everybody's preferred memory first, then the rest in proportion to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import MIB, actual_bytes, bounds, used_bytes
from gymbal_runtime.heuristics.split import host_sum, water_fill
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Qmemman(PeriodicHeuristic):
    """Split by preference, which is what a guest uses plus room for its page cache.

    Preferred memory is 1.3 x used, from 200 MiB up to the guest's maximum. If all preferences fit,
    the surplus is spread in proportion to them. If not, guests above theirs (donors) shrink to it,
    and what they free is spread over the others (acceptors) in proportion to preference; nobody
    below his preference gives anything.

    Source: Qubes OS, qubes-core-admin qubes/qmemman/algo.py (rule described, no code taken). There
    acceptors wait until donors have given; here both are told at once, and the floors of telemetry
    bound preferences from below. The boost of dom0 has no counterpart.

    Attributes:
        cache_factor: 1, preferred memory per used memory.
        least_preferred_bytes: bytes, least preference.
        least_donation_bytes: bytes, donors closer than that to their preference are let alone.
        spread_frac: 1, part of the memory to be spread that is spread, against rounding.
        period_s: s; the original reacts to guests' reports, which come about this often.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "cache_factor": (1.0, 2.0),
        "least_preferred_bytes": (50 * MIB, 1024 * MIB),
    }
    name = "qmemman"

    cache_factor: float = 1.3
    least_preferred_bytes: float = 200 * MIB
    least_donation_bytes: float = 10 * MIB
    spread_frac: float = 0.999
    period_s: float = 1.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            cache_factor=(self.cache_factor, 0.0, np.inf),
            least_preferred_bytes=(self.least_preferred_bytes, 0.0, np.inf),
            least_donation_bytes=(self.least_donation_bytes, 0.0, np.inf),
            spread_frac=(self.spread_frac, 0.0, 1.0),
        )

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        _, high = bounds(telemetry)
        budget, present = telemetry.budget_bytes, telemetry.present
        preferred = self._preferred(telemetry)
        fits = host_sum(preferred, present) <= budget
        spread = np.maximum(self.spread_frac * budget, host_sum(preferred, present))
        enough = water_fill(preferred, preferred, high, spread, present)
        if fits.all():
            return enough
        return np.where(fits[:, None], enough, self._when_short(telemetry, preferred))

    def _preferred(self, telemetry: Telemetry) -> Floats:
        """Preferred memory (H, V) bytes within bounds; what it holds where use is unknown."""
        low, high = bounds(telemetry)
        wanted = np.maximum(self.cache_factor * used_bytes(telemetry), self.least_preferred_bytes)
        wanted = np.where(np.isnan(telemetry.usable_bytes), actual_bytes(telemetry), wanted)
        return np.clip(wanted, low, high)

    def _when_short(self, telemetry: Telemetry, preferred: Floats) -> Floats:
        """Targets (H, V) bytes where preferences exceed the budget."""
        low, high = bounds(telemetry)
        present = telemetry.present
        actual = np.clip(actual_bytes(telemetry), low, high)
        donates = actual - preferred >= self.least_donation_bytes
        kept = np.where(donates, preferred, actual)
        freed = np.maximum(telemetry.budget_bytes - host_sum(kept, present), 0.0)
        accepts = present & (actual < preferred)
        weight = np.where(accepts, preferred, 0.0)
        part = weight / np.maximum(host_sum(weight, present), 1.0)[:, None]
        return np.minimum(kept + part * (self.spread_frac * freed)[:, None], high)
