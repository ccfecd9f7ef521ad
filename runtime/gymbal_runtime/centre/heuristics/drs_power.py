"""DPM: the utilisation of hosts is kept in a band by waking and emptying some."""

from __future__ import annotations

from typing import NamedTuple

from gymbal_runtime.centre.heuristics.desk import Desk, holds, shift, sort_hosts
from gymbal_runtime.centre.telemetry import WAKING
from gymbal_runtime.machine_code import Floats, Ints, lean_kernel


class Band(NamedTuple):
    """Of utilisation."""

    target: float
    width: float  # to either side


@lean_kernel
def is_hot(d: Desk, band: Band, order: Ints, count: int) -> bool:
    """Whether a host is above the band."""
    for i in range(count):
        h = order[i]
        if d.books.requested_mips[h] > (band.target + band.width) * d.hosts.capacity_mips[h]:
            return True
    return False


@lean_kernel
def missing_mips(d: Desk, band: Band, order: Ints, count: int) -> float:
    """MIPS beyond what is on or wakes, with which the whole would be at the target."""
    wanted = there = 0.0
    for i in range(count):
        wanted += d.books.requested_mips[order[i]]
        there += d.hosts.capacity_mips[order[i]]
    for h in range(d.state.shape[0]):
        if d.state[h] == WAKING or (d.wake[h] and d.state[h] >= 0):
            there += d.hosts.capacity_mips[h]
    return float(wanted / band.target - there)


@lean_kernel
def empty_cool(
    d: Desk, band: Band, calm: Floats, load: Floats, order: Ints, count: int, use: Floats
) -> None:
    """Empty hosts that are below the band, least utilised first, if their VMs fit on the others.

    Args:
        d: the centre.
        band: of utilisation.
        calm: (V,) MIPS that VMs count with.
        load: (H,) set to those of hosts.
        order: (>= count,) hosts that are on; sorted.
        count: how many.
        use: (H,) room for utilisations.
    """
    for i in range(count):
        h = order[i]
        load[h] = 0.0
        for k in range(d.books.num_vms[h]):
            load[h] += calm[d.books.vms[h, k]]
        use[h] = load[h] / d.hosts.capacity_mips[h]
        d.plan.closed[h] = 0
    sort_hosts(order, count, use, False)
    for i in range(count):
        source = order[i]
        if use[source] >= band.target - band.width:
            return
        if d.plan.gives[source] and d.books.num_vms[source] > 0 and not d.plan.closed[source]:
            _empty(d, band, calm, load, order, count, source)


@lean_kernel
def _empty(
    d: Desk, band: Band, calm: Floats, load: Floats, order: Ints, count: int, source: int
) -> None:
    """Plan to move all VMs of a host, or none."""
    moving, num_vms = d.plan.moving, d.books.num_vms[source]
    for k in range(num_vms):
        vm, at = d.books.vms[source, k], k
        while at > 0 and calm[moving[at - 1]] < calm[vm]:
            moving[at] = moving[at - 1]
            at -= 1
        moving[at] = vm
    for k in range(num_vms):
        vm = moving[k]
        host = _find(d, band, float(calm[vm]), vm, load, order, count, source)
        if host < 0:
            for back in range(k):
                load[d.place[moving[back]]] -= calm[moving[back]]
                load[source] += calm[moving[back]]
                shift(d, moving[back], source)
            return
        load[source] -= calm[vm]
        load[host] += calm[vm]
        shift(d, vm, host)
    d.plan.closed[source] = 1
    for k in range(num_vms):
        # Who takes VMs of an emptied host is not emptied itself.
        d.plan.closed[d.place[moving[k]]] = 1


@lean_kernel
def _find(
    d: Desk, band: Band, wanted: float, vm: int, load: Floats, order: Ints, count: int, source: int
) -> int:
    """The fullest host that stays at or below the target, else the least full within the band."""
    best, most = -1, -1.0
    spare, least = -1, band.target + band.width
    for i in range(count):
        h = order[i]
        # A host without VMs could sleep.
        if h == source or d.books.num_vms[h] == 0 or not holds(d, vm, h):
            continue
        use = (load[h] + wanted) / d.hosts.capacity_mips[h]
        now = (d.books.requested_mips[h] + d.guests.requested_mips[vm]) / d.hosts.capacity_mips[h]
        if max(use, now) <= band.target:
            if use > most:
                best, most = h, use
        elif max(use, now) <= least:
            spare, least = h, max(use, now)
    return best if best >= 0 else spare
