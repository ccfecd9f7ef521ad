"""What the rules have in common that divide a cache by miss curves averaged over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.cache.partitioning import PartitionHeuristic
from gymbal_runtime.heuristics.periodic import check_range


@dataclass(frozen=True, eq=False)
class CurveHeuristic(PartitionHeuristic):
    """A rule with a mean of curves, a threshold for changes, and a choice of what to add up.

    Attributes:
        period_s: s, as in `TimedHeuristic`.
        history: 1, weight of the past in the mean of the curves.
        min_gain_frac: 1, a new partition is put into force only if its predicted cost is lower
            than that of the one in force, under today's curves, by this fraction.
        by_stall: minimise estimated lost progress times the owners' shares, and not misses.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "history": (0.0, 0.95),
        "min_gain_frac": (0.0, 0.5),
        "period_s": (5.0, 60.0),
    }

    history: float = 0.5
    min_gain_frac: float = 0.0
    by_stall: bool = False

    def __post_init__(self) -> None:
        check_range(
            self.name,
            period_s=(self.period_s, 0.0, np.inf),
            history=(self.history, 0.0, 0.999),
            min_gain_frac=(self.min_gain_frac, 0.0, 1.0),
        )
