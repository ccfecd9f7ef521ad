"""Memory in proportion to an estimate of need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import actual_bytes, bounds, known, used_bytes
from gymbal_runtime.heuristics.split import water_fill
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Proportional(PeriodicHeuristic):
    """The whole budget in proportion to what each VM seems to need, shares left aside.

    The rule behind Hyper-V Dynamic Memory's "needed memory plus a buffer" (models.md section 4),
    with the buffer being whatever the budget allows.

    Attributes:
        estimate: "used" is what the guest could not give without swapping; "active" is what was
            sampled as touched lately.
        swap_weight: 1, part of the memory in swap that counts as needed; ours, 0 in the rule.
        base_frac: 1, part of its provisioned memory that a VM needs anyway; ours, 0 in the rule.
        period_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "swap_weight": (0.0, 0.2),
        "base_frac": (0.0, 0.05),
    }
    name = "proportional"

    estimate: Literal["used", "active"] = "used"
    swap_weight: float = 0.0
    base_frac: float = 0.0
    period_s: float = 10.0

    def __post_init__(self) -> None:
        if self.estimate not in ("used", "active"):
            raise ValueError(f"{self.name}: no estimate {self.estimate!r}; there are used, active")
        check_range(
            self.name,
            swap_weight=(self.swap_weight, 0.0, np.inf),
            base_frac=(self.base_frac, 0.0, 1.0),
        )

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, high = bounds(telemetry)
        present = telemetry.present
        if self.estimate == "used":
            need = used_bytes(telemetry)
        else:
            need = known(telemetry.active_bytes, actual_bytes(telemetry), present)
        need = need + self.base_frac * high
        need += self.swap_weight * known(telemetry.swap_used_bytes, 0.0, present)
        return water_fill(need, low, high, telemetry.budget_bytes, present)
