"""The lookahead of utility-based cache partitioning, for many hosts at once."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.cache.curves import at_places
from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.way_split import merge_smallest
from gymbal_runtime.telemetry import Bools, Floats

MOST_STEPS = 32
"""Caches of more units than this (page colours) are given away several units at a time: curves of
12 points do not know more."""


def lookahead(cost: Floats, total: Ints, plays: Bools) -> Ints:
    """Give steps to where they save most per step, looking ahead over plateaus.

    Repeatedly finds for every player the number of further steps k, at most what is left, that
    maximises (cost(a) - cost(a + k)) / k, and gives the best one its k steps. Equal gains go to the
    lower slot and the fewer steps. Once no more steps save anything, the rest is spread evenly.

    Source: Qureshi and Patt, "Utility-Based Cache Partitioning", MICRO 2006, algorithm 2
    (models.md 8.2); what to do with units that help nobody is not said there.

    Args:
        cost: (H, C, K + 1) cost of a player that has taken 0 .. K steps, finite.
        total: (H,) steps to give, at most K.
        plays: (H, C) rows that take part.

    Returns:
        (H, C) steps taken, 0 for rows that do not play.
    """
    shape = plays.shape
    flat = np.ascontiguousarray(cost).reshape(-1)
    start = cost.shape[2] * np.arange(plays.size)
    here = start.copy()
    left = np.where(plays.any(axis=1), total, 0)
    gain, step = np.full(plays.size, -np.inf), np.zeros(plays.size, dtype=np.int64)
    hosts = np.flatnonzero(left > 0)
    stale = np.flatnonzero(plays & (left > 0)[:, None])
    while stale.size:
        gain[stale], step[stale] = _best_step(flat, here[stale], left[stale // shape[1]])
        row = hosts * shape[1] + gain.reshape(shape)[hosts].argmax(axis=1)
        # Gains never rise as less is left, so what was computed earlier is a bound: only a winner
        # that asks for more than is left has to be looked at again.
        goes = gain[row] > 0.0
        given = np.where(goes & (step[row] <= left[hosts]), step[row], 0)
        here[row] += given
        left[hosts] -= given
        goes &= left[hosts] > 0
        hosts, stale = hosts[goes], row[goes]
    return _spread_rest((here - start).reshape(shape), left, plays)


def _best_step(flat: Floats, here: Ints, most: Ints) -> tuple[Floats, Ints]:
    """Best gain per step and its steps, for rows at index ``here`` that may take ``most`` (N,)."""
    steps = np.arange(1, int(most.max()) + 1)
    refused = steps > most[:, None]
    ahead = here[:, None] + steps
    ahead[refused] = 0
    saved = (flat[here][:, None] - flat[ahead]) / steps
    saved[refused] = -np.inf
    best = saved.argmax(axis=1)
    return saved[np.arange(best.size), best], best + 1


def _spread_rest(taken: Ints, left: Ints, plays: Bools) -> Ints:
    """Steps that would help nobody, evenly, the first slots getting one more; (H, C)."""
    if not left.any():
        return taken
    players = np.maximum(plays.sum(axis=1), 1)
    first = plays.cumsum(axis=1) <= (left % players)[:, None]
    return taken + np.where(plays, (left // players)[:, None] + first, 0)


def lookahead_units(curve: Floats, least: Ints, units: Ints, plays: Bools) -> Ints:
    """Divide all units between players by lookahead.

    Args:
        curve: (H, C, K) cost at K equal steps of the cache from nothing to all, finite.
        least: (H,) units that every player has from the start.
        units: (H,) units of each host, at least ``least`` times the number of players.
        plays: (H, C) rows that take part.

    Returns:
        (H, C) units, 0 for rows that do not play.
    """
    free = units - least * plays.sum(axis=1)
    stride = -(-units // MOST_STEPS)
    steps = free // stride
    cost = at_places(curve, least, stride, units, int(steps.max(initial=0)) + 1)
    taken = np.where(plays, least[:, None] + stride[:, None] * lookahead(cost, steps, plays), 0)
    return _spread_rest(taken, np.where(plays.any(axis=1), free - steps * stride, 0), plays)


def lookahead_partition(curve: Floats, limits: CacheLimits) -> tuple[Ints, Ints]:
    """Lookahead between VMs; where classes or units are too few, the smallest parts are shared.

    Args:
        curve: (H, V, K) cost of each VM at K equal steps of the cache, finite for present VMs.
        limits: of H hosts.

    Returns:
        (H, V) class and (H, V) units of that class.
    """
    everyone = limits.parts == limits.num_vms
    least = np.where(everyone, limits.min_units, 0)
    alone = lookahead_units(curve, least, limits.units, limits.present)
    return merge_smallest(alone, limits)
