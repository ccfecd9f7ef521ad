"""Hosts for VMs that have none, and for those that should move but found none: who is woken.

A VM without a host starts where there is room for all the CPU that it may ask for; else where there
is room for what it wants now; else it waits for a host that wakes; and where none is left to wake,
it starts wherever its memory fits. Hosts with VMs come before those that are empty or about to be:
these could sleep.
"""

from __future__ import annotations

from gymbal_runtime.centre.heuristics.desk import Desk
from gymbal_runtime.centre.rules.detection import Rule
from gymbal_runtime.centre.rules.placement import find_by_fit, find_host, put, sort_by_demand
from gymbal_runtime.centre.telemetry import ASLEEP, ON, SUSPENDING, WAKING
from gymbal_runtime.machine_code import lean_kernel

PABFD, FIRST_FIT, BEST_FIT = range(3)
PLACEMENTS: dict[str, int] = {"pabfd": PABFD, "first_fit": FIRST_FIT, "best_fit": BEST_FIT}
"""Least rise of power, first host with room, least CPU left over."""

IN_USE, TO_SPARE, TO_WAKE, TO_BE_WOKEN = range(4)
"""Groups of hosts, in order of preference: ON with VMs; ON without, or told to sleep; on their way
to be ON; asleep or falling asleep."""


@lean_kernel
def start_waiting(d: Desk, rule: Rule, method: int, arrival_frac: float) -> None:
    """Give VMs without a host one, those that ask for most first.

    Args:
        d: the centre; its books are open.
        rule: says when a host is overloaded.
        method: one of PLACEMENTS.
        arrival_frac: part of its MIPS that a VM counts with at least where there is a choice.
    """
    count = 0
    for v in range(d.waits.shape[0]):
        if d.waits[v]:
            d.plan.moving[count] = v
            count += 1
    sort_by_demand(d.plan.moving, count, d.guests)
    for i in range(count):
        vm = d.plan.moving[i]
        wanted = float(d.guests.requested_mips[vm])
        most = max(wanted, arrival_frac * float(d.guests.mips[vm]))
        host = _start(d, vm, rule, method, most, wanted)
        if host >= 0:
            d.place[vm] = d.target[vm] = host
            # It runs nowhere yet, so nothing can move it in this decision.
            d.plan.gives[host] = 0


@lean_kernel
def _start(d: Desk, vm: int, rule: Rule, method: int, most: float, wanted: float) -> int:
    """Book a VM that waits: on the host returned, or (-1) on one that has to wake first."""
    for group in (IN_USE, TO_SPARE):
        for demand in (most, wanted):
            host = _book(d, vm, rule, method, group, demand, wanted)
            if host >= 0:
                return host
    for group in (TO_WAKE, TO_BE_WOKEN):
        for demand in (most, wanted):
            host = _book(d, vm, rule, method, group, demand, wanted)
            if host >= 0:
                d.wake[host] = 1
                return -1
    return _anywhere(d, vm)


@lean_kernel
def help_stranded(d: Desk, rule: Rule) -> None:
    """Find hosts for the plan's stranded VMs: at once one that was to sleep, else one to wake.

    Who waits for a host to wake moves by a later decision, if it then still has to.
    """
    for i in range(d.plan.num_stranded[0]):
        vm = d.plan.stranded[i]
        wanted = float(d.guests.requested_mips[vm])
        for group in (TO_SPARE, TO_WAKE, TO_BE_WOKEN):
            host = _book(d, vm, rule, PABFD, group, wanted, wanted)
            if host < 0:
                continue
            if group == TO_SPARE:
                d.place[vm] = d.target[vm] = host
            else:
                d.wake[host] = 1
            break


@lean_kernel
def _book(
    d: Desk, vm: int, rule: Rule, method: int, group: int, demand: float, wanted: float
) -> int:
    """Book a VM with some demand on a host of a group, -1 if none has room for it."""
    count = 0
    for h in range(d.state.shape[0]):
        if h != d.place[vm] and group_of(d, h) == group:
            d.plan.candidates[count] = h
            count += 1
    if count == 0:
        return -1
    candidates, work = d.plan.candidates, d.plan.work
    d.guests.requested_mips[vm] = demand
    if method == PABFD:
        host = find_host(vm, candidates, count, rule, d.hosts, d.guests, d.books, work)
    else:
        tightest = method == BEST_FIT
        host = find_by_fit(vm, candidates, count, tightest, rule, d.hosts, d.guests, d.books, work)
    if host >= 0:
        put(vm, host, d.hosts, d.guests, d.books, d.plan.saved, 0)
    d.guests.requested_mips[vm] = wanted
    return host


@lean_kernel
def group_of(d: Desk, h: int) -> int:
    """The group of a host, -1 where there is none."""
    state = d.state[h]
    if state == ON:
        return IN_USE if d.plan.takes[h] and d.books.num_vms[h] > 0 else TO_SPARE
    if state == WAKING or (d.wake[h] and state >= 0):
        return TO_WAKE
    return TO_BE_WOKEN if state in (SUSPENDING, ASLEEP) else -1


@lean_kernel
def _anywhere(d: Desk, vm: int) -> int:
    """Book a VM on the host that is on with most CPU free among those with the memory, or -1."""
    best, most = -1, -1.0
    for h in range(d.state.shape[0]):
        fits = d.books.free_ram_mb[h] >= d.guests.requested_ram_mb[vm]
        if d.state[h] == ON and fits and d.books.free_mips[h] > most:
            best, most = h, d.books.free_mips[h]
    if best >= 0:
        put(vm, best, d.hosts, d.guests, d.books, d.plan.saved, 0)
        d.books.free_mips[best] = max(d.books.free_mips[best], 0.0)
    return best
