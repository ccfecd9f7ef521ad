"""Who waits for a host, and how many of them are looked at in one decision."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.centre.telemetry import NOWHERE, CentreTelemetry, Ints
from gymbal_runtime.telemetry import Bools

FEWEST_PLACES = 8
HOSTS_PER_PLACE = 8


def queue_places(num_hosts: int) -> int:
    """M, VMs that get a host in one decision at most: 8, or one for every 8 hosts.

    Whoever finds no place waits for the next decision.
    """
    return max(FEWEST_PLACES, num_hosts // HOSTS_PER_PLACE)


def waits(telemetry: CentreTelemetry) -> Bools:
    """VMs without a host, (C, V)."""
    t = telemetry
    waiting: Bools = t.present & (t.host_of == NOWHERE) & (t.moving_to == NOWHERE)
    return waiting


def queue_of(telemetry: CentreTelemetry) -> Ints:
    """Rows of the VMs that get a host now, (C, M), those with most memory first; NOWHERE: none.

    The order of bin packing: small VMs find room where large ones have left some.
    """
    places = queue_places(telemetry.num_hosts)
    waiting = waits(telemetry)
    queue = np.full((telemetry.num_centres, places), NOWHERE, dtype=np.int64)
    most = min(int(waiting.sum(axis=1).max(initial=0)), places)
    if most == 0:
        return queue
    size = np.where(waiting, -telemetry.vm_memory_bytes, np.inf)
    first = np.argsort(size, axis=1, kind="stable")[:, :most]
    there = np.take_along_axis(waiting, first, axis=1)
    queue[:, :most] = np.where(there, first, NOWHERE)
    return queue
