"""CPU time: weighted max-min shares with caps, and what monitors take of it (models.md 1.5)."""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, kernel
from gymbal_envs.simulator.layout import (
    CPU_CAPACITY,
    GRANTED_CORES,
    PRESENT,
    SHARES,
    WANTED_CORES,
)


@kernel
def share_cpu(world_vm: Floats, world_host: Floats, vm: Floats) -> None:
    """Grant ``min(wanted, shares * theta)`` with theta such that the host is full.

    Progressive filling: whoever wants less than its share is served in full and its remainder goes
    to the others; ends after at most V rounds.
    """
    num_vms = vm.shape[1]
    capacity = world_host[CPU_CAPACITY]
    wanted = 0.0
    for v in range(num_vms):
        vm[GRANTED_CORES, v] = vm[WANTED_CORES, v]
        wanted += vm[WANTED_CORES, v]
    if wanted <= capacity:
        return
    for v in range(num_vms):
        vm[GRANTED_CORES, v] = -1.0
    left = capacity
    for _ in range(num_vms):
        weight = 0.0
        for v in range(num_vms):
            if vm[GRANTED_CORES, v] < 0.0:
                weight += world_vm[SHARES, v] * world_vm[PRESENT, v]
        if weight <= 0.0:
            break
        theta = left / weight
        served = 0
        for v in range(num_vms):
            if vm[GRANTED_CORES, v] < 0.0 and vm[WANTED_CORES, v] <= theta * world_vm[SHARES, v]:
                vm[GRANTED_CORES, v] = vm[WANTED_CORES, v]
                left -= vm[WANTED_CORES, v]
                served += 1
        if served == 0:
            for v in range(num_vms):
                if vm[GRANTED_CORES, v] < 0.0:
                    vm[GRANTED_CORES, v] = theta * world_vm[SHARES, v] * world_vm[PRESENT, v]
            break
