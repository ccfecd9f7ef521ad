"""CPU time: weighted max-min shares with caps, and what waiting for a core costs.

The fluid limit of Xen's credit scheduler (models.md 9): credits are handed out by weight every
30 ms, caps bound what a VM may use, and a VM that leaves credits unused is boosted when it wakes,
so that it waits for nobody.
"""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    CAP,
    CPU_CAPACITY,
    CPU_SLICE,
    GRANTED_CORES,
    IO_TAX,
    PRESENT,
    SUM_WAKE,
    WAKE_SPEED,
    WAKEUPS,
    WANTED_CORES,
    WEIGHT,
)
from gymbal_envs.simulator.max_min import share_max_min


@lean_kernel
def share_cpu(
    world_vm: Floats, world_host: Floats, vm: Floats, host: Floats, wants: Floats
) -> None:
    """Divide the host's cores, less what emulating devices takes; ``wants`` (3, V) is scratch."""
    for v in range(vm.shape[1]):
        wants[0, v] = min(vm[WANTED_CORES, v], world_vm[CAP, v])
    capacity = max(world_host[CPU_CAPACITY] - host[IO_TAX], 0.0)
    share_max_min(wants[0], vm[WEIGHT], capacity, vm[GRANTED_CORES])


@lean_kernel
def wait_for_cores(
    world_vm: Floats, world_host: Floats, vm: Floats, host: Floats, tick_s: float
) -> None:
    """Progress of VMs that wake up often: they wait a slice of each VM queued before them.

    The mean wait is ``slice * (runnable / cores - 1)`` for VMs that get less than they want, none
    for the others, which the scheduler boosts (models.md 9).
    """
    time_slice = world_host[CPU_SLICE]
    if time_slice <= 0.0:
        return
    runnable = 0.0
    for v in range(vm.shape[1]):
        runnable += vm[WANTED_CORES, v]
    capacity = max(world_host[CPU_CAPACITY] - host[IO_TAX], 1e-9)
    queued = max(runnable / capacity - 1.0, 0.0)
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        waiting = vm[GRANTED_CORES, v] < vm[WANTED_CORES, v]
        slices = queued if waiting else 0.0
        vm[WAKE_SPEED, v] = 1.0 / (1.0 + world_vm[WAKEUPS, v] * slices)
        vm[SUM_WAKE, v] += slices * time_slice * tick_s
