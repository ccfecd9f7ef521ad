"""VMs that come during an episode: they wait in a place without a host until they are placed.

Such a place is a *lobby*. Its slots hold all that a VM is, but PRESENT: no host runs it. Who has
come and waits makes no progress. Once placed a VM begins with nothing resident; to boot takes no
time.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.books import room_bytes, size_of
from gymbal_envs.simulator.cluster.power import stay_on
from gymbal_envs.simulator.cluster.slots import (
    clear_slot,
    copy_slot,
    hand_over_outcome,
    share_cache_anew,
    vacant_slot,
)
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def meet_arrivals(t: Tables, d: HostTables) -> float:
    """Let VMs come whose time is there, and leave who was never placed; s of what is next."""
    now, following = t.cluster[at.TIME], math.inf
    for h in range(t.member.shape[0]):
        if t.member[h, at.LOBBY] == 0.0:
            continue
        guest = t.guest[h]
        for v in range(t.vm.shape[2]):
            if guest[at.IDENTITY, v] == at.NOBODY:
                continue
            if guest[at.STOPS_AT, v] <= now:
                guest[at.STOPPED, v] = 1.0
                clear_slot(t, d, h, v)
                continue
            following = min(following, guest[at.STOPS_AT, v])
            if guest[at.WAITING, v] > 0.0:
                continue
            if guest[at.ARRIVES_AT, v] <= now:
                guest[at.WAITING, v] = 1.0
                guest[at.ARRIVED_AT, v] = now
                t.world_vm[h, host_at.SHARES, v] = guest[at.DUE_SHARES, v]
            else:
                following = min(following, guest[at.ARRIVES_AT, v])
    return following


@lean_kernel
def charge_waiting(t: Tables) -> None:
    """One tick of waiting: nothing of what a VM wanted to do was done."""
    tick = t.cluster[at.K_TICK]
    for h in range(t.member.shape[0]):
        if t.member[h, at.LOBBY] == 0.0:
            continue
        for v in range(t.vm.shape[2]):
            if t.guest[h, at.WAITING, v] > 0.0:
                t.outcome[h, host_at.LOST, v] += tick
                t.guest[h, at.WAITED_S, v] += tick


@lean_kernel
def order_place(t: Tables, d: HostTables, h: int, v: int, target: int) -> bool:
    """Start a waiting VM on a host; False where that cannot be."""
    if t.guest[h, at.WAITING, v] == 0.0 or target < 0 or target >= t.member.shape[0]:
        return False
    slot, size = vacant_slot(t, target), size_of(t, h, v)
    if slot < 0 or size > room_bytes(t, target):
        return False
    stay_on(t, target)
    copy_slot(t, d, h, v, target, slot)
    hand_over_outcome(t, h, v, target, slot)
    clear_slot(t, d, h, v)
    _begin(t, d, target, slot, size)
    share_cache_anew(t, target)
    return True


@lean_kernel
def _begin(t: Tables, d: HostTables, h: int, v: int, size: float) -> None:
    """A VM that holds ``size`` bytes and has touched none of them."""
    vm, guest = t.vm[h], t.guest[h]
    t.world_vm[h, host_at.PRESENT, v] = 1.0
    for row in (
        host_at.WORKING_SET, host_at.FOOTPRINT, host_at.HOT, host_at.COLD, host_at.UNBORN,
        host_at.OCCUPANCY,
    ):  # fmt: skip
        vm[row, v] = 0.0
    vm[host_at.ACTUAL, v] = vm[host_at.TARGET, v] = size
    for q in range(host_at.NUM_SENSED):
        d.pending[h, q, v] = d.visible[h, q, v] = math.nan
    guest[at.WAITING, v] = 0.0
    guest[at.PLACED, v] = 1.0
