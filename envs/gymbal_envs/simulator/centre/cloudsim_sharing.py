"""How a CloudSim host divides its CPU at an instant.

`VmSchedulerTimeSharedOverSubscription`: a VM gets what it asks for, at most one core. A VM that
migrates gets 90 % of that at its source, and 10 % are reserved at its target. If a host cannot give
it all, everyone's part is scaled alike and rounded down to whole MIPS.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.centre.cloudsim_tables import Centre
from gymbal_envs.simulator.compile import lean_kernel
from gymbal_runtime.centre.rules.placement import Hosts
from gymbal_runtime.centre.rules.selection import Guests

SOURCE_SHARE = 0.9  # of its CPU that a VM gets while it migrates
TARGET_SHARE = 0.1  # of its CPU that is reserved where it goes


@lean_kernel
def demand_at(now_s: float, interval_s: float, centre: Centre, guests: Guests) -> None:
    """What living VMs ask for: samples are joined by straight lines."""
    before = math.floor(now_s / interval_s)
    after = math.ceil(now_s / interval_s)
    into = now_s - before * interval_s
    for vm in range(centre.alive.shape[0]):
        wanted = 0.0
        if centre.alive[vm]:
            low = centre.trace[before, vm]
            wanted = low + (centre.trace[after, vm] - low) / interval_s * into
        guests.utilisation[vm] = wanted
        guests.requested_mips[vm] = wanted * guests.mips[vm]


@lean_kernel
def share_host(host: int, centre: Centre, hosts: Hosts, guests: Guests) -> None:
    """Divide a host's CPU among its VMs, and note what it uses.

    A VM is arriving where it is listed but does not run. ``used_mips`` counts a leaving VM as if it
    got everything.
    """
    core, capacity = hosts.core_mips[host], hosts.capacity_mips[host]
    free, needed, enough = capacity, 0.0, True
    for i in range(centre.num_vms[host]):
        vm = centre.vms[host, i]
        part = min(guests.requested_mips[vm], core)
        if centre.host_of[vm] != host:
            part *= TARGET_SHARE
        needed += part
        enough = enough and free >= part
        free -= part
    scale = 1.0 if enough else capacity / needed
    used = asked = 0.0
    for i in range(centre.num_vms[host]):
        vm = centre.vms[host, i]
        part = min(guests.requested_mips[vm], core)
        arriving = centre.host_of[vm] != host
        if arriving:
            part = part * TARGET_SHARE * scale
        elif centre.moving[vm]:
            part = part * scale * SOURCE_SHARE
        else:
            part = part * scale
        if not enough:
            part = math.floor(part)
        if not arriving:
            centre.given_mips[vm] = part
            if centre.moving[vm]:
                part /= SOURCE_SHARE
        used += part
        asked += guests.requested_mips[vm]
    centre.used_mips[host] = used
    centre.asked_mips[host] = asked
    centre.free_mips[host] = free if enough else 0.0


@lean_kernel
def share_all(centre: Centre, hosts: Hosts, guests: Guests) -> None:
    """Divide the CPU of every host."""
    for host in range(centre.num_vms.shape[0]):
        share_host(host, centre, hosts, guests)


@lean_kernel
def remove_vm(host: int, vm: int, centre: Centre) -> None:
    """Take a VM off a host's list, keeping the order of the others."""
    kept = 0
    for i in range(centre.num_vms[host]):
        if centre.vms[host, i] != vm:
            centre.vms[host, kept] = centre.vms[host, i]
            kept += 1
    centre.num_vms[host] = kept


@lean_kernel
def append_vm(host: int, vm: int, centre: Centre) -> None:
    """Put a VM at the end of a host's list."""
    centre.vms[host, centre.num_vms[host]] = vm
    centre.num_vms[host] += 1
