"""UCP: utility-based cache partitioning (Qureshi and Patt, MICRO 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.heuristics.cache.by_curves import CurveHeuristic
from gymbal_runtime.heuristics.cache.curves import (
    NUM_KNOTS,
    at_fraction,
    filled,
    lost_progress,
    miss_curves,
    smoothed,
)
from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.lookahead import lookahead_partition
from gymbal_runtime.heuristics.cache.partitioning import Memory
from gymbal_runtime.heuristics.cache.way_split import class_size, of_class
from gymbal_runtime.telemetry import Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Ucp(CurveHeuristic):
    """Give units to where they save most misses per unit, looking ahead over plateaus.

    Source: Qureshi and Patt, "Utility-Based Cache Partitioning: A Low-Overhead, High-Performance,
    Runtime Mechanism to Partition Shared Caches", MICRO 2006 (models.md 8.2). Its monitors count
    hits per way and halve the counts every 5 M cycles; ours deliver curves of 12 points, which are
    interpolated and averaged. It knows no class limit: where there are more VMs than classes, those
    with the smallest parts share the sum of theirs. A VM without a curve counts as the host's mean.

    Attributes:
        period_s: s. The original's is milliseconds; telemetry comes in seconds.
        history: 1, weight of the past in the mean of the curves. Counters that are halved every
            interval are a mean with 0.5.
        min_gain_frac: 1, a new partition is put into force only if it lowers the predicted total
            by this fraction. An extension; 0 is the published rule.
        by_stall: minimise estimated lost progress times the owners' shares, and not misses: a miss
            costs one program 20 times what it costs another. An extension, so that UCP is no straw
            man where progress is what counts.
    """

    name = "ucp"

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        return {**shapes, "cost": (num_hosts, num_vms, NUM_KNOTS)}

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        cost = remembered_cost(telemetry, memory, self.by_stall, self.history)
        new_class, new_units = lookahead_partition(cost, limits)
        if self.min_gain_frac <= 0.0:
            return new_class, new_units
        before = predicted_cost(cost, memory["llc_class"], memory["llc_units"], limits)
        after = predicted_cost(cost, new_class, new_units, limits)
        moves = ~(before.sum(axis=1) - after.sum(axis=1) < self.min_gain_frac * before.sum(axis=1))
        return chosen(moves, new_class, new_units, memory)


def remembered_cost(telemetry: Telemetry, memory: Memory, by_stall: bool, history: float) -> Floats:
    """What each VM costs at each knot, averaged over time; brings ``memory["cost"]`` up to date.

    Returns:
        (H, V, NUM_KNOTS) finite; misses/s, or fractions of progress weighted with shares.
    """
    curve = miss_curves(telemetry)
    cost = lost_progress(telemetry, curve) if by_stall else curve
    memory["cost"] = smoothed(cost, memory["cost"], history)
    return filled(memory["cost"], telemetry.present)


def predicted_cost(
    cost: Floats, vm_class: Ints | Floats, vm_units: Ints | Floats, limits: CacheLimits
) -> Floats:
    """Cost of each VM under a partition (H, V), members of a class taken to share it evenly.

    NaN on hosts where no partition is given (NaN), 0 where absent.
    """
    groups = np.where(np.isnan(vm_class), 0, vm_class).astype(np.int64)
    members = of_class(class_size(groups, limits.present), groups, limits.present)
    part = vm_units / np.maximum(members, 1.0) / limits.units[:, None]
    value = at_fraction(cost, np.where(np.isnan(part), 0.0, part))
    return np.where(limits.present, np.where(np.isnan(part), np.nan, value), 0.0)


def chosen(
    moves: np.ndarray, new_class: Ints, new_units: Ints, memory: Memory
) -> tuple[Ints, Ints]:
    """The new partition where ``moves`` (H,), else the one in force, which must be known there."""
    kept_class = np.where(moves[:, None], new_class, np.nan_to_num(memory["llc_class"]))
    kept_units = np.where(moves[:, None], new_units, np.nan_to_num(memory["llc_units"]))
    return kept_class.astype(np.int64), kept_units.astype(np.int64)
