"""Fixed partition: the budget is divided once and stays divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import bounds, shares
from gymbal_runtime.heuristics.split import water_fill
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Static(PeriodicHeuristic):
    """Every VM gets the budget in proportion to its shares, within its bounds, whatever it does.

    Attributes:
        share_exponent: 1, the weight is shares ** share_exponent: 1 follows the shares, 0 splits
            equally. A convention, no published constant.
        period_s: s, the answer depends on configuration alone, so it is simply given anew.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {"share_exponent": (0.0, 2.0)}
    name = "static"

    share_exponent: float = 1.0
    period_s: float = 0.0

    def __post_init__(self) -> None:
        check_range(self.name, share_exponent=(self.share_exponent, 0.0, 10.0))

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, high = bounds(telemetry)
        weights = shares(telemetry) ** self.share_exponent
        return water_fill(weights, low, high, telemetry.budget_bytes, telemetry.present)
