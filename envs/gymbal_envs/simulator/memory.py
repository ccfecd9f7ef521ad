"""Guest memory: working set, footprint, residence, the balloon, reclaim and refill.

Every byte of a VM's footprint is hot (resident, in the working set), cold (resident, outside it),
swapped, or unborn (asked for, but no memory was free to zero-fill it); hot + cold + kernel + zswap
pool never exceed what the balloon leaves (ACTUAL), and the ACTUALs of a host never exceed its
capacity. Each function below keeps both.
"""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.compile import Demand, Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    ACTUAL,
    C_DEFLATE,
    C_INFLATE,
    C_KNOT,
    C_LRU_ERROR,
    C_PAGE,
    C_RESTART,
    C_TICK,
    CACHE_SPEED,
    CAPACITY,
    COLD,
    DEVICE_BANDWIDTH,
    DEVICE_MODE,
    DIRTY_FRAC,
    FAR_EVICT,
    FOOTPRINT,
    HELD_BACK,
    HOT,
    IO_WANTED,
    KERNEL,
    KILLED,
    MEMORY_MAX,
    MISS_RATE,
    MOVED,
    PRESENT,
    READ,
    SPEED,
    STALL_S,
    SUM_FAULTS,
    SUM_IN,
    SUM_OUT,
    TARGET,
    TICK,
    TIER_POOL,
    TIER_POOL_LIMIT,
    TIER_USEFUL,
    TIER_WRITE,
    TOUCH_RATE,
    UNBORN,
    UNSWAPPABLE,
    VCPUS,
    WANT_CORES,
    WANT_FOOTPRINT,
    WANT_IO,
    WANT_WORKING_SET,
    WANTED_CORES,
    WORKING_SET,
    WRITTEN,
)

MIN_CORES = 0.01
"""A VM always has something to do, or its progress would be undefined."""


@lean_kernel
def swapped_bytes(vm: Floats, v: int) -> float:
    """Part of the footprint that lies in the swap tier."""
    return max(vm[FOOTPRINT, v] - vm[HOT, v] - vm[COLD, v] - vm[UNBORN, v], 0.0)


@lean_kernel
def used_bytes(world_vm: Floats, world_host: Floats, vm: Floats, v: int) -> float:
    """Guest memory in use: kernel, resident pages, compressed images of swapped ones."""
    resident = world_vm[KERNEL, v] + vm[HOT, v] + vm[COLD, v]
    images = world_host[TIER_POOL] * swapped_bytes(vm, v)
    return resident + min(images, world_host[TIER_POOL_LIMIT] * vm[ACTUAL, v])


@lean_kernel
def page_cost(world_host: Floats, vm: Floats, v: int) -> float:
    """Guest memory that pushing out one byte frees: all of it, or less what its image takes."""
    images = world_host[TIER_POOL] * swapped_bytes(vm, v)
    full = images >= world_host[TIER_POOL_LIMIT] * vm[ACTUAL, v]
    return 1.0 if full else 1.0 - world_host[TIER_POOL]


@lean_kernel
def free_bytes(world_vm: Floats, world_host: Floats, vm: Floats, v: int) -> float:
    """Guest memory that holds nothing."""
    return max(vm[ACTUAL, v] - used_bytes(world_vm, world_host, vm, v), 0.0)


@lean_kernel
def follow_demand(
    world_vm: Floats,
    world_host: Floats,
    constants: Floats,
    demand: Demand,
    vm: Floats,
    host: Floats,
) -> None:
    """Move every VM's demand to now; pages change sides as the working set grows and shrinks."""
    position = host[TICK] * constants[C_TICK] / constants[C_KNOT]
    knot = min(np.int64(position), demand.shape[0] - 2)
    blend = min(position - knot, 1.0)
    now, then = demand[knot], demand[knot + 1]
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        working_set = now[WANT_WORKING_SET, v] * (1.0 - blend) + then[WANT_WORKING_SET, v] * blend
        footprint = now[WANT_FOOTPRINT, v] * (1.0 - blend) + then[WANT_FOOTPRINT, v] * blend
        cores = now[WANT_CORES, v] * (1.0 - blend) + then[WANT_CORES, v] * blend
        vm[WANTED_CORES, v] = max(min(cores, world_vm[VCPUS, v]), MIN_CORES)
        _resize(world_vm, world_host, vm, v, working_set, max(footprint, working_set))
    if world_host[DEVICE_BANDWIDTH] > 0.0:
        for v in range(vm.shape[1]):
            wanted = now[WANT_IO, v] * (1.0 - blend) + then[WANT_IO, v] * blend
            vm[IO_WANTED, v] = world_vm[PRESENT, v] * wanted


@lean_kernel
def _resize(
    world_vm: Floats, world_host: Floats, vm: Floats, v: int, working_set: float, footprint: float
) -> None:
    """New sizes of working set and footprint.

    New pages wait unborn until `_zero_fill` finds memory for them. A growing working set wakes
    cold pages in the proportion in which they are resident; a shrinking one leaves its pages behind
    as cold ones. A shrinking footprint frees cold pages in proportion.
    """
    was_set, was_footprint = vm[WORKING_SET, v], vm[FOOTPRINT, v]
    outside = max(was_footprint - was_set, 1.0)
    fresh = max(footprint - was_footprint, 0.0)
    grown = working_set - was_set
    if grown >= 0.0:
        moved = vm[COLD, v] * min(max(grown - fresh, 0.0) / outside, 1.0)
        vm[COLD, v] -= moved
        vm[HOT, v] += moved
    else:
        left = vm[HOT, v] * (-grown / max(was_set, 1.0))
        vm[HOT, v] -= left
        vm[COLD, v] += left
        outside -= grown
    if footprint < was_footprint:
        vm[COLD, v] *= max(1.0 - (was_footprint - footprint) / outside, 0.0)
    vm[WORKING_SET, v], vm[FOOTPRINT, v] = working_set, footprint
    vm[HOT, v] = min(vm[HOT, v], working_set)
    vm[COLD, v] = min(vm[COLD, v], footprint - working_set)
    vm[UNBORN, v] = min(vm[UNBORN, v] + fresh, footprint - vm[HOT, v] - vm[COLD, v])
    if world_host[TIER_POOL] > 0.0:
        _compress_excess(world_vm, world_host, vm, v)
    _zero_fill(world_vm, world_host, vm, v)


@lean_kernel
def _zero_fill(world_vm: Floats, world_host: Floats, vm: Floats, v: int) -> None:
    """Give unborn pages what memory is free: hot ones first, at no cost but the memory."""
    born = min(vm[UNBORN, v], free_bytes(world_vm, world_host, vm, v))
    hot = min(born, vm[WORKING_SET, v] - vm[HOT, v])
    vm[HOT, v] += hot
    vm[COLD, v] += born - hot
    vm[UNBORN, v] -= born


@lean_kernel
def _compress_excess(world_vm: Floats, world_host: Floats, vm: Floats, v: int) -> None:
    """Compressed images take guest memory too: push pages out until all of it fits again."""
    over = used_bytes(world_vm, world_host, vm, v) - vm[ACTUAL, v]
    excess = max(over, 0.0) / page_cost(world_host, vm, v)
    from_cold = min(excess, vm[COLD, v])
    from_hot = min(excess - from_cold, vm[HOT, v])
    vm[COLD, v] -= from_cold
    vm[HOT, v] -= from_hot
    vm[SUM_OUT, v] += (from_cold + from_hot) * world_vm[DIRTY_FRAC, v]


@lean_kernel
def miss_ratio(curve: Floats, v: int, resident_frac: float) -> float:
    """Miss ratio of VM ``v`` at a resident fraction in [0, 1], linear between the curve points."""
    last = curve.shape[1] - 1
    position = min(max(resident_frac, 0.0), 1.0) * last
    index = min(np.int64(position), last - 1)
    return curve[v, index] + (curve[v, index + 1] - curve[v, index]) * (position - index)


@lean_kernel
def miss_rates(world_vm: Floats, curve: Floats, vm: Floats) -> None:
    """Misses per second of unstalled time, r m(resident / working set)."""
    for v in range(vm.shape[1]):
        if vm[HOT, v] >= vm[WORKING_SET, v] or world_vm[PRESENT, v] == 0.0 or vm[STALL_S, v] > 0.0:
            vm[MISS_RATE, v] = 0.0
        else:
            ratio = miss_ratio(curve, v, vm[HOT, v] / vm[WORKING_SET, v])
            vm[MISS_RATE, v] = world_vm[TOUCH_RATE, v] * ratio * vm[CACHE_SPEED, v]


@lean_kernel
def move_pages(
    world_vm: Floats,
    world_host: Floats,
    constants: Floats,
    vm: Floats,
    outcome: Floats,
    wants: Floats,
) -> None:
    """One tick of balloon inflation, eviction and refill; ``wants`` (3, V) is scratch.

    Free pages go to the balloon at its own speed; what is missing must be evicted first, cold pages
    before hot ones but for LRU's errors, and the dirty part of it shares the device's write
    bandwidth. Refill faults take free pages first, then push cold pages out, then hot ones (which
    only trades places: thrashing).
    """
    tick = constants[C_TICK]
    writes = 0.0
    for v in range(vm.shape[1]):
        wants[0, v] = wants[1, v] = wants[2, v] = 0.0
        if world_vm[PRESENT, v] == 0.0:
            continue
        room = free_bytes(world_vm, world_host, vm, v)
        gap = max(vm[ACTUAL, v] - max(vm[TARGET, v], world_vm[KERNEL, v]), 0.0)
        if vm[DEVICE_MODE, v] > 0.0:  # a device that writes to guest memory pins it
            gap = 0.0
        reach = constants[C_INFLATE] * tick
        taken = min(min(gap, room), reach)
        vm[ACTUAL, v] -= taken
        outcome[MOVED, v] += taken
        room -= taken
        per_page = page_cost(world_host, vm, v)
        evictable = vm[HOT, v] + vm[COLD, v]
        wants[0, v] = min(min(gap, reach) - taken, evictable * per_page) / per_page
        faults = vm[SPEED, v] * vm[MISS_RATE, v] * tick * (1.0 - vm[HELD_BACK, v])
        wants[1, v] = min(faults * constants[C_PAGE], vm[WORKING_SET, v] - vm[HOT, v])
        wants[2, v] = max(wants[1, v] * per_page - room, 0.0) / per_page
        vm[SUM_FAULTS, v] += faults / world_host[TIER_USEFUL]
        written = (wants[0, v] + wants[2, v]) * world_vm[DIRTY_FRAC, v]
        writes += written * (1.0 - vm[FAR_EVICT, v])
    allowed = world_host[TIER_WRITE] * tick
    scale = min(1.0, allowed / writes) if writes > 0.0 else 1.0
    for v in range(vm.shape[1]):
        if wants[0, v] + wants[1, v] > 0.0:
            eased = scale + (1.0 - scale) * vm[FAR_EVICT, v]
            _evict_and_refill(world_vm, world_host, constants, vm, outcome, wants, v, eased)


@lean_kernel
def _evict_and_refill(
    world_vm: Floats,
    world_host: Floats,
    constants: Floats,
    vm: Floats,
    outcome: Floats,
    wants: Floats,
    v: int,
    scale: float,
) -> None:
    per_page = page_cost(world_host, vm, v)
    squeezed = wants[0, v] * scale
    from_cold = min(squeezed * (1.0 - constants[C_LRU_ERROR]), vm[COLD, v])
    from_hot = min(squeezed - from_cold, vm[HOT, v])
    from_cold = min(squeezed - from_hot, vm[COLD, v])
    vm[COLD, v] -= from_cold
    vm[HOT, v] -= from_hot
    given = (from_cold + from_hot) * per_page
    vm[ACTUAL, v] -= given
    outcome[MOVED, v] += given
    pushed = min(wants[2, v] * scale, vm[COLD, v])
    vm[COLD, v] -= pushed
    room = free_bytes(world_vm, world_host, vm, v)
    unborn_frac = min(vm[UNBORN, v] / max(vm[WORKING_SET, v] - vm[HOT, v], 1.0), 1.0)
    per_page = page_cost(world_host, vm, v)
    arrived = min(wants[1, v], room / (per_page + (1.0 - per_page) * unborn_frac))
    # one comes and another goes: the set does not fit
    traded = min(wants[1, v] - arrived, wants[2, v] * scale - pushed)
    if world_host[TIER_POOL] > 0.0:  # a new page that goes leaves an image, which takes room
        traded = min(traded, vm[HOT, v] + arrived)
    read = (arrived + traded) * (1.0 - unborn_frac)
    vm[UNBORN, v] -= min((arrived + traded) * unborn_frac, vm[UNBORN, v])
    vm[HOT, v] += arrived
    evicted = (from_cold + from_hot + pushed + traded) * world_vm[DIRTY_FRAC, v]
    vm[SUM_IN, v] += read
    vm[SUM_OUT, v] += evicted
    outcome[READ, v] += read
    outcome[WRITTEN, v] += evicted
    if world_host[TIER_POOL] > 0.0:
        _compress_excess(world_vm, world_host, vm, v)


@lean_kernel
def grant_memory(
    world_vm: Floats,
    world_host: Floats,
    constants: Floats,
    vm: Floats,
    outcome: Floats,
    wants: Floats,
) -> None:
    """Deflate balloons with what the host really has free, shared in proportion to the requests."""
    held = 0.0
    asked = 0.0
    reach = constants[C_DEFLATE] * constants[C_TICK]
    for v in range(vm.shape[1]):
        wants[0, v] = 0.0
        if world_vm[PRESENT, v] == 0.0:
            continue
        held += vm[ACTUAL, v]
        if vm[DEVICE_MODE, v] > 0.0:
            continue
        goal = min(vm[TARGET, v], world_vm[MEMORY_MAX, v])
        wants[0, v] = min(max(goal - vm[ACTUAL, v], 0.0), reach)
        asked += wants[0, v]
    if asked <= 0.0:
        return
    share = min(1.0, max(world_host[CAPACITY] - held, 0.0) / asked)
    for v in range(vm.shape[1]):
        vm[ACTUAL, v] += wants[0, v] * share
        outcome[MOVED, v] += wants[0, v] * share


@lean_kernel
def kill_starved(world_vm: Floats, constants: Floats, vm: Floats, outcome: Floats) -> None:
    """Count a guest's OOM killer: what cannot be paged out no longer fits what the balloon left."""
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        vm[STALL_S, v] = max(vm[STALL_S, v] - constants[C_TICK], 0.0)
        needed = world_vm[KERNEL, v] + world_vm[UNSWAPPABLE, v] * vm[FOOTPRINT, v]
        if vm[ACTUAL, v] < needed and vm[STALL_S, v] == 0.0:
            vm[STALL_S, v] = constants[C_RESTART]
            outcome[KILLED, v] += 1.0
