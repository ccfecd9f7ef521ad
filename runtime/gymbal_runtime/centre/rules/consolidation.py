"""One round of dynamic consolidation: relieve overloaded hosts, then empty idle ones.

Beloglazov and Buyya, CCPE 24(13), 2012, algorithms 1 and 2, with what CloudSim 3.0.3 does where the
paper is silent:

- victims leave a host until it is no longer overloaded; one that finds no host stays;
- a host that took victims may be emptied in the same round, and they move twice;
- each host is tried once as a source, least utilised first, but not if it took VMs of an emptied
  host; from then on it takes no VMs, even when it could not be emptied;
- a host is emptied entirely or not at all, and hosts that were off are not switched on for it.

Where some hosts take no VMs, or some VMs cannot move, a plan says so; CloudSim knows neither.
"""

from __future__ import annotations

from typing import NamedTuple

from gymbal_runtime.centre.rules.detection import HISTORY, THR, Rule, is_overloaded
from gymbal_runtime.centre.rules.placement import (
    Books,
    Hosts,
    find_host,
    host_history,
    put,
    sort_by_demand,
    take_back,
)
from gymbal_runtime.centre.rules.selection import Guests, select_victim
from gymbal_runtime.machine_code import Floats, Ints, Streams, lean_kernel


class Plan(NamedTuple):
    """What is allowed; migrations in the order in which they start; room to work in."""

    takes: Ints  # (H,) 1: VMs may go there
    gives: Ints  # (H,) 1: it may be emptied
    keep: Floats  # (H,) added to its utilisation in the order of emptying; 0: nothing
    movable: Ints  # (V,) 1: it may move
    vm: Ints  # (2 V,)
    host: Ints  # (2 V,) where it goes
    num_moves: Ints  # (1,) migrations, 0 before the first round
    stranded: Ints  # (V,) victims that found no host
    num_stranded: Ints  # (1,)
    overloaded: Ints  # (H,) 1 where a host was
    closed: Ints  # (H,) 1 where a host is no source any more
    candidates: Ints  # (H,)
    order: Ints  # (H,)
    moving: Ints  # (V,)
    members: Ints  # (V,)
    saved: Floats  # (V, NUM_SAVED)
    work: Floats  # (2 * HISTORY,)
    matrix: Floats  # (HISTORY, HISTORY + 1)


@lean_kernel
def plan_migrations(
    rule: Rule,
    utilisation: Floats,
    hosts: Hosts,
    guests: Guests,
    books: Books,
    plan: Plan,
    streams: Streams,
) -> None:
    """Fill ``plan`` with a round's migrations.

    Args:
        rule: the policy.
        utilisation: (H,) as measured, 0 where a host is off.
        hosts: all.
        guests: all.
        books: hosts as measured; on return as they would be. ``history`` is filled in here.
        plan: emptied and filled; what is allowed stays.
        streams: (1,) for random selection.
    """
    plan.num_moves[0] = plan.num_stranded[0] = 0
    num_hosts = utilisation.shape[0]
    if rule.detector != THR:
        for h in range(num_hosts):
            host_history(h, books.vms[h], books.num_vms[h], hosts, guests, books.history[h])
    for h in range(num_hosts):
        capacity, wanted = hosts.capacity_mips[h], books.requested_mips[h]
        relief, history = hosts.relief[h], books.history[h]
        over = is_overloaded(rule, wanted, capacity, relief, history, plan.work)
        plan.overloaded[h] = 1 if over else 0
    _relieve(rule, hosts, guests, books, plan, streams)
    _empty_idle_hosts(rule, utilisation, hosts, guests, books, plan)


@lean_kernel
def _relieve(
    rule: Rule, hosts: Hosts, guests: Guests, books: Books, plan: Plan, streams: Streams
) -> None:
    """Move victims of overloaded hosts."""
    num_victims, num_candidates = 0, 0
    for h in range(plan.overloaded.shape[0]):
        if plan.overloaded[h]:
            num_victims = _choose_victims(h, rule, hosts, guests, books, plan, streams, num_victims)
        elif plan.takes[h]:
            plan.candidates[num_candidates] = h
            num_candidates += 1
    sort_by_demand(plan.moving, num_victims, guests)
    for i in range(num_victims):
        vm = plan.moving[i]
        host = find_host(vm, plan.candidates, num_candidates, rule, hosts, guests, books, plan.work)
        if host >= 0:
            put(vm, host, hosts, guests, books, plan.saved, 0)
            _note(plan, vm, host)
        else:
            plan.stranded[plan.num_stranded[0]] = vm
            plan.num_stranded[0] += 1


@lean_kernel
def _choose_victims(
    host: int,
    rule: Rule,
    hosts: Hosts,
    guests: Guests,
    books: Books,
    plan: Plan,
    streams: Streams,
    num_victims: int,
) -> int:
    """Append a host's victims to ``plan.moving``; return how many there are now."""
    members, count = plan.members, books.num_vms[host]
    choices = _movable_first(host, books, plan)
    capacity, relief, over = hosts.capacity_mips[host], hosts.relief[host], True
    while over and choices > 0:
        at = select_victim(rule.selector, members, choices, guests, streams, plan.matrix)
        plan.moving[num_victims] = members[at]
        num_victims += 1
        count -= 1
        choices -= 1
        for i in range(at, count):
            members[i] = members[i + 1]
        wanted = 0.0
        for i in range(count):
            wanted += guests.requested_mips[members[i]]
        if rule.detector != THR:
            host_history(host, members, count, hosts, guests, plan.work)
        work = plan.work
        over = is_overloaded(rule, float(wanted), capacity, relief, work, work[HISTORY:])
    return num_victims


@lean_kernel
def _movable_first(host: int, books: Books, plan: Plan) -> int:
    """List a host's VMs in ``plan.members``, those that may move first; return how many these are.

    Either part is in order of arrival.
    """
    listed = choices = 0
    for movable in (1, 0):
        for i in range(books.num_vms[host]):
            if plan.movable[books.vms[host, i]] == movable:
                plan.members[listed] = books.vms[host, i]
                listed += 1
        if movable:
            choices = listed
    return choices


@lean_kernel
def _empty_idle_hosts(
    rule: Rule, utilisation: Floats, hosts: Hosts, guests: Guests, books: Books, plan: Plan
) -> None:
    """Try each host once as a source, least utilised first."""
    num_candidates = 0
    for h in range(utilisation.shape[0]):
        plan.closed[h] = plan.overloaded[h]
        if utilisation[h] != 0.0 and not plan.overloaded[h] and plan.takes[h]:
            plan.candidates[num_candidates] = h
            num_candidates += 1
    num_sources = _rank_sources(utilisation, plan)
    for rank in range(num_sources):
        source = plan.order[rank]
        if plan.closed[source]:
            continue
        kept = 0
        for c in range(num_candidates):
            if plan.candidates[c] != source:
                plan.candidates[kept] = plan.candidates[c]
                kept += 1
        num_candidates = kept
        _empty(source, num_candidates, rule, hosts, guests, books, plan)


@lean_kernel
def _rank_sources(utilisation: Floats, plan: Plan) -> int:
    """Sort hosts by utilisation into ``plan.order``, without full ones; return how many."""
    ranked = 0
    for host in range(utilisation.shape[0]):
        idle_or_full = utilisation[host] == 0.0 or utilisation[host] >= 1.0
        if idle_or_full or plan.overloaded[host] or not plan.gives[host]:
            continue
        at, key = ranked, utilisation[host] + plan.keep[host]
        while at > 0:
            before = plan.order[at - 1]
            if not utilisation[before] + plan.keep[before] > key:
                break
            plan.order[at] = before
            at -= 1
        plan.order[at] = host
        ranked += 1
    return ranked


@lean_kernel
def _empty(
    source: int,
    num_candidates: int,
    rule: Rule,
    hosts: Hosts,
    guests: Guests,
    books: Books,
    plan: Plan,
) -> None:
    """Plan to move all VMs of a host, or none."""
    count = books.num_vms[source]
    for i in range(count):
        plan.moving[i] = books.vms[source, i]
    sort_by_demand(plan.moving, count, guests)
    first = plan.num_moves[0]
    for i in range(count):
        vm = plan.moving[i]
        host = find_host(vm, plan.candidates, num_candidates, rule, hosts, guests, books, plan.work)
        if host < 0:
            take_back(books, plan.saved, i)
            plan.num_moves[0] = first
            return
        put(vm, host, hosts, guests, books, plan.saved, i)
        _note(plan, vm, host)
    for i in range(first, plan.num_moves[0]):
        plan.closed[plan.host[i]] = 1


@lean_kernel
def _note(plan: Plan, vm: int, host: int) -> None:
    at = plan.num_moves[0]
    plan.vm[at], plan.host[at] = vm, host
    plan.num_moves[0] = at + 1
