"""oVirt MOM: all guests shrink a little under host pressure, and grow a little without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import actual_bytes, bounds, host_free_frac, used_bytes
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Mom(PeriodicHeuristic):
    """Balloon rules of the Memory Overcommitment Manager.

    While the host's free memory (moving average) is below the pressure threshold, every guest
    shrinks towards what it uses plus a free part that is scaled down with the host's own; below
    the critical threshold that part turns negative, which makes guests swap. Otherwise every guest
    grows. No guest changes by more than 5 % a round, except to keep its free part when growing.

    Source: oVirt MOM, doc/balloon.rules and doc/mom-balloon.conf (rule described, no code taken).
    The published rules bound a guest by the *lesser* of its floor and its need, and use a variable
    in the growing rule that is not defined there; this is the version with the greater of the two
    and the unscaled free part, which is what the comments of that file describe.

    Attributes:
        pressure_frac: 1, host free memory below which guests shrink.
        critical_frac: 1, host free memory from which guests are made to swap.
        guest_free_frac: 1, part of its memory that an unconstrained guest keeps free.
        max_change_frac: 1, largest change in a round.
        dead_band_frac: 1, smallest change worth a balloon operation.
        window: samples in the moving average of the host's free memory; 10 in the sample config.
        period_s: s, of the sample config.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "pressure_frac": (0.01, 0.4),
        "critical_frac": (0.0, 0.1),
        "guest_free_frac": (0.02, 0.4),
        "max_change_frac": (0.01, 0.25),
        "dead_band_frac": (0.0, 0.02),
    }
    name = "mom"

    pressure_frac: float = 0.20
    critical_frac: float = 0.05
    guest_free_frac: float = 0.20
    max_change_frac: float = 0.05
    dead_band_frac: float = 0.0025
    window: int = 10
    period_s: float = 5.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            pressure_frac=(self.pressure_frac, 1e-6, 1.0),
            critical_frac=(self.critical_frac, 0.0, 1.0),
            guest_free_frac=(self.guest_free_frac, 0.0, 1.0),
            max_change_frac=(self.max_change_frac, 0.0, 1.0),
            dead_band_frac=(self.dead_band_frac, 0.0, 1.0),
            window=(self.window, 1, 10_000),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        return {**shapes, "free_frac": (num_hosts, self.window)}

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, high = bounds(telemetry)
        actual, used = actual_bytes(telemetry), used_bytes(telemetry)
        host_free = self._averaged_free(telemetry, due)[:, None]
        scaled = self.guest_free_frac * host_free / self.pressure_frac
        spare = np.where(host_free <= self.critical_frac, host_free - self.critical_frac, scaled)
        least = np.maximum(low, used + spare * actual)
        shrunk = np.maximum((1.0 - self.max_change_frac) * actual, least)
        roomy = np.maximum(low, used + self.guest_free_frac * actual)
        grown = np.minimum(np.maximum((1.0 + self.max_change_frac) * actual, roomy), high)
        # Neither rule may act against its own direction.
        target = np.where(
            host_free < self.pressure_frac, np.minimum(shrunk, actual), np.maximum(grown, actual)
        )
        small = np.abs(target - actual) <= self.dead_band_frac * actual
        return np.where(small, actual, target)

    def _averaged_free(self, telemetry: Telemetry, due: Bools) -> Floats:
        """Host free memory (H,), the mean of the newest samples including this one."""
        seen = np.roll(self._state["free_frac"], -1, axis=1)
        seen[:, -1] = host_free_frac(telemetry)
        self._state["free_frac"][due] = seen[due]
        sampled = ~np.isnan(seen)
        mean: Floats = np.where(sampled, seen, 0.0).sum(axis=1) / sampled.sum(axis=1)
        return mean
