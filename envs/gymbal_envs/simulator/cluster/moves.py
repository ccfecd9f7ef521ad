"""Moves inside a cluster: slot and memory at the target, progress lost, the switch-over.

The migration kernel says how pages are copied; here a move meets the hosts. Its slot and memory at
the target are reserved from the order on. While pages are copied the VM loses a part of its
progress; in the last copy all of it, for exactly as long as the kernel says. At the switch-over its
columns go to the other slot and the source's memory is free, but for what post-copy still pushes:
that stays at the source (LEFT_HERE), and the VM's faults fetch it meanwhile.
"""

from __future__ import annotations

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.books import room_bytes, size_of
from gymbal_envs.simulator.cluster.migration import advance_move, cancel_move, start_move
from gymbal_envs.simulator.cluster.migration_passes import left_bytes, pass_bytes
from gymbal_envs.simulator.cluster.power import stay_on
from gymbal_envs.simulator.cluster.slots import (
    clear_slot,
    copy_slot,
    hand_over_outcome,
    share_cache_anew,
    vacant_slot,
)
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.memory import free_bytes, swapped_bytes


@lean_kernel
def dirty_groups(t: Tables, h: int, v: int, dirty: Floats) -> None:
    """What the VM writes, as of now: parts of its resident working set."""
    for g in range(move_at.NUM_GROUPS):
        for q in range(move_at.NUM_DIRTY):
            dirty[g, q] = t.slot[h, v, at.DIRTY_FORM + g * move_at.NUM_DIRTY + q]
        dirty[g, move_at.SIZE] *= t.vm[h, host_at.HOT, v]


@lean_kernel
def order_move(t: Tables, h: int, v: int, target: int) -> bool:
    """Reserve slot and memory at the target and begin; False where that cannot be.

    A passthrough device is taken away first; the move starts once the emulated one works.
    """
    guest = t.guest[h]
    idle = t.slot[h, v, move_at.PHASE] == move_at.IDLE and guest[at.TWIN_HOST, v] < 0.0
    if not idle or target == h or target < 0 or target >= t.member.shape[0]:
        return False
    slot, size = vacant_slot(t, target), size_of(t, h, v)
    if slot < 0 or size > room_bytes(t, target):
        return False
    stay_on(t, target)
    t.member[target, at.RESERVED] += size
    t.guest[target, at.ARRIVING, slot] = 1.0
    guest[at.MOVE_TARGET, v], guest[at.MOVE_SLOT, v] = target, slot
    guest[at.MOVE_RESERVE, v] = size
    guest[at.MOVE_SINCE, v] = t.cluster[at.TIME]
    guest[at.STARTING, v] = 1.0
    guest[at.SWITCHED_OVER, v] = 0.0
    t.slot[h, v, : move_at.NUM_STATE] = 0.0
    t.slot[h, v, move_at.PHASE] = move_at.SETUP
    t.slot[h, v, move_at.LIMIT] = t.cluster[move_at.RATE_START]
    if t.vm[h, host_at.DEVICE_MODE, v] > 0.0:
        t.vm[h, host_at.DEVICE_MODE, v] = 0.0
        t.vm[h, host_at.OUTAGE_S, v] = t.cluster[at.K_SWITCH]
    t.guest[h, at.BEGUN, v] += 1.0
    t.cluster[at.MOVES] += 1.0
    return True


@lean_kernel
def order_cancel(t: Tables, h: int, v: int) -> bool:
    """Give a move up while the VM still runs at its source; False where that cannot be."""
    phase = t.slot[h, v, move_at.PHASE]
    if phase != move_at.SETUP and phase != move_at.COPYING:
        return False
    cancel_move(t.slot[h, v])
    give_up(t, h, v)
    t.guest[h, at.CANCELLED, v] += 1.0
    return True


@lean_kernel
def give_up(t: Tables, h: int, v: int) -> None:
    """Free what a move holds at the other host: at its target, or at its source once it runs."""
    m = int(t.guest[h, at.MOVE_TARGET, v])
    if t.guest[h, at.SWITCHED_OVER, v] > 0.0:
        leave_source(t, h, v, 0.0)
    else:
        slot = int(t.guest[h, at.MOVE_SLOT, v])
        reserved = t.member[m, at.RESERVED] - t.guest[h, at.MOVE_RESERVE, v]
        t.member[m, at.RESERVED] = max(reserved, 0.0)
        t.guest[m, at.ARRIVING, slot] = 0.0
    _end(t, h, v)


@lean_kernel
def _end(t: Tables, h: int, v: int) -> None:
    t.slot[h, v, : move_at.NUM_STATE] = 0.0
    guest = t.guest[h]
    guest[at.MOVE_TARGET, v] = at.NOBODY
    guest[at.MOVE_RESERVE, v] = guest[at.STARTING, v] = guest[at.SWITCHED_OVER, v] = 0.0
    guest[at.BEHIND, v] = 0.0
    guest[at.BEHIND_HOST, v] = at.NOBODY


@lean_kernel
def leave_source(t: Tables, h: int, v: int, left: float) -> None:
    """So much of a VM that runs at its target is still at its source; the rest is free there."""
    m = int(t.guest[h, at.MOVE_TARGET, v])
    gone = t.guest[h, at.MOVE_RESERVE, v] - left
    t.member[m, at.LEFT_HERE] = max(t.member[m, at.LEFT_HERE] - gone, 0.0)
    t.guest[h, at.MOVE_RESERVE, v] = left


@lean_kernel
def progress_of(t: Tables, h: int, v: int) -> float:
    """Part of the wanted progress that a VM made in the last tick while it was not held back."""
    vm = t.vm[h]
    if vm[host_at.STALL_S, v] > 0.0 or vm[host_at.WANTED_CORES, v] <= 0.0:
        return 0.0
    served = vm[host_at.GRANTED_CORES, v] / vm[host_at.WANTED_CORES, v]
    beside = vm[host_at.CACHE_SPEED, v] * vm[host_at.IO_SPEED, v] * vm[host_at.WAKE_SPEED, v]
    return min(served * vm[host_at.SPEED, v] * beside, 1.0)


@lean_kernel
def advance(t: Tables, h: int, v: int, at_hand: float, dirty: Floats) -> float:
    """One tick of a move with ``at_hand`` bytes/s; the bytes that it sent. `land` comes next.

    ``dirty`` (NUM_GROUPS, NUM_DIRTY) is scratch.
    """
    state, plan = t.slot[h, v], t.cluster
    dirty_groups(t, h, v, dirty)
    if t.guest[h, at.STARTING, v] > 0.0:
        if t.vm[h, host_at.OUTAGE_S, v] > 0.0:
            return 0.0
        t.guest[h, at.STARTING, v] = 0.0
        vm = t.vm[h]
        memory = t.world_vm[h, host_at.KERNEL, v] + vm[host_at.HOT, v] + vm[host_at.COLD, v]
        start_move(plan, dirty, memory, state)
    tick = t.cluster[at.K_TICK]
    sent = advance_move(plan, dirty, progress_of(t, h, v), at_hand, tick, state)
    t.guest[h, at.MOVE_BYTES, v] += sent
    _hold_back(t, h, v, min(state[move_at.PAUSED_S] / tick, 1.0), sent / tick)
    return sent


@lean_kernel
def land(t: Tables, d: HostTables, h: int, v: int) -> None:
    """What an advance led to: a move that gave up, a switch-over, pages that came, the end."""
    phase = t.slot[h, v, move_at.PHASE]
    if phase == move_at.CANCELLED:
        t.guest[h, at.FAILED, v] += 1.0
        give_up(t, h, v)
    if phase != move_at.PUSHING and phase != move_at.DONE:
        return
    m, u = h, v
    if t.guest[h, at.SWITCHED_OVER, v] == 0.0:
        m, u = int(t.guest[h, at.MOVE_TARGET, v]), int(t.guest[h, at.MOVE_SLOT, v])
        _switch_over(t, d, h, v, m, u)
    else:
        _push(t, h, v)
    if phase == move_at.DONE:
        t.guest[m, at.FINISHED, u] += 1.0
        leave_source(t, m, u, 0.0)
        _end(t, m, u)


@lean_kernel
def _hold_back(t: Tables, h: int, v: int, paused: float, rate: float) -> None:
    """Charge the tick's pause, throttling and slowdown to the VM."""
    state = t.slot[h, v]
    slow = 0.0
    if state[move_at.PHASE] != move_at.PUSHING:
        slow = t.cluster[at.K_SLOWDOWN] * min(rate / t.member[h, at.NIC], 1.0)
    ran = (1.0 - paused) * (1.0 - state[move_at.THROTTLE]) * (1.0 - slow)
    t.vm[h, host_at.HELD_BACK, v] = 1.0 - ran
    tick = t.cluster[at.K_TICK]
    t.guest[h, at.DOWN_S, v] += paused * tick
    t.guest[h, at.HELD_S, v] += (1.0 - ran) * tick


@lean_kernel
def _switch_over(t: Tables, d: HostTables, h: int, v: int, m: int, u: int) -> None:
    """The VM in slot v of host h runs in slot u of host m from now on."""
    left = min(left_bytes(t.slot[h, v]), t.vm[h, host_at.ACTUAL, v])
    reserved = t.member[m, at.RESERVED] - t.guest[h, at.MOVE_RESERVE, v]
    t.member[m, at.RESERVED] = max(reserved, 0.0)
    copy_slot(t, d, h, v, m, u)
    hand_over_outcome(t, h, v, m, u)
    clear_slot(t, d, h, v)
    guest, vm = t.guest[m], t.vm[m]
    guest[at.ARRIVING, u] = 0.0
    guest[at.SWITCHED_OVER, u] = 1.0
    guest[at.MOVE_TARGET, u] = h
    guest[at.MOVE_RESERVE, u] = left
    guest[at.SLAB_LEFT, u] = 0.0  # its donor may be the host where it now runs
    vm[host_at.OCCUPANCY, u] = 0.0  # none of its lines is in this host's cache
    t.member[h, at.LEFT_HERE] += left
    behind = min(left, vm[host_at.HOT, u] + vm[host_at.COLD, u])
    if behind > 0.0:  # what is written last is hot
        from_hot = min(behind, vm[host_at.HOT, u])
        vm[host_at.HOT, u] -= from_hot
        vm[host_at.COLD, u] -= behind - from_hot
        guest[at.BEHIND, u] = behind
        guest[at.BEHIND_HOST, u] = h
        t.cluster[at.AWAY] += 1.0
    _come_home(t, m, u)
    share_cache_anew(t, h)
    share_cache_anew(t, m)


@lean_kernel
def _come_home(t: Tables, m: int, u: int) -> None:
    """Pages that the VM had borrowed from the host where it now runs are its own again."""
    lent = t.slot[m, u, at.FAR_AT + m]
    if lent <= 0.0:
        return
    vm = t.vm[m]
    room = max(t.world_vm[m, host_at.MEMORY_MAX, u] - vm[host_at.ACTUAL, u], 0.0)
    kept = min(lent, room)  # what exceeds its ceiling goes to the swap device
    hot = min(kept, vm[host_at.WORKING_SET, u] - vm[host_at.HOT, u])
    vm[host_at.ACTUAL, u] += kept
    vm[host_at.TARGET, u] = max(vm[host_at.TARGET, u], vm[host_at.ACTUAL, u])
    vm[host_at.HOT, u] += hot
    vm[host_at.COLD, u] += kept - hot
    t.slot[m, u, at.FAR_AT + m] = 0.0
    t.guest[m, at.FAR, u] = max(t.guest[m, at.FAR, u] - lent, 0.0)
    t.member[m, at.LENT] = max(t.member[m, at.LENT] - lent, 0.0)


@lean_kernel
def _push(t: Tables, h: int, v: int) -> None:
    """Pages that came in the last tick are resident now, as far as there is room for them."""
    before = t.guest[h, at.MOVE_RESERVE, v]
    left = min(left_bytes(t.slot[h, v]), before)
    if before <= 0.0:
        return
    vm, behind = t.vm[h], t.guest[h, at.BEHIND, v]
    came = behind * (1.0 - left / before)
    t.guest[h, at.BEHIND, v] = behind - came
    leave_source(t, h, v, left)
    missing = vm[host_at.WORKING_SET, v] - vm[host_at.HOT, v] - vm[host_at.UNBORN, v]
    hot_part = min(max(missing, 0.0) / max(swapped_bytes(vm, v), 1.0), 1.0)
    kept = min(came, free_bytes(t.world_vm[h], t.world_host[h], vm, v))
    vm[host_at.HOT, v] += kept * hot_part
    vm[host_at.COLD, v] += kept * (1.0 - hot_part)


@lean_kernel
def fetch_behind(t: Tables, h: int, v: int, wanted: float) -> float:
    """Take pages away from what a VM has left elsewhere; the bytes that there were of them."""
    fetched = min(wanted, t.guest[h, at.BEHIND, v])
    t.guest[h, at.BEHIND, v] -= fetched
    state = t.slot[h, v]
    if t.guest[h, at.SWITCHED_OVER, v] > 0.0 and state[move_at.PHASE] == move_at.PUSHING:
        total = pass_bytes(state)
        if total > 0.0:
            state[move_at.PASS_DONE] = min(state[move_at.PASS_DONE] + fetched / total, 1.0)
        leave_source(t, h, v, min(left_bytes(state), t.guest[h, at.MOVE_RESERVE, v]))
    return fetched


@lean_kernel
def cap_targets(t: Tables, d: HostTables) -> None:
    """A VM on its way may not grow beyond what is reserved for it; nor get a passthrough device."""
    for h in range(t.member.shape[0]):
        for v in range(t.vm.shape[2]):
            if t.slot[h, v, move_at.PHASE] == move_at.IDLE:
                continue
            d.told[h, host_at.TOLD_MODE, v] = 0.0
            if t.guest[h, at.SWITCHED_OVER, v] == 0.0:
                reserve = t.guest[h, at.MOVE_RESERVE, v]
                t.vm[h, host_at.TARGET, v] = min(t.vm[h, host_at.TARGET, v], reserve)
