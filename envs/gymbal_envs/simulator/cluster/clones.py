"""Clones: two VMs of one, on two hosts, that share its work (models.md 7.5, after SnowFlock).

The fork pauses the VM. Its clone has nothing resident: what it will need of its origin's memory is
fetched page by page when it faults, the rest of its working set it writes anew. Demand above a
fixed part is halved, coordination taxes both. The origin's pages serve the faults where they are:
they take no memory of the host beside the origin's own.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.books import clone_size_of, room_bytes
from gymbal_envs.simulator.cluster.power import stay_on
from gymbal_envs.simulator.cluster.slots import (
    clear_slot,
    copy_slot,
    share_cache_anew,
    vacant_slot,
)
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def order_clone(t: Tables, d: HostTables, h: int, v: int, target: int) -> bool:
    """Fork the VM to the target; False where that cannot be."""
    guest = t.guest[h]
    if target == h or target < 0 or target >= t.member.shape[0] or guest[at.CLONABLE, v] == 0.0:
        return False
    still = t.slot[h, v, move_at.PHASE] == move_at.IDLE and guest[at.TWIN_HOST, v] < 0.0
    pinned = t.vm[h, host_at.DEVICE_MODE, v] > 0.0
    if not still or pinned or t.member[h, at.SERVES] == 0.0:
        return False
    slot, size = vacant_slot(t, target), clone_size_of(t, h, v)
    if slot < 0 or size > room_bytes(t, target):
        return False
    stay_on(t, target)
    t.world_vm[h, host_at.SHARES, v] *= 0.5  # the owner's weight is that of both
    _divide_demand(t, d, h, v)
    copy_slot(t, d, h, v, target, slot)
    _begin_clone(t, h, target, slot, size)
    guest[at.TWIN_HOST, v], guest[at.TWIN_SLOT, v] = target, slot
    t.guest[target, at.TWIN_HOST, slot], t.guest[target, at.TWIN_SLOT, slot] = h, v
    guest[at.FORK_S, v] = t.guest[target, at.FORK_S, slot] = t.cluster[at.CLONE_FORK]
    guest[at.CLONED, v] += 1.0
    t.cluster[at.MOVES] += 1.0
    t.cluster[at.AWAY] += 1.0
    share_cache_anew(t, target)
    return True


@lean_kernel
def _begin_clone(t: Tables, origin: int, h: int, v: int, size: float) -> None:
    """State of the clone in slot v of host h: nothing resident, pages to fetch at its origin."""
    vm, guest = t.vm[h], t.guest[h]
    fixed = t.cluster[at.CLONE_FIXED]
    working_set = _half(vm[host_at.WORKING_SET, v], fixed)
    footprint = max(_half(vm[host_at.FOOTPRINT, v], fixed), working_set)
    fetched = t.cluster[at.CLONE_PAGE_IN] * working_set + footprint - working_set
    vm[host_at.WORKING_SET, v], vm[host_at.FOOTPRINT, v] = working_set, footprint
    vm[host_at.HOT, v] = vm[host_at.COLD, v] = 0.0
    vm[host_at.UNBORN, v] = footprint - fetched
    vm[host_at.ACTUAL, v] = vm[host_at.TARGET, v] = size
    vm[host_at.OCCUPANCY, v] = vm[host_at.STALL_S, v] = vm[host_at.OUTAGE_S, v] = 0.0
    for q in range(host_at.SUM_IN, host_at.SUM_STALLED + 1):
        vm[q, v] = 0.0
    for q in range(host_at.SUM_INSTRUCTIONS, host_at.SUM_WAKE + 1):
        vm[q, v] = 0.0
    for j in range(t.member.shape[0]):
        t.slot[h, v, at.FAR_AT + j] = 0.0
    guest[at.IDENTITY, v] += t.member.shape[0] * t.vm.shape[2]
    guest[at.FAR, v] = guest[at.BORROWING, v] = guest[at.RECALLING, v] = 0.0
    guest[at.BOOSTED_UNTIL, v] = guest[at.ARRIVING, v] = guest[at.CLONABLE, v] = 0.0
    guest[at.DONOR, v], guest[at.SLAB_LEFT, v] = at.NOBODY, 0.0
    guest[at.BEHIND, v], guest[at.BEHIND_HOST, v] = fetched, origin
    guest[at.IS_CLONE, v] = 1.0
    guest[at.STOPS_AT, v] = math.inf  # it ends with its origin


@lean_kernel
def order_merge(t: Tables, d: HostTables, h: int, v: int) -> bool:
    """Make one VM of two again: the clone's slot is free, its origin takes all of the load."""
    m, u = int(t.guest[h, at.TWIN_HOST, v]), int(t.guest[h, at.TWIN_SLOT, v])
    if m < 0:
        return False
    if t.guest[h, at.IS_CLONE, v] > 0.0:
        h, v, m, u = m, u, h, v
    clear_slot(t, d, m, u)
    share_cache_anew(t, m)
    t.guest[h, at.TWIN_HOST, v] = t.guest[h, at.TWIN_SLOT, v] = at.NOBODY
    t.guest[h, at.FORK_S, v] = 0.0
    t.world_vm[h, host_at.SHARES, v] *= 2.0
    _join_demand(t, d, h, v)
    t.guest[h, at.MERGED, v] += 1.0
    return True


@lean_kernel
def _half(size: float, fixed: float) -> float:
    """Memory of each of two that share what one of ``size`` did."""
    return size if size <= fixed else fixed + 0.5 * (size - fixed)


@lean_kernel
def _whole(size: float, fixed: float) -> float:
    """The other way round."""
    return size if size <= fixed else fixed + 2.0 * (size - fixed)


@lean_kernel
def _divide_demand(t: Tables, d: HostTables, h: int, v: int) -> None:
    fixed, tax = t.cluster[at.CLONE_FIXED], t.cluster[at.CLONE_TAX]
    for knot in range(d.demand.shape[1]):
        demand = d.demand[h, knot]
        for row in (host_at.WANT_WORKING_SET, host_at.WANT_FOOTPRINT):
            demand[row, v] = _half(demand[row, v], fixed)
        demand[host_at.WANT_CORES, v] *= 0.5 * (1.0 + tax)
        demand[host_at.WANT_IO, v] *= 0.5


@lean_kernel
def _join_demand(t: Tables, d: HostTables, h: int, v: int) -> None:
    fixed, tax = t.cluster[at.CLONE_FIXED], t.cluster[at.CLONE_TAX]
    for knot in range(d.demand.shape[1]):
        demand = d.demand[h, knot]
        for row in (host_at.WANT_WORKING_SET, host_at.WANT_FOOTPRINT):
            demand[row, v] = _whole(demand[row, v], fixed)
        demand[host_at.WANT_CORES, v] /= 0.5 * (1.0 + tax)
        demand[host_at.WANT_IO, v] *= 2.0
