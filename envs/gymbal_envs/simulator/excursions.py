"""What happens between two samples of a trace: when levels change, and short excursions.

A 5-minute trace says how much a VM used on average, not how it got from one level to the next, and
nothing of what lasted less. The fill is stated, not measured:

* Between samples k and k+1 the level changes once, at a uniformly drawn instant, along a ramp whose
  duration is log-normal (median 20 s, sigma 0.8, at most half a step).
* On top of it, *excursions* arrive as a Poisson process: a rise of one knot, a hold of exponential
  duration, a fall of one knot; the height is exponential, in units of the present level. Most
  overloads in data centres last less than two minutes (models.md 5.1: 88.1 %).
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.compile import Demand, Floats, Streams, kernel
from gymbal_runtime.random_numbers import normal, uniform

RAMP_MEDIAN_S = 20.0
RAMP_SIGMA = 0.8


@kernel
def exponential(streams: Streams, w: int, mean: float) -> float:
    """Next exponential number of stream ``w``."""
    return -mean * math.log(1.0 - uniform(streams, w))


@kernel
def fill_levels(
    levels: Floats, step_s: float, knot_s: float, filled: Demand, streams: Streams, v: int
) -> None:
    """Column ``v`` of ``filled`` (K, V) from column ``v`` of ``levels`` (S, V)."""
    for k in range(levels.shape[0] - 1):
        ramp = RAMP_MEDIAN_S * math.exp(RAMP_SIGMA * normal(streams, v))
        ramp = min(ramp, 0.5 * step_s)
        start = k * step_s + uniform(streams, v) * (step_s - ramp)
        first = math.ceil(k * step_s / knot_s)
        last = min(math.floor((k + 1) * step_s / knot_s), filled.shape[0] - 1)
        for knot in range(first, last + 1):
            done = min(max((knot * knot_s - start) / ramp, 0.0), 1.0)
            filled[knot, v] = levels[k, v] + (levels[k + 1, v] - levels[k, v]) * done


@kernel
def add_excursions(
    filled: Demand,
    knot_s: float,
    gap_s: Floats,
    hold_s: float,
    height: float,
    ceiling: Floats,
    streams: Streams,
    v: int,
) -> None:
    """Add excursions to column ``v``, never above ``ceiling[v]``.

    ``gap_s`` (V,) mean seconds between excursions, ``hold_s`` mean hold, ``height`` mean height in
    units of the level at its start.
    """
    num_knots = filled.shape[0]
    at = exponential(streams, v, gap_s[v]) - hold_s  # one may be under way when the window opens
    while at < num_knots * knot_s:
        hold = exponential(streams, v, hold_s)
        top = exponential(streams, v, height)
        first = max(math.ceil(at / knot_s), 0)
        last = min(math.floor((at + hold) / knot_s), num_knots - 1)
        rise = top * filled[min(first, num_knots - 1), v]
        for knot in range(first, last + 1):
            filled[knot, v] = min(filled[knot, v] + rise, ceiling[v])
        at += hold + exponential(streams, v, gap_s[v])


@kernel
def fill_window(
    levels: Floats,
    step_s: float,
    knot_s: float,
    gap_s: Floats,
    hold_s: float,
    height: float,
    ceiling: Floats,
    streams: Streams,
    filled: Demand,
) -> None:
    """Fill all columns: ``levels`` (S, V) at trace samples to ``filled`` (K, V) at knots.

    ``streams`` (V,) uint64, one per VM, so that a VM's demand does not depend on its neighbours.
    """
    for v in range(levels.shape[1]):
        fill_levels(levels, step_s, knot_s, filled, streams, v)
        if height > 0.0:
            add_excursions(filled, knot_s, gap_s, hold_s, height, ceiling, streams, v)
