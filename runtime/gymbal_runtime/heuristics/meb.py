"""MEB: dynamic memory balancing by miss curves (Zhao and Wang, VEE 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.miss_curve import MissCurve, least_misses
from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import actual_bytes, bounds, shares
from gymbal_runtime.heuristics.split import host_sum, project_to_budget, water_fill
from gymbal_runtime.telemetry import NUM_LRU_SLICES, Bools, Floats, Telemetry
from gymbal_runtime.workingset import working_set_frac

_ROUNDING = 1e-9
"""1, how much of a budget is taken to be rounding."""


@dataclass(frozen=True, eq=False)
class Meb(PeriodicHeuristic):
    """Predict what every VM needs; share the slack, or take memory where it is missed least.

    Two predictors: a VM that swaps needs what it holds plus what it lacks; any other needs
    WSS_delta, the least memory with a miss ratio of delta by its LRU histogram. If all needs fit,
    the slack is shared in proportion to need. If not, memory is split so that the fewest misses
    are predicted. The paper gets there by a pairwise hill climb with shrinking step; we go to the
    split where such a climb ends (``least_misses``), which is exact, and fast in batches.

    Source: Zhao and Wang, "Dynamic Memory Balancing for Virtual Machines", VEE 2009; the rules as
    reconstructed in models.md section 2.2 (the paper's wording of the over-committed branch was
    not at hand).

    Attributes:
        miss_ratio: 1, delta of WSS_delta (models.md 1.2).
        swap_rate_floor: bytes/s of swap traffic above which a VM counts as growing; 4 pages a
            second, ours, the paper says "swaps".
        growth_window_s: s, a VM lacks what it swaps in over this time, at most what lies in swap.
            The published rule takes all that lies in swap (as an hour does), which fits guests
            whose swap holds nothing cold; where footprints exceed working sets several times it
            makes every VM that swaps claim its whole footprint, and the host oscillates. An
            extension.
        headroom_frac: 1, added to a working set when it is a need. An extension (Hyper-V's buffer
            is 0.2, models.md 4); 0 is the published rule.
        shrink_frac: 1, the most of its memory that a VM loses in one decision. An extension (MOM's
            limit is 0.05); 1 is the published rule.
        dead_band_frac: 1, changes below this fraction of the allocation are not worth a balloon
            operation (models.md 2.3: 1-2 %).
        weighted: weigh misses with the VM's shares. An extension, not in the paper, so that MEB is
            no straw man where VMs have priorities.
        period_s: s (models.md 2.1).
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "miss_ratio": (0.001, 0.2),
        "swap_rate_floor": (0.0, 1e6),
        "growth_window_s": (2.0, 3600.0),
        "headroom_frac": (0.0, 1.0),
        "shrink_frac": (0.02, 1.0),
        "dead_band_frac": (0.0, 0.05),
    }
    name = "meb"

    miss_ratio: float = 0.05
    swap_rate_floor: float = 16384.0
    growth_window_s: float = 3600.0
    headroom_frac: float = 0.0
    shrink_frac: float = 1.0
    dead_band_frac: float = 0.01
    weighted: bool = False
    period_s: float = 5.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            miss_ratio=(self.miss_ratio, 0.0, 1.0),
            swap_rate_floor=(self.swap_rate_floor, 0.0, np.inf),
            growth_window_s=(self.growth_window_s, 0.0, np.inf),
            headroom_frac=(self.headroom_frac, 0.0, 10.0),
            shrink_frac=(self.shrink_frac, 0.0, 1.0),
            dead_band_frac=(self.dead_band_frac, 0.0, 1.0),
        )

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        present, budget = telemetry.present, telemetry.budget_bytes
        low, high = bounds(telemetry)
        known = _is_known(telemetry)
        slowest = (1.0 - self.shrink_frac) * actual_bytes(telemetry)
        low = project_to_budget(np.maximum(slowest, low), low, high, budget, present)
        need = np.clip(self.needs(telemetry, known), low, high)
        total = host_sum(need, present)
        tight = total > budget
        if tight.all():
            target = self._least_misses(telemetry, known, low, need * (budget / total)[:, None])
        else:  # the slack in proportion to need
            target = water_fill(need, np.minimum(need, high), high, budget, present)
            if tight.any():
                index = np.flatnonzero(tight)
                scaled = need[index] * (budget[index] / total[index])[:, None]
                few = telemetry.take_hosts(index)
                target[index] = self._least_misses(few, known[index], low[index], scaled)
        return self._without_churn(target, telemetry)

    def needs(self, telemetry: Telemetry, known: Bools | None = None) -> Floats:
        """Memory that each VM is predicted to need, (H, V) bytes, not yet within its bounds.

        A VM with an unmeasured input is taken to need what it holds.
        """
        known = _is_known(telemetry) if known is None else known
        actual = actual_bytes(telemetry)
        swapping = telemetry.swap_in_rate + telemetry.swap_out_rate > self.swap_rate_floor
        need = np.where(
            swapping,
            actual + self._lacking(telemetry),
            actual
            * (1.0 + self.headroom_frac)
            * working_set_frac(telemetry.lru_hit_rate, telemetry.major_fault_rate, self.miss_ratio),
        )
        return np.where(known, need, actual)

    def _lacking(self, telemetry: Telemetry) -> Floats:
        """Memory that each VM is short of, judged by its swap traffic, (H, V) bytes."""
        with np.errstate(invalid="ignore"):  # infinity times no traffic
            read = np.nan_to_num(telemetry.swap_in_rate * self.growth_window_s)
        lacking: Floats = np.minimum(read, telemetry.swap_used_bytes)
        return lacking

    def _least_misses(
        self, telemetry: Telemetry, known: Bools, low: Floats, scaled: Floats
    ) -> Floats:
        """The split of fewest predicted misses that leaves everybody ``low``, (H, V) bytes.

        VMs whose misses are unknown get ``scaled``, their need scaled down to the budget.
        """
        _, high = bounds(telemetry)
        fixed = np.clip(scaled, low, high)
        low, high = np.where(known, low, fixed), np.where(known, high, fixed)
        actual = actual_bytes(telemetry)
        weight = np.where(known, shares(telemetry) if self.weighted else 1.0, 0.0)
        swapped = np.where(known, self._lacking(telemetry), 0.0)
        # Distances within a slice are not told apart: no less than one is taken to be missing.
        missing = np.maximum(swapped, actual / NUM_LRU_SLICES)
        hit_rate = np.where(known[..., None], telemetry.lru_hit_rate, 0.0)
        fault_rate = np.where(known, telemetry.major_fault_rate, 0.0)
        curve = MissCurve.from_histogram(
            actual, missing, hit_rate * weight[..., None], fault_rate * weight
        )
        return least_misses(curve, low, high, telemetry.budget_bytes)

    def _without_churn(self, target: Floats, telemetry: Telemetry) -> Floats:
        """Leave VMs alone that would change by less than the dead band, where that fits."""
        actual = actual_bytes(telemetry)
        small = np.abs(target - actual) < self.dead_band_frac * actual
        calm = np.where(small, actual, target)
        # Budgets are often full to the last bit, and sums depend on the order of VMs by rounding.
        # What is over by that the projection cuts.
        fits = host_sum(calm, telemetry.present) <= telemetry.budget_bytes * (1.0 + _ROUNDING)
        return np.where(fits[:, None], calm, target)


def _is_known(telemetry: Telemetry) -> Bools:
    """Present VMs all of whose inputs were measured, (H, V)."""
    total = (
        telemetry.swap_in_rate
        + telemetry.swap_out_rate
        + telemetry.swap_used_bytes
        + telemetry.major_fault_rate
        + np.ascontiguousarray(telemetry.lru_hit_rate).sum(axis=-1)
    )
    known: Bools = telemetry.present & ~np.isnan(total)
    return known
