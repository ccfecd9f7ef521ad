"""The static partition: equal parts for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.partitioning import Memory, PartitionHeuristic
from gymbal_runtime.heuristics.cache.way_split import equal_classes, equal_parts, of_class
from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.telemetry import Telemetry


@dataclass(frozen=True, eq=False)
class Equal(PartitionHeuristic):
    """As many units for every VM; neighbours share where classes or units are too few.

    The static CAT of the literature (dCat's comparison, models.md 8.2). Units that do not divide
    evenly go to the first slots.

    Attributes:
        period_s: s; the answer never changes, so it has no effect.
    """

    name = "equal"

    def __post_init__(self) -> None:
        check_range(self.name, period_s=(self.period_s, 0.0, np.inf))

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        vm_class = equal_classes(limits)
        return vm_class, of_class(equal_parts(vm_class, limits), vm_class, limits.present)
