"""dCat: a guaranteed baseline, donors and receivers of cache ways (Xu et al., EuroSys 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.partitioning import Memory, PartitionHeuristic
from gymbal_runtime.heuristics.cache.way_split import (
    class_size,
    class_sum,
    equal_classes,
    equal_parts,
    of_class,
)
from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

KEEPER, DONOR, RECEIVER, STREAMING, UNKNOWN = range(5)
"""What dCat takes a program for; ``UNKNOWN`` is tried out."""


@dataclass(frozen=True, eq=False)
class DCat(PartitionHeuristic):
    """Who misses little donates; who gains from a further way gets more, one at a time.

    Every class starts from its baseline (equal parts). Each period, by its references per
    instruction, misses per reference and instructions per cycle:

    * references per instruction changed: a new phase. Back to the baseline, unknown.
    * misses rarely: a donor, gives one unit.
    * below the baseline but missing: gets one unit back.
    * unknown: gets one unit more; if the last one raised the IPC it is a receiver, if even several
      times its baseline did not, it is streaming and falls to the minimum until its next phase.
    * receiver: gets one more while the last one helped, then keeps what it has.

    A class that is entitled to its baseline gets it at the cost of those above theirs; others grow
    from what donors gave, unknown before receivers. What nobody wants stays unused.

    Source: Xu, Rajamani, Ferreira, Felter, Rubio and Li, "dCat: Dynamic Cache Management for
    Efficient, Performance-sensitive Infrastructure-as-a-Service", EuroSys 2018 (models.md 8.2).
    Reconstructed from its abstract and our notes: the thresholds, the order among growers, and that
    donors give one unit at a time.

    Attributes:
        period_s: s; the original samples every second.
        phase_frac: 1, relative change of references per instruction that makes a phase.
        miss_ratio: 1, misses per reference below which a class donates.
        ipc_gain_frac: 1, relative gain of IPC by which a unit has helped.
        streaming_multiple: 1, times the baseline at which an unknown class that gained nothing
            counts as streaming.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "phase_frac": (0.03, 0.5),
        "miss_ratio": (0.005, 0.2),
        "ipc_gain_frac": (0.005, 0.1),
        "streaming_multiple": (1.2, 4.0),
    }
    name = "dcat"

    phase_frac: float = 0.1
    miss_ratio: float = 0.03
    ipc_gain_frac: float = 0.05
    streaming_multiple: float = 3.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            period_s=(self.period_s, 0.0, np.inf),
            phase_frac=(self.phase_frac, 0.0, np.inf),
            miss_ratio=(self.miss_ratio, 0.0, 1.0),
            ipc_gain_frac=(self.ipc_gain_frac, 0.0, np.inf),
            streaming_multiple=(self.streaming_multiple, 1.0, np.inf),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        of_classes = dict.fromkeys(("units", "kind", "phase", "ipc", "grew"), (num_hosts, num_vms))
        return {**super()._state_shapes(num_hosts, num_vms), **of_classes}

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        vm_class = equal_classes(limits)
        used = class_size(vm_class, limits.present) > 0
        baseline = equal_parts(vm_class, limits)
        readings = _readings(telemetry, vm_class)
        units = np.where(np.isnan(memory["units"]), baseline, memory["units"]).astype(np.int64)
        wanted, entitled = self._wanted(readings, units, baseline, memory)
        wanted = np.where(used, np.maximum(wanted, limits.min_units[:, None]), 0)
        units = _grant(units, wanted, baseline, entitled & used, memory["kind"], limits)
        before = np.where(np.isnan(memory["units"]), units, memory["units"])
        memory["grew"] = (units > before).astype(np.float64)
        memory["units"] = units.astype(np.float64)
        return vm_class, of_class(units, vm_class, limits.present)

    def _wanted(
        self, readings: tuple[Floats, Floats, Floats], units: Ints, baseline: Ints, memory: Memory
    ) -> tuple[Ints, Bools]:
        """Units (H, C) that each class asks for, and who is entitled to the baseline at once."""
        phase, miss_ratio, ipc = readings
        known = ~np.isnan(phase + miss_ratio + ipc)
        changed = ~(np.abs(phase - memory["phase"]) <= self.phase_frac * memory["phase"])
        fresh = known & changed
        grew = memory["grew"] == 1.0
        helped = grew & (ipc >= memory["ipc"] * (1.0 + self.ipc_gain_frac))
        kind = np.where(np.isnan(memory["kind"]) | fresh, UNKNOWN, memory["kind"])
        donates = known & ~fresh & (miss_ratio < self.miss_ratio)
        tried = known & ~fresh & ~donates
        returns = tried & (kind == DONOR)
        kind = np.where(donates, DONOR, np.where(returns, UNKNOWN, kind))
        tried &= ~returns & (units >= baseline)
        kind = np.where(tried & helped & (kind != STREAMING), RECEIVER, kind)
        kind = np.where(tried & grew & ~helped & (kind == RECEIVER), KEEPER, kind)
        enough = units >= np.ceil(self.streaming_multiple * baseline)
        kind = np.where(tried & enough & (kind == UNKNOWN), STREAMING, kind)
        grows = known & ~fresh & ((kind == UNKNOWN) | (kind == RECEIVER))
        grows |= known & (kind == KEEPER) & (units < baseline)
        wanted = units + grows - donates
        wanted = np.where(fresh, baseline, np.where(kind == STREAMING, 0, wanted))
        memory["kind"] = kind
        memory["phase"] = np.where(fresh, phase, memory["phase"])
        memory["ipc"] = np.where(known, ipc, memory["ipc"])
        return wanted, fresh | (grows & (units < baseline))


def _readings(telemetry: Telemetry, vm_class: Ints) -> tuple[Floats, Floats, Floats]:
    """References per instruction, misses per reference, instructions per cycle; (H, C) each.

    NaN for a class of which nothing is known; members that were not measured do not count.
    """
    rates = np.stack(
        [
            telemetry.llc_reference_rate,
            telemetry.llc_miss_rate,
            telemetry.instruction_rate,
            telemetry.cycle_rate,
        ]
    )
    measured = telemetry.present & np.isfinite(rates).all(axis=0)
    references, misses, instructions, cycles = (
        class_sum(np.where(measured, rate, 0.0), vm_class, measured) for rate in rates
    )
    working = (instructions > 0.0) & (cycles > 0.0)
    return (
        np.where(working, references / instructions, np.nan),
        np.where(working & (references > 0.0), misses / references, np.where(working, 0.0, np.nan)),
        np.where(working, instructions / cycles, np.nan),
    )


def _grant(
    units: Ints, wanted: Ints, baseline: Ints, entitled: Bools, kind: Floats, limits: CacheLimits
) -> Ints:
    """Shrink who shrinks, restore who is entitled, then let others grow into the rest; (H, C)."""
    granted = np.minimum(units, wanted)
    granted = np.where(entitled, np.maximum(wanted, granted), granted)
    # What the entitled need comes from those above their baseline, the farthest above first.
    while (over := granted.sum(axis=1) > limits.units).any():
        above = np.where(entitled, -1, granted - baseline)
        loser = above.argmax(axis=1)
        granted[np.flatnonzero(over), loser[over]] -= 1
    room = limits.units - granted.sum(axis=1)
    grower = wanted > granted
    urgency = np.where(grower, np.where(kind == UNKNOWN, 1, 2), 3)
    order = np.argsort(urgency, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
    return np.asarray(granted + (grower & (rank < room[:, None])))
