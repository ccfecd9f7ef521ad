"""How a budget is split between VMs: the only arithmetic of its kind in the project.

Both splits are special cases of raising one common level s until the sum is right,

    x_i(s) = clip(base_i + s * slope_i, low_i, high_i),   sum_i x_i(s) = total,

a piecewise linear, non-decreasing function of s. It is solved exactly by sorting its 2 V knots: a
host's answer is the same to the last bit whatever else is in the batch.
"""

from __future__ import annotations

import numpy as np

from gymbal_runtime.telemetry import Bools, Floats

_SMALLEST_WEIGHT = 1e-9
"""Weights below this fraction of the host's largest count as this: nobody is left out for good."""


def host_sum(values: Floats, present: Bools) -> Floats:
    """Sum over the VMs of each host, absent slots not counted.

    Args:
        values: (H, V) anything; absent slots may hold NaN.
        present: (H, V) which slots hold a VM.

    Returns:
        (H,) sums, in slot order for every memory layout, so that they are the same in any batch.
    """
    total: Floats = np.ascontiguousarray(np.where(present, values, 0.0)).sum(axis=-1)
    return total


def project_to_budget(
    target: Floats, low: Floats, high: Floats, budget: Floats, present: Bools
) -> Floats:
    """The feasible split nearest to ``target`` (Euclidean).

    Solves min |x - target|^2 subject to low <= x <= high and sum(x) <= budget; the solution is
    x = clip(target - lambda, low, high) with one lambda >= 0 per host (its KKT conditions). Where
    ``target`` is feasible already it comes back unchanged to the last bit. Where even the floors
    do not fit, everybody gets budget * low / sum(low).

    Args:
        target: (H, V) bytes, finite for present VMs.
        low: (H, V) bytes, floors.
        high: (H, V) bytes, ceilings, not below ``low``.
        budget: (H,) bytes.
        present: (H, V) which slots hold a VM.

    Returns:
        (H, V) bytes, 0 where absent; the sum never exceeds ``budget`` by rounding.
    """
    wanted, floor, ceiling = _masked(present, target, low, high)
    split: Floats = np.clip(wanted, floor, ceiling)
    over = split.sum(axis=-1) > budget
    if over.any():
        wanted, floor, ceiling = wanted[over], floor[over], ceiling[over]
        split[over] = _raise_to_total(
            wanted, np.ones_like(wanted), floor, ceiling, np.asarray(budget, np.float64)[over]
        )
    return split


def water_fill(
    weights: Floats, low: Floats, high: Floats, budget: Floats, present: Bools
) -> Floats:
    """Everybody in proportion to a weight, within bounds: x = clip(theta * weight, low, high).

    One theta per host makes the sum min(budget, sum(high)). Weights count from 1e-9 of the largest
    one, so that memory nobody else can hold still reaches VMs of weight zero; if all weights are
    zero they count as equal. Where even the floors do not fit, everybody gets
    budget * low / sum(low).

    Args:
        weights: (H, V) not negative, finite for present VMs, any unit.
        low: (H, V) bytes, floors.
        high: (H, V) bytes, ceilings, not below ``low``.
        budget: (H,) bytes.
        present: (H, V) which slots hold a VM.

    Returns:
        (H, V) bytes, 0 where absent; the sum never exceeds ``budget`` by rounding.
    """
    weight, floor, ceiling = _masked(present, weights, low, high)
    largest = weight.max(axis=-1, keepdims=True, initial=0.0)
    scaled = weight / np.where(largest > 0.0, largest, 1.0)
    slope = np.where(largest > 0.0, np.maximum(scaled, _SMALLEST_WEIGHT), 1.0)
    full = ceiling.sum(axis=-1) <= budget
    if full.all():
        return ceiling
    split = _raise_to_total(
        np.zeros_like(slope), slope, floor, ceiling, np.asarray(budget, np.float64)
    )
    return np.where(full[:, None], ceiling, split)


def _masked(present: Bools, *arrays: Floats) -> tuple[Floats, ...]:
    """The arrays with 0 where no VM is, C-ordered so that sums run in slot order."""
    return tuple(np.ascontiguousarray(np.where(present, array, 0.0)) for array in arrays)


def _raise_to_total(
    base: Floats, slope: Floats, low: Floats, high: Floats, budget: Floats
) -> Floats:
    """clip(base + s * slope, low, high) with s such that the sum is ``budget``, less rounding.

    Args:
        base: (H, V) bytes.
        slope: (H, V) > 0.
        low: (H, V) bytes.
        high: (H, V) bytes.
        budget: (H,) bytes, at most sum(high).

    Returns:
        (H, V) bytes; low scaled down to the budget where sum(low) exceeds it.
    """
    # Asking for a few units in the last place less keeps any order of summation within the budget.
    total = budget * (1.0 - 4.0 * base.shape[-1] * np.finfo(np.float64).eps)
    floors = low.sum(axis=-1)
    s = _level(base, slope, low, high, floors, total)
    split = np.clip(base + s[:, None] * slope, low, high)
    # The level carries the rounding of a long cumulative sum: settle what is left among the VMs
    # that lie strictly between their bounds.
    free_slope = np.where((split > low) & (split < high), slope, 0.0)
    steepness = free_slope.sum(axis=-1)
    correction = (total - split.sum(axis=-1)) / np.where(steepness > 0.0, steepness, np.inf)
    split = np.clip(split + correction[:, None] * free_slope, low, high)
    unmet = floors > budget
    if unmet.any():
        scale = np.where(unmet, total / np.where(floors > 0.0, floors, 1.0), 1.0)
        split = np.where(unmet[:, None], low * scale[:, None], split)
    return split


def _level(
    base: Floats, slope: Floats, low: Floats, high: Floats, floors: Floats, total: Floats
) -> Floats:
    """The level s (H,) at which the sum of clip(base + s * slope, low, high) reaches ``total``."""
    knots = np.concatenate([(low - base) / slope, (high - base) / slope], axis=-1)  # (H, 2 V)
    order = knots.argsort(axis=-1, kind="stable")
    rows = np.arange(base.shape[0])
    knots = knots[rows[:, None], order]
    # A VM joins the rise at its first knot and leaves it at its second.
    rise = np.concatenate([slope, -slope], axis=-1)[rows[:, None], order].cumsum(axis=-1)
    reached = np.empty_like(knots)  # the sum at each knot
    reached[:, 0] = floors
    np.cumsum(rise[:, :-1] * np.diff(knots, axis=-1), axis=-1, out=reached[:, 1:])
    reached[:, 1:] += floors[:, None]
    last = np.maximum((reached <= total[:, None]).sum(axis=-1) - 1, 0)
    gradient = rise[rows, last]
    missing = np.maximum(total - reached[rows, last], 0.0)
    level: Floats = knots[rows, last] + missing / np.where(gradient > 0.0, gradient, np.inf)
    return level
