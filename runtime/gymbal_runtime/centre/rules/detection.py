"""When is a host overloaded? The detectors of Beloglazov and Buyya (CCPE 24(13), 2012, section 5).

With u the utilisation that the host's VMs ask for, and past utilisations as the history:

THR  u > p
MAD  u > 1 - p * (median absolute deviation of the history)
IQR  u > 1 - p * (interquartile range of the history)
LR   p * (least-squares line through the last ten samples, at the end of a migration) >= 1
LRR  the same: see `LRR`

With less history than a detector needs, CloudSim 3.0.3 falls back on THR with p = 0.7.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gymbal_runtime.machine_code import Floats, lean_kernel

HISTORY = 30
"""Samples of utilisation that a VM remembers."""

THR, MAD, IQR, LR = range(4)
LRR = LR
"""The robust regression weighs samples, but CloudSim 3.0.3 uses weights only if at least 40 % of
them are 0, which takes a line that goes through six of ten samples to the last bit. So it is LR."""

DETECTORS: dict[str, int] = {"THR": THR, "MAD": MAD, "IQR": IQR, "LR": LR, "LRR": LRR}

_FALLBACK = 0.7  # threshold while history is short
_LINE = 10  # samples under the regression line
_SPREAD = 12  # samples that a spread needs


class Rule(NamedTuple):
    """A consolidation policy in a kernel's terms."""

    detector: int  # one of DETECTORS
    parameter: float  # p above
    selector: int  # one of `selection.SELECTORS`
    horizon: float  # scheduling intervals until a migration that starts now has ended


@lean_kernel
def is_overloaded(
    rule: Rule,
    requested_mips: float,
    capacity_mips: float,
    ceiling: float,
    history: Floats,
    work: Floats,
) -> bool:
    """Whether a host should give up VMs.

    Args:
        rule: says when.
        requested_mips: what its VMs ask for now.
        capacity_mips: of all its cores.
        ceiling: factor on the utilisation from which it should; 1: as the rule says.
        history: (HISTORY,) past utilisation of the host by its present VMs, newest first; what is
            not known is 0.
        work: (HISTORY,) room to sort in.
    """
    utilisation = requested_mips / capacity_mips
    if rule.detector == THR:
        return utilisation > ceiling * rule.parameter
    known = known_samples(history)
    if rule.detector == LR:
        if known < _LINE:
            return utilisation > ceiling * _FALLBACK
        return forecast(history, rule.horizon) * rule.parameter >= ceiling
    if known < _SPREAD:
        return utilisation > ceiling * _FALLBACK
    if rule.detector == MAD:
        spread = median_absolute_deviation(history, known, work)
    else:
        spread = interquartile_range(history, known, work)
    return utilisation > ceiling * (1.0 - rule.parameter * spread)


@lean_kernel
def known_samples(history: Floats) -> int:
    """Length of a history without the zeros at its old end, at least 1."""
    last = HISTORY - 1
    while last > 0 and history[last] == 0.0:
        last -= 1
    return last + 1


@lean_kernel
def forecast(history: Floats, horizon: float) -> float:
    """Where the line through the last ten samples will be, ``horizon`` samples after the newest.

    Sums are updated sample by sample (Welford), like those of the library that CloudSim uses.
    """
    mean_y = sum_y = history[_LINE - 1]
    mean_x = sum_x = 1.0
    sxx = sxy = 0.0
    for n in range(1, _LINE):
        y = history[_LINE - 1 - n]
        dx, dy = n + 1.0 - mean_x, y - mean_y
        share = n / (n + 1.0)
        sxx += dx * dx * share
        sxy += dx * dy * share
        mean_x += dx / (n + 1.0)
        mean_y += dy / (n + 1.0)
        sum_x += n + 1.0
        sum_y += y
    slope = sxy / sxx
    return (sum_y - slope * sum_x) / _LINE + slope * (_LINE + horizon)


@lean_kernel
def median_absolute_deviation(history: Floats, known: int, work: Floats) -> float:
    """Median distance of the first ``known`` samples from their median."""
    sort_into(work, history, known)
    above = known // 2
    below = above - 1
    lower = work[(known - 1) // 2]
    middle = lower + 0.5 * (work[above] - lower)
    # Distances grow from the middle to both ends, so they come sorted without sorting.
    nearer = distance = 0.0
    for _ in range(known // 2 + 1):
        nearer = distance
        if above >= known or (below >= 0 and middle - work[below] < work[above] - middle):
            distance = middle - work[below]
            below -= 1
        else:
            distance = work[above] - middle
            above += 1
    return distance if known % 2 else nearer + 0.5 * (distance - nearer)


@lean_kernel
def interquartile_range(history: Floats, known: int, work: Floats) -> float:
    """Third minus first quartile; ranks (n + 1) / 4 and 3 (n + 1) / 4 are rounded half up."""
    sort_into(work, history, known)
    first = math.floor(0.25 * (known + 1) + 0.5) - 1
    third = math.floor(0.75 * (known + 1) + 0.5) - 1
    return work[third] - work[first]


@lean_kernel
def sort_into(work: Floats, values: Floats, count: int) -> None:
    """Sort the first ``count`` values ascending into ``work``; few, so by insertion."""
    for i in range(count):
        value, at = values[i], i
        while at > 0 and work[at - 1] > value:
            work[at] = work[at - 1]
            at -= 1
        work[at] = value
