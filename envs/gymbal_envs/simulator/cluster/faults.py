"""What breaks or ends during an episode: VMs, and the memory of hosts that lend."""

from __future__ import annotations

import math

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.arrivals import meet_arrivals
from gymbal_envs.simulator.cluster.books import count_lent
from gymbal_envs.simulator.cluster.moves import give_up
from gymbal_envs.simulator.cluster.slots import clear_slot, share_cache_anew
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def meet_events(t: Tables, d: HostTables) -> None:
    """Let everything happen that is due by now, and note when something happens next."""
    now, following = t.cluster[at.TIME], math.inf
    for h in range(t.member.shape[0]):
        if t.member[h, at.SERVES] > 0.0:
            if t.member[h, at.FAILS_AT] <= now:
                _lose_lent_pages(t, h)
            else:
                following = min(following, t.member[h, at.FAILS_AT])
        for v in range(t.vm.shape[2]):
            if t.world_vm[h, host_at.PRESENT, v] == 0.0:
                continue
            if t.guest[h, at.STOPS_AT, v] <= now:
                stop_vm(t, d, h, v)
            else:
                following = min(following, t.guest[h, at.STOPS_AT, v])
    if t.cluster[at.QUEUES] > 0.0:
        following = min(following, meet_arrivals(t, d))
    t.cluster[at.NEXT_EVENT] = following
    count_lent(t)


@lean_kernel
def stop_vm(t: Tables, d: HostTables, h: int, v: int) -> None:
    """A VM ends: everything that it holds anywhere is free; so does its clone or origin."""
    twin, slot = int(t.guest[h, at.TWIN_HOST, v]), int(t.guest[h, at.TWIN_SLOT, v])
    _end_vm(t, d, h, v)
    if twin >= 0:
        _end_vm(t, d, twin, slot)


@lean_kernel
def _end_vm(t: Tables, d: HostTables, h: int, v: int) -> None:
    if t.slot[h, v, move_at.PHASE] != move_at.IDLE:
        give_up(t, h, v)
        t.guest[h, at.CANCELLED, v] += 1.0
    t.guest[h, at.STOPPED, v] = 1.0
    clear_slot(t, d, h, v)
    share_cache_anew(t, h)


@lean_kernel
def _lose_lent_pages(t: Tables, failed: int) -> None:
    """A memory service dies: the VMs whose pages it had are killed and start with fresh memory."""
    t.member[failed, at.SERVES] = 0.0
    t.member[failed, at.CALLING] = 0.0
    for h in range(t.member.shape[0]):
        for v in range(t.vm.shape[2]):
            if t.world_vm[h, host_at.PRESENT, v] == 0.0:
                continue
            guest, lost = t.guest[h], t.slot[h, v, at.FAR_AT + failed]
            t.slot[h, v, at.FAR_AT + failed] = 0.0
            guest[at.FAR, v] = max(guest[at.FAR, v] - lost, 0.0)
            if guest[at.IS_CLONE, v] > 0.0 and guest[at.BEHIND_HOST, v] == failed:
                lost += guest[at.BEHIND, v]
                guest[at.BEHIND, v] = 0.0
            if lost > 0.0:
                t.vm[h, host_at.UNBORN, v] += lost
                # the tick that begins now counts it down before it is charged
                t.vm[h, host_at.STALL_S, v] = t.cluster[at.K_RESTART] + t.cluster[at.K_TICK]
                t.outcome[h, host_at.KILLED, v] += 1.0
                t.guest[h, at.LOST_BYTES, v] += lost
