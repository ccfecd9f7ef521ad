"""Which host takes a VM? Power-aware best fit (PABFD of Beloglazov and Buyya, CCPE 2012).

Of the hosts that have room and would not be overloaded with the VM, the one whose power rises
least; of equals the first. For comparison the first host that has room, and the one on which least
CPU is left over. `Books` hold what a plan would make of each host, while the world stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

from gymbal_runtime.centre.rules.detection import HISTORY, THR, Rule, is_overloaded
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.rules.selection import Guests
from gymbal_runtime.machine_code import Floats, Ints, lean_kernel


class Hosts(NamedTuple):
    """What does not change of hosts."""

    capacity_mips: Floats  # (H,) of all cores
    core_mips: Floats  # (H,) of one core, the most that a vCPU gets
    watts: Floats  # (H, 11) power curve
    fill: Floats  # (H,) factor on the rule's threshold up to which VMs are moved here; 1: its own
    relief: Floats  # (H,) the same, from which VMs are moved away


class Books(NamedTuple):
    """Hosts as they would be; a plan starts from what was measured."""

    vms: Ints  # (H, V) VMs of each host in order of arrival, the first ``num_vms`` of them
    num_vms: Ints  # (H,)
    load_mips: Floats  # (H,) given to its VMs
    requested_mips: Floats  # (H,) that its VMs ask for
    free_mips: Floats  # (H,)
    free_ram_mb: Floats  # (H,)
    power_w: Floats  # (H,) as measured before the plan: CloudSim never updates it within one
    history: Floats  # (H, HISTORY) past utilisation by the VMs that are now on it


NUM_SAVED = 5 + HISTORY
"""Numbers of a host that `put` saves."""


@lean_kernel
def host_history(
    host: int, members: Ints, count: int, hosts: Hosts, guests: Guests, history: Floats
) -> None:
    """Past utilisation that these VMs would have caused on a host, into (HISTORY,)."""
    capacity = hosts.capacity_mips[host]
    for s in range(HISTORY):
        history[s] = 0.0
    for i in range(count):
        vm = members[i]
        for s in range(guests.samples[vm]):
            history[s] += guests.history[vm, s] * guests.mips[vm] / capacity


@lean_kernel
def would_overload(
    vm: int, host: int, rule: Rule, hosts: Hosts, guests: Guests, books: Books, work: Floats
) -> bool:
    """Whether a host with one VM more would count as overloaded.

    Needs (2 * HISTORY,) of ``work`` for the history and its sorting.
    """
    capacity = hosts.capacity_mips[host]
    if rule.detector != THR:
        for s in range(HISTORY):
            work[s] = books.history[host, s]
        for s in range(guests.samples[vm]):
            work[s] += guests.history[vm, s] * guests.mips[vm] / capacity
    requested = books.requested_mips[host] + guests.requested_mips[vm]
    return is_overloaded(rule, requested, capacity, hosts.fill[host], work, work[HISTORY:])


@lean_kernel
def has_room(vm: int, host: int, hosts: Hosts, guests: Guests, books: Books) -> bool:
    """Whether a host has the cores, the free CPU and the memory that a VM asks for."""
    requested = guests.requested_mips[vm]
    return (
        hosts.core_mips[host] >= requested / guests.vcpus[vm]
        and books.free_mips[host] >= requested
        and books.free_ram_mb[host] >= guests.requested_ram_mb[vm]
    )


@lean_kernel
def find_host(
    vm: int,
    candidates: Ints,
    num_candidates: int,
    rule: Rule,
    hosts: Hosts,
    guests: Guests,
    books: Books,
    work: Floats,
) -> int:
    """Host with room whose power rises least, -1 if none.

    Args:
        vm: to be placed.
        candidates: (>= num_candidates,) hosts that may be used, in order of preference of equals.
        num_candidates: how many.
        rule: says when a host is overloaded; an empty host never is.
        hosts: all.
        guests: all.
        books: what was planned so far.
        work: (2 * HISTORY,) room.
    """
    requested = guests.requested_mips[vm]
    best, least = -1, 1e300
    for c in range(num_candidates):
        host = candidates[c]
        if not has_room(vm, host, hosts, guests, books):
            continue
        after = min((books.load_mips[host] + requested) / hosts.capacity_mips[host], 1.0)
        rise = power_w(hosts.watts[host], after) - books.power_w[host]
        # The costly question comes last. Its answer does not depend on the order.
        if rise < least and not (
            books.load_mips[host] != 0.0
            and would_overload(vm, host, rule, hosts, guests, books, work)
        ):
            best, least = host, rise
    return best


@lean_kernel
def find_by_fit(
    vm: int,
    candidates: Ints,
    num_candidates: int,
    tightest: bool,
    rule: Rule,
    hosts: Hosts,
    guests: Guests,
    books: Books,
    work: Floats,
) -> int:
    """The first host with room, or that with the least CPU left over; -1 if none.

    Args:
        vm: as in `find_host`, like all that is not here.
        candidates: in order.
        num_candidates: how many.
        tightest: best fit, else first fit.
        rule: says when a host is overloaded.
        hosts: all.
        guests: all.
        books: what was planned so far.
        work: (2 * HISTORY,) room.
    """
    best, least = -1, 1e300
    for c in range(num_candidates):
        host = candidates[c]
        if not has_room(vm, host, hosts, guests, books) or books.free_mips[host] >= least:
            continue
        if books.load_mips[host] != 0.0 and would_overload(
            vm, host, rule, hosts, guests, books, work
        ):
            continue
        if not tightest:
            return host
        best, least = host, books.free_mips[host]
    return best


@lean_kernel
def put(
    vm: int, host: int, hosts: Hosts, guests: Guests, books: Books, saved: Floats, step: int
) -> None:
    """Book a VM on a host, and keep in row ``step`` of ``saved`` what `take_back` needs."""
    requested, capacity = guests.requested_mips[vm], hosts.capacity_mips[host]
    saved[step, 0] = host
    saved[step, 1] = books.load_mips[host]
    saved[step, 2] = books.requested_mips[host]
    saved[step, 3] = books.free_mips[host]
    saved[step, 4] = books.free_ram_mb[host]
    for s in range(HISTORY):
        saved[step, 5 + s] = books.history[host, s]
    for s in range(guests.samples[vm]):
        books.history[host, s] += guests.history[vm, s] * guests.mips[vm] / capacity
    books.load_mips[host] += requested
    books.requested_mips[host] += requested
    books.free_mips[host] -= requested
    books.free_ram_mb[host] -= guests.requested_ram_mb[vm]
    books.vms[host, books.num_vms[host]] = vm
    books.num_vms[host] += 1


@lean_kernel
def take_back(books: Books, saved: Floats, steps: int) -> None:
    """Undo the last ``steps`` bookings to the last bit, newest first."""
    for step in range(steps - 1, -1, -1):
        host = int(saved[step, 0])
        books.load_mips[host] = saved[step, 1]
        books.requested_mips[host] = saved[step, 2]
        books.free_mips[host] = saved[step, 3]
        books.free_ram_mb[host] = saved[step, 4]
        for s in range(HISTORY):
            books.history[host, s] = saved[step, 5 + s]
        books.num_vms[host] -= 1


@lean_kernel
def sort_by_demand(vms: Ints, count: int, guests: Guests) -> None:
    """Sort VMs by the CPU they ask for, largest first, equals in their old order."""
    for i in range(1, count):
        vm, at = vms[i], i
        while at > 0 and guests.requested_mips[vms[at - 1]] < guests.requested_mips[vm]:
            vms[at] = vms[at - 1]
            at -= 1
        vms[at] = vm
