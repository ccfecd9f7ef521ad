"""How partitioning rules read miss curves: complete, falling, in misses or in lost progress."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.cache.limits import Ints
from gymbal_runtime.telemetry import NUM_LLC_POINTS, Bools, Floats, Telemetry

NUM_KNOTS = NUM_LLC_POINTS + 1
"""A complete curve has knots at 0, 1/12, ..., 12/12 of the cache."""
ASSUMED_PENALTY_CYCLES = 150.0
"""Cycles per miss of a VM that misses too rarely to tell: a DRAM access at 3 GHz less overlap."""
_HIGHEST_RATE = 1e15
_LOWEST_MISS_RATE = 1.0
"""1/s, below which stalls divided by misses say nothing about the penalty."""


def miss_curves(telemetry: Telemetry) -> Floats:
    """Misses per second at each knot, never rising with the size.

    Without cache every reference misses; where references were not counted, the largest point
    stands for it. Missing points take the value of the next smaller size.

    Returns:
        (H, V, NUM_KNOTS) 1/s, all NaN where the VM has no curve.
    """
    measured = np.minimum(telemetry.llc_miss_curve, _HIGHEST_RATE)
    known = ~np.isnan(measured).all(axis=-1) & telemetry.present
    curve = np.empty((*known.shape, NUM_KNOTS))
    curve[..., 1:] = np.maximum(measured, 0.0)
    references = np.minimum(telemetry.llc_reference_rate, _HIGHEST_RATE)
    uncounted = np.isnan(references)
    if uncounted.any():
        references = np.where(uncounted, np.fmax.reduce(curve[..., 1:], axis=-1), references)
    curve[..., 0] = np.maximum(references, 0.0)
    for k in range(1, NUM_KNOTS):  # several times as fast as np.fmin.accumulate
        np.fmin(curve[..., k], curve[..., k - 1], out=curve[..., k])
    curve[~known] = np.nan
    return curve


def relative_cpi(telemetry: Telemetry, curve: Floats | None = None) -> Floats:
    """Estimated cycles per instruction at each knot, relative to now.

    A VM stalls for ``stall_frac`` of its cycles at ``llc_miss_rate`` misses per second, so that a
    miss costs penalty = stall_frac * cycle_rate / llc_miss_rate cycles, and at m misses per second
    of today's speed CPI / CPI_now = 1 - stall_frac + penalty * m / cycle_rate (models.md 1.5).

    Args:
        telemetry: record of H hosts.
        curve: ``miss_curves`` of the record, if already at hand.

    Returns:
        (H, V, NUM_KNOTS) ratio, NaN where the VM has no curve or its stalls were not measured.
    """
    curve = miss_curves(telemetry) if curve is None else curve
    stall = np.clip(telemetry.stall_frac, 0.0, 1.0)
    rate = telemetry.llc_miss_rate
    with np.errstate(all="ignore"):
        tells = rate >= _LOWEST_MISS_RATE
        assumed = ASSUMED_PENALTY_CYCLES / telemetry.cycle_rate
        stall_per_miss = np.where(tells, stall / rate, assumed)
        ratio: Floats = (1.0 - stall)[..., None] + stall_per_miss[..., None] * curve
        ratio[~np.isfinite(ratio[..., 0])] = np.nan
        return np.maximum(ratio, 1e-3)


def lost_progress(telemetry: Telemetry, curve: Floats | None = None) -> Floats:
    """Estimated fraction of progress lost at each knot against the whole cache, times shares.

    Returns:
        (H, V, NUM_KNOTS), shares relative to the host's mean; NaN where it cannot be told.
    """
    ratio = relative_cpi(telemetry, curve)
    lost: Floats = 1.0 - ratio[..., -1:] / ratio
    return lost * relative_shares(telemetry)[..., None]


def relative_shares(telemetry: Telemetry) -> Floats:
    """Shares over their mean on the host, (H, V), 1 where absent."""
    present = telemetry.present
    shares = np.ascontiguousarray(np.where(present, telemetry.shares, 0.0))
    mean = shares.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return np.where(present, shares / np.where(mean > 0.0, mean, 1.0)[:, None], 1.0)


def smoothed(new: Floats, old: Floats, history: float) -> Floats:
    """Exponentially weighted mean; where one of the two is missing, the other."""
    mixed = history * old + (1.0 - history) * new
    return np.where(np.isnan(mixed), np.where(np.isnan(new), old, new), mixed)


def filled(cost: Floats, present: Bools) -> Floats:
    """Unknown curves taken to be the mean of the host's known ones; 0 where none is known.

    Args:
        cost: (H, V, K) with all points of a curve NaN or none.
        present: (H, V) which slots hold a VM.

    Returns:
        (H, V, K) finite.
    """
    known = present & ~np.isnan(cost[..., 0])
    bare = np.where(known[..., None], cost, 0.0)
    if known.all():
        return bare
    mean = bare.sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
    return np.where(known[..., None], bare, mean[:, None, :])


def at_places(curve: Floats, first: Ints, stride: Ints, units: Ints, count: int) -> Floats:
    """Curves at ``count`` equally spaced numbers of units, by linear interpolation.

    Args:
        curve: (H, C, K) at K equal steps of the cache from nothing to all.
        first: (H,) units at the first place.
        stride: (H,) units between places.
        units: (H,) units of the whole cache, at which every curve ends.
        count: number of places.

    Returns:
        (H, C, count).
    """
    steps = curve.shape[2] - 1
    place = first[:, None] + stride[:, None] * np.arange(count)
    place = np.minimum(place, units[:, None]) * (steps / units)[:, None]
    knot = np.minimum(place.astype(np.int64), steps - 1)
    part = place - knot
    if (place == place[:1]).all():  # hosts alike: one index for all
        left, right, part = curve[..., knot[0]], curve[..., knot[0] + 1], part[0]
        return np.asarray(left + part * (right - left))
    flat = np.ascontiguousarray(curve).reshape(-1)
    rows = np.arange(curve.shape[0] * curve.shape[1]).reshape(*curve.shape[:2], 1)
    where = rows * (steps + 1) + knot[:, None, :]
    left, right = flat[where], flat[where + 1]
    return np.asarray(left + part[:, None, :] * (right - left))


def at_fraction(curve: Floats, fraction: Floats) -> Floats:
    """Curves at one fraction of the cache each, by linear interpolation.

    Args:
        curve: (..., K) at K equal steps from nothing to all.
        fraction: (...) clipped to [0, 1]; finite.

    Returns:
        (...) values.
    """
    steps = curve.shape[-1] - 1
    place = np.clip(fraction, 0.0, 1.0) * steps
    lower = np.minimum(place.astype(np.int64), steps - 1)
    left = np.take_along_axis(curve, lower[..., None], axis=-1)[..., 0]
    right = np.take_along_axis(curve, lower[..., None] + 1, axis=-1)[..., 0]
    return np.asarray(left + (place - lower) * (right - left))
