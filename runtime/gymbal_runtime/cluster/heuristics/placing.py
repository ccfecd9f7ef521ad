"""A host for every VM that comes."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.cluster.heuristics.rooms import Rooms, Sizes
from gymbal_runtime.cluster.orders import PLACE, Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.telemetry import Bools

MOST_PLACED = 8
"""VMs that a cluster starts in one decision at most."""


def place_waiting(telemetry: PoweredTelemetry, told: Orders, rooms: Rooms, sizes: Sizes) -> Bools:
    """Tell waiting VMs where to start, who waits longest first.

    Each goes where least is left over of what a host may be filled with, or else where most is
    left.

    Args:
        telemetry: the record.
        told: gets the orders.
        rooms: of the hosts, changed.
        sizes: (C, H, V).

    Returns:
        (C,) clusters in which somebody goes on waiting.
    """
    num_clusters, _, num_vms = telemetry.shape
    since = np.where(telemetry.waiting, telemetry.waited_s, -np.inf).reshape(num_clusters, -1)
    refused = np.zeros(num_clusters, dtype=np.bool_)
    for _ in range(MOST_PLACED):
        first = since.argmax(axis=1)
        rows = np.flatnonzero(since[np.arange(num_clusters), first] > -np.inf)
        if not rows.size:
            return refused
        place, slot = np.divmod(first[rows], num_vms)
        since[rows, first[rows]] = -np.inf
        mine, here = sizes.at(rows, place, slot), rooms.of(rows)
        goal, fits = here.best_fit(mine)
        other, possible = here.best_fit(mine, within_limits=False)
        goal, placed = np.where(fits, goal, other), fits | possible
        refused[rows[~placed]] = True
        rows, place, slot, goal = (a[placed] for a in (rows, place, slot, goal))
        told.verb[rows, place, slot] = PLACE
        told.target[rows, place, slot] = goal
        rooms.take(rows, goal, mine.at(placed.nonzero()[0]))
    return refused | (since > -np.inf).any(axis=1)
