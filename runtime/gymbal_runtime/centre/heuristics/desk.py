"""One centre as the rules of consolidation take it: what is, what is planned, what is told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gymbal_runtime.centre.rules.consolidation import Plan
from gymbal_runtime.centre.rules.detection import HISTORY
from gymbal_runtime.centre.rules.placement import NUM_SAVED, Books, Hosts
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.rules.selection import Guests
from gymbal_runtime.centre.telemetry import ON, WAKING
from gymbal_runtime.machine_code import Floats, Ints, lean_kernel

ABSENT = -1
"""State of a place without a host."""
NOT_IDLE = 1e-9
"""Least utilisation of a host with VMs: rules take 0 for a host that is off."""


class Desk(NamedTuple):
    """Everything that is decided from and written to.

    Books hold VMs where they will be: at the target of a move under way, and where the plan so far
    sends them. Memory is held where a VM is now and where it will be.
    """

    hosts: Hosts
    guests: Guests
    books: Books
    plan: Plan  # `takes`, `gives` and `movable` say what is allowed
    state: Ints  # (H,) ON ... WAKING, ABSENT
    sleep_w: Floats  # (H,)
    utilisation: Floats  # (H,) wanted / capacity; 0: off or empty
    waits: Ints  # (V,) 1: it has no host
    home: Ints  # (V,) where it is now, or goes by a move under way; NOWHERE
    place: Ints  # (V,) where it will be; NOWHERE
    target: Ints  # (V,) what it is told
    wake: Ints  # (H,) 1: it is told to wake


class Room(NamedTuple):
    """Tables that are filled anew for each centre."""

    books: Books
    plan: Plan
    utilisation: Floats  # (H,)


def make_room(num_hosts: int, num_vms: int) -> Room:
    """Tables for centres of this size."""
    hosts, vms = (num_hosts, np.int64), (num_vms, np.int64)
    books = Books(
        vms=np.zeros((num_hosts, num_vms), np.int64),
        num_vms=np.zeros(*hosts),
        load_mips=np.zeros(num_hosts),
        requested_mips=np.zeros(num_hosts),
        free_mips=np.zeros(num_hosts),
        free_ram_mb=np.zeros(num_hosts),
        power_w=np.zeros(num_hosts),
        history=np.zeros((num_hosts, HISTORY)),
    )
    plan = Plan(
        takes=np.zeros(*hosts),
        gives=np.zeros(*hosts),
        keep=np.zeros(num_hosts),
        movable=np.zeros(*vms),
        vm=np.zeros(2 * num_vms, np.int64),
        host=np.zeros(2 * num_vms, np.int64),
        num_moves=np.zeros(1, np.int64),
        stranded=np.zeros(*vms),
        num_stranded=np.zeros(1, np.int64),
        overloaded=np.zeros(*hosts),
        closed=np.zeros(*hosts),
        candidates=np.zeros(*hosts),
        order=np.zeros(*hosts),
        moving=np.zeros(*vms),
        members=np.zeros(*vms),
        saved=np.zeros((num_vms, NUM_SAVED)),
        work=np.zeros(2 * HISTORY),
        matrix=np.zeros((HISTORY, HISTORY + 1)),
    )
    return Room(books, plan, np.zeros(num_hosts))


@lean_kernel
def open_books(d: Desk, free_ram_mb: Floats) -> None:
    """Enter what is: VMs where they run or go, what is left of each host.

    A host that sleeps is entered as it will be once it is on, at the watts of its sleep: what it
    draws more for a VM includes that it wakes.
    """
    books, plan = d.books, d.plan
    plan.num_moves[0] = plan.num_stranded[0] = 0
    for h in range(d.state.shape[0]):
        books.num_vms[h] = 0
        books.requested_mips[h] = 0.0
        books.free_ram_mb[h] = free_ram_mb[h]
    for v in range(d.place.shape[0]):
        h = d.place[v]
        if h >= 0:
            books.vms[h, books.num_vms[h]] = v
            books.num_vms[h] += 1
            books.requested_mips[h] += d.guests.requested_mips[v]
            if not plan.movable[v]:
                plan.gives[h] = 0
    for h in range(d.state.shape[0]):
        capacity, wanted = d.hosts.capacity_mips[h], books.requested_mips[h]
        books.load_mips[h] = min(wanted, capacity)
        books.free_mips[h] = capacity - books.load_mips[h]
        awake = d.state[h] == ON or d.state[h] == WAKING
        running = power_w(d.hosts.watts[h], books.load_mips[h] / capacity)
        books.power_w[h] = running if awake else d.sleep_w[h]
        used = d.state[h] == ON and books.num_vms[h] > 0
        d.utilisation[h] = max(wanted / capacity, NOT_IDLE) if used else 0.0


@lean_kernel
def shift(d: Desk, vm: int, host: int) -> None:
    """Plan that a VM that may move goes from where it will be to another host.

    Where it is now its memory stays held until it has gone; where it was only planned to go it is
    free again.
    """
    books, source = d.books, d.place[vm]
    wanted, ram = d.guests.requested_mips[vm], d.guests.requested_ram_mb[vm]
    kept = 0
    for i in range(books.num_vms[source]):
        if books.vms[source, i] != vm:
            books.vms[source, kept] = books.vms[source, i]
            kept += 1
    books.num_vms[source] = kept
    books.vms[host, books.num_vms[host]] = vm
    books.num_vms[host] += 1
    if source != d.home[vm]:
        books.free_ram_mb[source] += ram
    if host != d.home[vm]:
        books.free_ram_mb[host] -= ram
    for h, change in ((source, -wanted), (host, wanted)):
        capacity = d.hosts.capacity_mips[h]
        books.requested_mips[h] += change
        books.load_mips[h] = max(min(books.requested_mips[h], capacity), 0.0)
        books.free_mips[h] = capacity - books.load_mips[h]
    d.place[vm] = host
    d.target[vm] = host


@lean_kernel
def holds(d: Desk, vm: int, host: int) -> bool:
    """Whether a host has the memory for a VM, or holds it already."""
    return bool(host == d.home[vm] or d.books.free_ram_mb[host] >= d.guests.requested_ram_mb[vm])


@lean_kernel
def hosts_on(d: Desk, order: Ints) -> int:
    """List the hosts that take VMs in ``order``; return how many there are."""
    count = 0
    for h in range(d.state.shape[0]):
        if d.plan.takes[h]:
            order[count] = h
            count += 1
    return count


@lean_kernel
def sort_hosts(order: Ints, count: int, key: Floats, falling: bool) -> None:
    """Sort the first ``count`` hosts of ``order`` by ``key`` (H,), equals in their old order."""
    sign = -1.0 if falling else 1.0
    for i in range(1, count):
        host, at = order[i], i
        while at > 0 and sign * key[order[at - 1]] > sign * key[host]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = host
