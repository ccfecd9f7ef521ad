"""CloudSim's events: a scheduling event every 300 s, and the ends of the migrations it starts.

At each event energy and violations of the time since the last one are booked, the CPU is divided
anew, and VMs that ask for nothing are removed for good: CloudSim takes them for completed.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.centre import cloudsim_tables as at
from gymbal_envs.simulator.centre.cloudsim_sharing import (
    append_vm,
    demand_at,
    remove_vm,
    share_all,
)
from gymbal_envs.simulator.centre.cloudsim_tables import Centre
from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_runtime.centre.rules.consolidation import Plan
from gymbal_runtime.centre.rules.detection import HISTORY
from gymbal_runtime.centre.rules.placement import Books, Hosts
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.rules.selection import Guests


@lean_kernel
def trapezoid_j(curve_row: Floats, before: float, after: float, span_s: float) -> float:
    """Energy (J) of a host between two utilisations; 0 where it was off at the first."""
    if before == 0.0:
        return 0.0
    power = power_w(curve_row, before)
    return (power + (power_w(curve_row, after) - power) / 2.0) * span_s


@lean_kernel
def host_utilisation(used_mips: float, capacity_mips: float) -> float:
    """Utilisation in [0, 1]; up to 1 % above is rounding."""
    utilisation = used_mips / capacity_mips
    return 1.0 if 1.0 < utilisation < 1.01 else utilisation


@lean_kernel
def advance_to(
    now_s: float,
    interval_s: float,
    full_power: bool,
    centre: Centre,
    hosts: Hosts,
    guests: Guests,
    utilisation: Floats,
) -> None:
    """Go to the next event: book what was, then divide the CPU anew.

    Args:
        now_s: its time.
        interval_s: between samples of the trace.
        full_power: hosts draw their full power whatever the load (NPA).
        centre: the state, advanced.
        hosts: all.
        guests: all, with what they now ask for.
        utilisation: (H,) set to that of the hosts.
    """
    sums = centre.sums
    span_s = now_s - sums[at.LAST_S]
    if sums[at.EVENTS] > 0.0:
        _book_service(span_s, centre, guests)
    for h in range(utilisation.shape[0]):
        utilisation[h] = host_utilisation(centre.used_mips[h], hosts.capacity_mips[h])
    demand_at(now_s, interval_s, centre, guests)
    share_all(centre, hosts, guests)
    energy_j = 0.0
    for h in range(utilisation.shape[0]):
        after = host_utilisation(centre.used_mips[h], hosts.capacity_mips[h])
        if full_power:
            energy_j += power_w(hosts.watts[h], 1.0) * span_s
        else:
            energy_j += trapezoid_j(hosts.watts[h], utilisation[h], after, span_s)
        utilisation[h] = after
    sums[at.ENERGY_J] += energy_j
    sums[at.LAST_S] = now_s
    for vm in range(centre.alive.shape[0]):
        idle = centre.alive[vm] and not centre.moving[vm]
        if idle and guests.requested_mips[vm] == 0.0:
            centre.alive[vm] = 0
            remove_vm(centre.host_of[vm], vm, centre)


@lean_kernel
def _book_service(span_s: float, centre: Centre, guests: Guests) -> None:
    """Add what VMs asked for and got, and hosts' active and violated time."""
    sums = centre.sums
    for vm in range(centre.alive.shape[0]):
        asked, given = guests.requested_mips[vm], centre.given_mips[vm]
        if centre.alive[vm]:
            sums[at.REQUESTED] += asked * span_s
            sums[at.GIVEN] += given * span_s
            if centre.moving[vm] and given < asked:
                sums[at.LOST_MOVING] += (asked - given) * span_s
    for h in range(centre.num_vms.shape[0]):
        if centre.used_mips[h] > 0.0:
            sums[at.ACTIVE_S] += span_s
            if centre.used_mips[h] < centre.asked_mips[h]:
                sums[at.VIOLATED_S] += span_s
    count_shutdowns(centre)


@lean_kernel
def count_shutdowns(centre: Centre) -> None:
    """Count hosts that the last event left without load; at first all pass for active."""
    for h in range(centre.num_vms.shape[0]):
        active = 1 if centre.used_mips[h] > 0.0 else 0
        if centre.was_active[h] and not active:
            centre.sums[at.SHUTDOWNS] += 1.0
        centre.was_active[h] = active


@lean_kernel
def begin_scheduling(centre: Centre, guests: Guests, utilisation: Floats) -> None:
    """Count the event and its active hosts, and remember the utilisation of VMs."""
    centre.sums[at.EVENTS] += 1.0
    for h in range(centre.num_vms.shape[0]):
        centre.sums[at.ACTIVE_HOSTS] += 1.0 if utilisation[h] > 0.0 else 0.0
    for vm in range(centre.alive.shape[0]):
        for s in range(HISTORY - 1, 0, -1):
            guests.history[vm, s] = guests.history[vm, s - 1]
        guests.history[vm, 0] = guests.utilisation[vm]
        guests.samples[vm] = min(guests.samples[vm] + 1, HISTORY)


@lean_kernel
def open_books(centre: Centre, hosts: Hosts, books: Books, utilisation: Floats) -> None:
    """Enter hosts as measured, before a round of consolidation."""
    for h in range(centre.num_vms.shape[0]):
        books.num_vms[h] = centre.num_vms[h]
        books.load_mips[h] = centre.used_mips[h]
        books.requested_mips[h] = centre.asked_mips[h]
        books.free_mips[h] = centre.free_mips[h]
        books.power_w[h] = power_w(hosts.watts[h], utilisation[h])


@lean_kernel
def migrate(
    now_s: float,
    end_s: float,
    interval_s: float,
    mb_s: float,
    centre: Centre,
    hosts: Hosts,
    guests: Guests,
    plan: Plan,
    utilisation: Floats,
) -> None:
    """Start a plan's migrations and play the events at which they end, all before ``end_s``.

    A migration lasts as long as copying the VM's provisioned memory takes. Those that end at one
    time end in the order in which they started.
    """
    for i in range(plan.num_moves[0]):
        centre.moving[plan.vm[i]] = 1
        append_vm(plan.host[i], plan.vm[i], centre)
    centre.sums[at.MIGRATIONS] += plan.num_moves[0]
    share_all(centre, hosts, guests)
    done_s = now_s
    while True:
        next_s = math.inf
        for i in range(plan.num_moves[0]):
            stop_s = now_s + guests.ram_mb[plan.vm[i]] / mb_s
            if done_s < stop_s < next_s:
                next_s = stop_s
        if next_s >= end_s:
            return
        advance_to(float(next_s), interval_s, False, centre, hosts, guests, utilisation)
        for i in range(plan.num_moves[0]):
            if now_s + guests.ram_mb[plan.vm[i]] / mb_s == next_s:
                _arrive(plan.vm[i], plan.host[i], centre)
        share_all(centre, hosts, guests)
        done_s = next_s


@lean_kernel
def _arrive(vm: int, host: int, centre: Centre) -> None:
    """End a migration. A VM that was sent on by its first target goes through it."""
    remove_vm(centre.host_of[vm], vm, centre)
    remove_vm(host, vm, centre)
    append_vm(host, vm, centre)
    centre.host_of[vm] = host
    centre.moving[vm] = 0
