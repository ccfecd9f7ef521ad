"""Where CloudSim puts VMs before anything runs, when all that is known is what they might want.

Migrating policies place by power (PABFD) for the provisioned CPU, others on the first host with
room. Until the workload starts, VMs that were placed ask for nothing, so overloads hardly matter.
"""

from __future__ import annotations

from gymbal_envs.simulator.centre.cloudsim_sharing import append_vm
from gymbal_envs.simulator.centre.cloudsim_tables import Centre
from gymbal_envs.simulator.compile import Floats, Ints, lean_kernel
from gymbal_runtime.centre.rules.detection import Rule
from gymbal_runtime.centre.rules.placement import Books, Hosts, find_host
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.rules.selection import Guests


@lean_kernel
def place_all(
    rule: Rule,
    by_power: bool,
    centre: Centre,
    hosts: Hosts,
    guests: Guests,
    books: Books,
    candidates: Ints,
    work: Floats,
) -> int:
    """Place all VMs in order; return the first that fits nowhere, or -1.

    Args:
        rule: says when a host would be overloaded.
        by_power: least rise of power, else first fit.
        centre: the state, empty.
        hosts: all.
        guests: all, asking for nothing; left so.
        books: of empty hosts, with their memory in ``free_ram_mb``.
        candidates: (H,) room.
        work: (2 * HISTORY,) room.
    """
    num_hosts = centre.num_vms.shape[0]
    for h in range(num_hosts):
        candidates[h] = h
        books.free_mips[h] = hosts.capacity_mips[h]
        books.power_w[h] = power_w(hosts.watts[h], 0.0)
    for vm in range(centre.alive.shape[0]):
        mips, ram = guests.mips[vm], guests.ram_mb[vm]
        guests.requested_mips[vm], guests.requested_ram_mb[vm] = mips, ram
        if by_power:
            host = find_host(vm, candidates, num_hosts, rule, hosts, guests, books, work)
        else:
            host = _first_fit(mips, ram, hosts, books)
        guests.requested_mips[vm], guests.requested_ram_mb[vm] = 0.0, 0.0
        if host < 0:
            return vm
        books.load_mips[host] += mips
        books.free_mips[host] -= mips
        books.free_ram_mb[host] -= ram
        centre.host_of[vm] = host
        append_vm(host, vm, centre)
    return -1


@lean_kernel
def _first_fit(mips: float, ram_mb: float, hosts: Hosts, books: Books) -> int:
    for h in range(books.free_mips.shape[0]):
        fits = hosts.core_mips[h] >= mips and books.free_mips[h] >= mips
        if fits and books.free_ram_mb[h] >= ram_mb:
            return h
    return -1
