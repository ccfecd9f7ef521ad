"""One tick after another of data centres: orders, moves, CPU time, hosts, who comes and goes."""

from __future__ import annotations

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.contention import contend
from gymbal_envs.simulator.centre.cpu_shares import book_work, follow_demand, share_cpu
from gymbal_envs.simulator.centre.host_states import pass_time, tell_host
from gymbal_envs.simulator.centre.moves import advance, begin_move, find_moves, land, share_ports
from gymbal_envs.simulator.centre.presence import has_room, meet_changes, place
from gymbal_envs.simulator.centre.tables import (
    Scratch,
    Tables,
    centre_rows,
    make_scratch,
    sort_by_host,
)
from gymbal_envs.simulator.compile import Ints, kernel, lean_kernel
from gymbal_runtime.centre.orders import LEAVE, SLEEP
from gymbal_runtime.centre.telemetry import HISTORY, ON


@kernel
def begin_centre(batch: Tables, c: int) -> None:
    """First arrivals, demand and record of a centre whose tables were just filled."""
    t = centre_rows(batch, c)
    meet_changes(t, 0.0)
    follow_demand(t, 0.0)
    record(t)


@kernel
def advance_centres(
    first: int, last: int, num_ticks: int, batch: Tables, told_vm: Ints, told_host: Ints
) -> None:
    """Carry out the orders of centres ``first <= c < last`` and advance them by ticks.

    Args:
        first: centre.
        last: one past the last.
        num_ticks: of physics.
        batch: tables of all centres.
        told_vm: (C, V) targets.
        told_host: (C, H) verbs.
    """
    s = make_scratch(batch.host.shape[2], batch.vm.shape[2], batch.program.shape[1])
    for c in range(first, last):
        t = centre_rows(batch, c)
        t.outcome[:] = 0.0
        t.host_outcome[:] = 0.0
        obey(t, told_vm[c], told_host[c])
        sort_by_host(t, s)
        for _ in range(num_ticks):
            _tick(t, s)
        t.world[at.INTERVAL_S] = num_ticks * t.constants[at.C_TICK]
        record(t)


@lean_kernel
def obey(t: Tables, told_vm: Ints, told_host: Ints) -> None:
    """Tell hosts, then VMs in the order of their rows; what cannot be is refused and counted.

    A host that is to sleep and is then chosen as somebody's target stays awake.
    """
    for h in range(t.host.shape[1]):
        if told_host[h] != LEAVE:
            tell_host(t, h, told_host[h])
    for v in range(t.vm.shape[1]):
        target = told_vm[v]
        under_way = t.vm[at.TARGET, v]
        if target < 0 or target == t.vm[at.HOST, v] or target == under_way:
            continue
        open_to = t.world_host[at.EXISTS, target] > 0.0 and t.host[at.STATE, target] == ON
        free_to_go = t.vm[at.HERE, v] > 0.0 and under_way < 0.0
        if not (open_to and free_to_go and has_room(t, v, target)):
            t.outcome[at.REFUSED, v] += 1.0
            continue
        if t.host[at.TOLD, target] == SLEEP:
            t.host[at.TOLD, target] = LEAVE
        if t.vm[at.HOST, v] < 0.0:
            place(t, v, target)
            t.outcome[at.PLACED, v] += 1.0
        else:
            begin_move(t, v, target)


@lean_kernel
def _tick(t: Tables, s: Scratch) -> None:
    """Moves first, so that what they cost counts in this tick; who has moved runs there next."""
    dt, count = t.constants[at.C_TICK], 0
    if t.world[at.MOVES] > 0.0:
        count = find_moves(t, s)
        share_ports(t, s, count)
        for k in range(count):
            advance(t, s, k, dt)
    share_cpu(t, s, dt)
    book_work(t, dt)
    if t.world[at.CONTENDS] > 0.0:
        contend(t, s, dt)
    for h in range(t.host.shape[1]):
        if t.world_host[at.EXISTS, h] > 0.0:
            pass_time(t, h, dt)
    changed = False
    for k in range(count):
        changed = land(t, s.mover[k]) or changed
    t.world[at.TICK] += 1.0
    now_s = t.world[at.TICK] * dt
    if now_s >= t.world[at.NEXT_CHANGE]:
        changed = meet_changes(t, now_s) or changed
    if changed:
        sort_by_host(t, s)
    follow_demand(t, now_s)


@lean_kernel
def record(t: Tables) -> None:
    """Remember what every VM wants now, as part of its own MIPS; nothing of one that is not here.

    The newest comes first.
    """
    for v in range(t.vm.shape[1]):
        for k in range(HISTORY - 1, 0, -1):
            t.history[v, k] = t.history[v, k - 1]
        t.history[v, 0] = _wanted_frac(t, v)


@lean_kernel
def _wanted_frac(t: Tables, v: int) -> float:
    return t.vm[at.WANTED, v] / t.world_vm[at.SPEED, v] if t.vm[at.HERE, v] > 0.0 else float("nan")
