"""The cache as it is without any rule: everybody shares all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.partitioning import Memory, PartitionHeuristic
from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.telemetry import Telemetry


@dataclass(frozen=True, eq=False)
class Shared(PartitionHeuristic):
    """One class with all units: free competition, as hardware does it by itself.

    Attributes:
        period_s: s; the answer never changes, so it has no effect.
    """

    name = "shared"

    def __post_init__(self) -> None:
        check_range(self.name, period_s=(self.period_s, 0.0, np.inf))

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        shape = limits.present.shape
        units = np.broadcast_to(limits.units[:, None], shape)
        return np.zeros(shape, dtype=np.int64), units
