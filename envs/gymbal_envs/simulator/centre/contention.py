"""What the VMs of one host do to each other beside taking its CPU time.

Last-level cache, memory bandwidth, I/O devices and waiting for a core: the physics of one host
(`gymbal_envs.simulator`), by the same kernels, at its steady state. A tick of a data centre is ten
seconds, and a cache of 30 MB is refilled within milliseconds, so that where occupancy tends to is
where it is. Caches are shared by everybody; nobody partitions them here.

A host is settled anew when its VMs are others than before, or when one of them gets other CPU time
by `NOTICED` of its size; what emulated devices take of the CPU counts from the next tick on.
"""

from __future__ import annotations

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.bandwidth import cycles_per_s, progress_of_programs, settle_latency
from gymbal_envs.simulator.cache import misses_per_instruction
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.tables import Bench, Scratch, Tables
from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.cpu import wait_for_cores
from gymbal_envs.simulator.devices import serve_io
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS
from gymbal_envs.simulator.occupancy import tend_to_share
from gymbal_envs.simulator.whole_host import NUM_ACTIVE, WARM_UP_ROUNDS

NOTICED = 0.02
"""Part of its MIPS by which a VM's CPU time has to change until its host is settled anew."""
SETTLED = 1e-4
"""Part by which no program's cycles per instruction change any more in a round."""
MIPS = 1e6
"""Cycles per second: the literature on consolidation counts one MIPS per MHz."""


@lean_kernel
def contend(t: Tables, s: Scratch, dt: float) -> None:
    """Settle the hosts where something changed, and book what a tick's contention costs VMs."""
    for h in range(t.host.shape[1]):
        first, last = s.start[h], s.start[h + 1]
        if last == first:
            t.host[at.IO_MIPS, h] = t.host[at.SETTLED_VMS, h] = 0.0
            continue
        if _has_changed(t, s, h, first, last):
            _settle(t, s, h, first, last)
        for k in range(first, last):
            v = s.order[k]
            left = t.vm[at.GRANTED, v] * dt
            for loss, speed in (
                (at.LOST_CACHE, at.CACHE_SPEED),
                (at.LOST_IO, at.IO_SPEED),
                (at.LOST_WAKING, at.WAKE_SPEED),
            ):
                t.outcome[loss, v] += left * (1.0 - t.sharing[speed, v])
                left *= t.sharing[speed, v]


@lean_kernel
def _has_changed(t: Tables, s: Scratch, h: int, first: int, last: int) -> bool:
    """Whether a host has other VMs, or one with other CPU time, than when it was settled."""
    if t.host[at.SETTLED_VMS, h] != last - first:
        return True
    for k in range(first, last):
        v = s.order[k]
        change = abs(t.vm[at.GRANTED, v] - t.sharing[at.SETTLED_AT, v])
        if t.sharing[at.SETTLED_ON, v] != h or change > NOTICED * t.world_vm[at.SPEED, v]:
            return True
    return False


@lean_kernel
def _settle(t: Tables, s: Scratch, h: int, first: int, last: int) -> None:
    """Find the steady state of host ``h`` and its VMs ``order[first:last]``."""
    b, n = s.bench, last - first
    _set_up(t, s, h, first, last)
    world_vm, vm, wants = b.world_vm[:, :n], b.vm[:, :n], b.wants[:, :n]
    active, constants = b.active[:n], t.host_constants
    serve_io(world_vm, b.world_host, constants, vm, b.host, wants)
    wait_for_cores(world_vm, b.world_host, vm, b.host, t.constants[at.C_TICK])
    if b.world_host[host_at.LLC_BYTES] > 0.0:
        share_for_long(b, n, world_vm, vm, wants, active, constants)
        for k in range(n):
            wants[0, k] = 0.0  # pages that were recoloured: none
        progress_of_programs(world_vm, active, constants, vm, wants[0])
    _note(t, s, h, first, last)


@lean_kernel
def share_for_long(
    b: Bench, n: int, world_vm: Floats, vm: Floats, wants: Floats, active: Floats, constants: Floats
) -> None:
    """Let shares of the cache, misses and instruction rates of ``n`` VMs find each other."""
    segment = b.world_host[host_at.LLC_BYTES] / NUM_LLC_SEGMENTS
    for _ in range(WARM_UP_ROUNDS):
        tend_to_share(world_vm, b.world_host, active, vm, wants, b.members)
        for k in range(n):
            held = wants[0, k]
            vm[host_at.OCCUPANCY, k] = held
            vm[host_at.MPI, k] = misses_per_instruction(active[k], segment, held)
            wants[3, k] = vm[host_at.CPI, k]
        settle_latency(world_vm, b.world_host, active, constants, vm, b.host, wants)
        calm = True
        for k in range(n):
            change = abs(vm[host_at.CPI, k] - wants[3, k])
            calm = calm and change <= SETTLED * vm[host_at.CPI, k]
        if calm:
            break


@lean_kernel
def _set_up(t: Tables, s: Scratch, h: int, first: int, last: int) -> None:
    """Fill the bench with one host; who ran there before goes on from where it was."""
    b, core = s.bench, t.world_host[at.CORE, h]
    fixed = b.world_host
    fixed[host_at.LLC_BYTES] = t.world[at.LLC_BYTES]
    fixed[host_at.LLC_UNITS] = 1.0
    fixed[host_at.MEMORY_BANDWIDTH] = t.world_host[at.BANDWIDTH, h]
    fixed[host_at.FREQUENCY] = core * MIPS
    fixed[host_at.DEVICE_BANDWIDTH] = t.world_host[at.DEVICE, h]
    fixed[host_at.CPU_SLICE] = t.world[at.SLICE_S]
    # What copies and devices take is no VM's; what remains is what VMs wait for.
    taken = t.host[at.COPY_MIPS, h] + t.host[at.IO_MIPS, h]
    fixed[host_at.CPU_CAPACITY] = max(t.world_host[at.CPU, h] - taken, 0.0) / core
    b.host[host_at.IO_TAX] = 0.0
    b.host[host_at.LATENCY_FACTOR] = max(t.host[at.LATENCY, h], 1.0)
    for k in range(last - first):
        v = s.order[first + k]
        b.world_vm[host_at.PRESENT, k] = 1.0
        b.world_vm[host_at.WAKEUPS, k] = t.world_vm[at.WAKE_UPS, v]
        b.world_vm[host_at.IO_WEIGHT, k] = t.world_vm[at.IO_NEED, v]
        _set_up_vm(t, b, h, v, k, core, 1.0 / (last - first))


@lean_kernel
def _set_up_vm(t: Tables, b: Bench, h: int, v: int, k: int, core: float, part: float) -> None:
    """VM ``v`` in place ``k`` of the bench; ``part`` of the cache is its fair one."""
    vm = b.vm
    for column in range(NUM_ACTIVE):
        b.active[k, column] = t.program[v, column]
    vm[host_at.WANTED_CORES, k] = t.vm[at.LIMIT, v] / core
    vm[host_at.GRANTED_CORES, k] = t.vm[at.GRANTED, v] / core
    vm[host_at.IO_WANTED, k] = (
        t.world_vm[at.IO_FULL, v] * t.vm[at.WANTED, v] / t.world_vm[at.SPEED, v]
    )
    vm[host_at.DEVICE_MODE, k] = 0.0
    vm[host_at.OUTAGE_S, k] = 0.0
    vm[host_at.SPEED, k] = 1.0
    vm[host_at.STALL_S, k] = 0.0
    vm[host_at.LLC_CLASS, k] = 0.0
    vm[host_at.ENTITLED, k] = part
    vm[host_at.IO_SPEED, k] = vm[host_at.WAKE_SPEED, k] = vm[host_at.CACHE_SPEED, k] = 1.0
    if t.sharing[at.SETTLED_ON, v] == h:
        vm[host_at.OCCUPANCY, k] = t.sharing[at.OCCUPIED, v]
        vm[host_at.CHARACTERISTIC, k] = t.sharing[at.AGE, v]
        vm[host_at.CPI, k] = t.sharing[at.CYCLES, v]
    else:
        vm[host_at.OCCUPANCY, k] = 0.0
        vm[host_at.CHARACTERISTIC, k] = 1.0
        vm[host_at.CPI, k] = b.active[k, host_at.CPI_BASE]
    cycles = cycles_per_s(b.world_host, vm, k)
    vm[host_at.RATE, k] = cycles / vm[host_at.CPI, k] if vm[host_at.CPI, k] > 0.0 else 0.0


@lean_kernel
def _note(t: Tables, s: Scratch, h: int, first: int, last: int) -> None:
    """From the bench to the centre's tables."""
    b, vm = s.bench, s.bench.vm
    t.host[at.SETTLED_VMS, h] = last - first
    t.host[at.LATENCY, h] = b.host[host_at.LATENCY_FACTOR]
    t.host[at.IO_MIPS, h] = b.host[host_at.IO_TAX] * t.world_host[at.CORE, h]
    for k in range(last - first):
        v = s.order[first + k]
        t.sharing[at.SETTLED_ON, v] = h
        t.sharing[at.SETTLED_AT, v] = t.vm[at.GRANTED, v]
        t.sharing[at.CACHE_SPEED, v] = vm[host_at.CACHE_SPEED, k]
        t.sharing[at.IO_SPEED, v] = vm[host_at.IO_SPEED, k]
        t.sharing[at.WAKE_SPEED, v] = vm[host_at.WAKE_SPEED, k]
        t.sharing[at.INSTRUCTIONS, v] = vm[host_at.RATE, k]
        t.sharing[at.MISSES, v] = vm[host_at.MPI, k]
        t.sharing[at.CYCLES, v] = vm[host_at.CPI, k]
        t.sharing[at.OCCUPIED, v] = vm[host_at.OCCUPANCY, k]
        t.sharing[at.AGE, v] = vm[host_at.CHARACTERISTIC, k]
        t.sharing[at.IO_ASKED, v] = vm[host_at.IO_WANTED, k]
        t.sharing[at.IO_SERVED, v] = vm[host_at.IO_RATE, k]
