"""Links between hosts and sites: how flows share them, and how long a request waits."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.compile import Floats, Ints, kernel

NO_LINK = -1
BUSIEST = 0.95
"""Utilisation at which waiting stops to grow: a tick is too short for a queue without end."""
CUT_WAIT_S = 1e6
"""A request over a link without capacity waits longer than any episode, but not infinitely: kernels
multiply waits by rates that may be 0."""


@kernel
def share_links(
    wanted: Floats,
    first: Ints,
    second: Ints,
    third: Ints,
    capacity: Floats,
    granted: Floats,
    used: Floats,
    scratch: Floats,
) -> None:
    """Divide links between flows such that nobody can get more without one that has less losing.

    Max-min fairness by progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): the
    rates of all flows rise together; a flow stops at what it wants or where a link of its is full.
    Each round serves every flow that wants no more than the scarcest link gives to each of its own,
    or else fills that link, so there are at most F + L rounds of F + L operations.

    Args:
        wanted: (F,) bytes/s, not negative; inf for as much as there is.
        first: (F,) a link that the flow uses, `NO_LINK` for none; all of a flow's differ.
        second: (F,) another.
        third: (F,) another.
        capacity: (L,) bytes/s, finite; 0 for a link that is cut.
        granted: (F,) the answer, bytes/s.
        used: (L,) the answer, bytes/s on each link.
        scratch: (L,) overwritten.
    """
    waiting = scratch  # flows of each link that still rise
    for link in range(capacity.shape[0]):
        used[link] = 0.0
        waiting[link] = 0.0
    rising = wanted.shape[0]
    for flow in range(wanted.shape[0]):
        granted[flow] = -1.0
        _add(waiting, first[flow], second[flow], third[flow], 1.0)
    for _ in range(wanted.shape[0] + capacity.shape[0]):
        if rising == 0:
            break
        scarcest = _scarcest(capacity, used, waiting)
        level = _left_for_each(capacity, used, waiting, scarcest)
        served = 0
        for flow in range(wanted.shape[0]):
            if granted[flow] < 0.0 and wanted[flow] <= level:
                granted[flow] = wanted[flow]
                served += 1
                _settle(used, waiting, first[flow], second[flow], third[flow], wanted[flow])
        if served == 0:
            for flow in range(wanted.shape[0]):
                on_it = scarcest in (first[flow], second[flow], third[flow])
                if granted[flow] < 0.0 and on_it:
                    granted[flow] = level
                    served += 1
                    _settle(used, waiting, first[flow], second[flow], third[flow], level)
        rising -= served


@kernel
def _scarcest(capacity: Floats, used: Floats, waiting: Floats) -> int:
    """The link that has least left for each flow that rises on it; `NO_LINK` if none rises."""
    found, least = NO_LINK, np.inf
    for link in range(capacity.shape[0]):
        left = _left_for_each(capacity, used, waiting, link)
        if left < least:
            found, least = link, left
    return found


@kernel
def _left_for_each(capacity: Floats, used: Floats, waiting: Floats, link: int) -> float:
    """What a link has left for each flow that rises on it; inf if none does."""
    if link == NO_LINK or waiting[link] <= 0.0:
        return np.inf
    # rounding may leave less than nothing
    return max(capacity[link] - used[link], 0.0) / waiting[link]


@kernel
def _settle(
    used: Floats, waiting: Floats, first: int, second: int, third: int, rate: float
) -> None:
    """Book a flow's rate on its links."""
    _add(used, first, second, third, rate)
    _add(waiting, first, second, third, -1.0)


@kernel
def _add(table: Floats, first: int, second: int, third: int, amount: float) -> None:
    """Add to the entries of a flow's links."""
    if first != NO_LINK:
        table[first] += amount
    if second != NO_LINK:
        table[second] += amount
    if third != NO_LINK:
        table[third] += amount


@kernel
def link_wait(latency_s: float, request_bytes: float, capacity: float, used: float) -> float:
    """Seconds that a request waits on a link that carries ``used`` of ``capacity`` bytes/s.

    ``L + S u / (1 - u)`` with the request's own time on the wire ``S``: an M/M/1 queue beyond the
    idle network's latency (models.md 1.3), as `gymbal_envs.simulator.tiers` has it for devices.
    """
    if capacity <= 0.0:
        return CUT_WAIT_S
    busy = min(max(used / capacity, 0.0), BUSIEST)
    return latency_s + request_bytes / capacity * busy / (1.0 - busy)
