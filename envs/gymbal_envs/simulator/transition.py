"""One tick after another: the physical parts in order, world by world."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.compile import Demand, Floats, Ints, Streams, kernel, lean_kernel
from gymbal_envs.simulator.cpu import share_cpu, wait_for_cores
from gymbal_envs.simulator.devices import serve_io
from gymbal_envs.simulator.layout import (
    ACTUAL,
    C_TICK,
    C_TRAP,
    CACHE_SPEED,
    COLD,
    DEVICE_BANDWIDTH,
    FAST_ACTIVE,
    FOOTPRINT,
    HOT,
    HOT_SET,
    IO_SPEED,
    KERNEL,
    LATENCY_FACTOR,
    LEVEL,
    LLC_UNITS,
    MONITOR,
    MONITOR_COST,
    PENDING_AT,
    PENDING_WAIT,
    PHASE,
    PRESENT,
    SHARES,
    SLOW_ACTIVE,
    SUM_INSTRUCTIONS,
    SUM_MISSES,
    TARGET,
    TICK,
    TIER_LATENCY,
    TIER_POOL,
    TIER_POOL_LIMIT,
    VISIBLE_WAIT,
    WAIT,
    WAKE_SPEED,
    WANT_FOOTPRINT,
    WANT_WORKING_SET,
    WEIGHT,
    WHOLE,
    WORKING_SET,
)
from gymbal_envs.simulator.memory import (
    follow_demand,
    grant_memory,
    kill_starved,
    miss_rates,
    move_pages,
)
from gymbal_envs.simulator.monitors import SMALLEST_HOT_SET, monitor_cost
from gymbal_envs.simulator.occupancy import NUM_SCRATCH
from gymbal_envs.simulator.sensors import account, publish, sample, sense
from gymbal_envs.simulator.tiers import settle_swap_device
from gymbal_envs.simulator.whole_host import follow_phases, obey, share_cache, warm_cache


@kernel
def initial(
    w: int,
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    programs: Floats,
    active: Floats,
    constants: Floats,
    demand: Demand,
    vm: Floats,
    host: Floats,
    pending: Floats,
    visible: Floats,
    outcome: Floats,
    streams: Streams,
) -> None:
    """Start world ``w``: memory as ``vm[TARGET]`` divides it, hot pages first, sensors warm."""
    vm[w] = np.where(np.arange(vm.shape[1])[:, None] == TARGET, vm[w], 0.0)
    host[w] = 0.0
    host[w, WAIT] = world_host[w, TIER_LATENCY]
    host[w, PENDING_AT] = 0.0
    host[w, VISIBLE_WAIT] = host[w, PENDING_WAIT] = np.nan
    host[w, LATENCY_FACTOR] = 1.0
    pending[w] = np.nan
    visible[w] = np.nan
    wants = np.zeros((NUM_SCRATCH, vm.shape[2]))
    members = np.zeros(vm.shape[2], dtype=np.int64)
    per_page = 1.0 - world_host[w, TIER_POOL]
    for v in range(vm.shape[2]):
        vm[w, CACHE_SPEED, v] = vm[w, IO_SPEED, v] = vm[w, WAKE_SPEED, v] = 1.0
        if world_vm[w, PRESENT, v] == 0.0:
            continue
        vm[w, WEIGHT, v] = world_vm[w, SHARES, v]
        vm[w, LEVEL, v] = world_vm[w, MONITOR, v]
        vm[w, HOT_SET, v] = SMALLEST_HOT_SET if constants[C_TRAP] > 0.0 else 0.0
        vm[w, MONITOR_COST, v] = monitor_cost(world_vm[w], curve[w], constants, vm[w], v)
        vm[w, PHASE, v] = -1.0
        footprint = max(demand[w, 0, WANT_FOOTPRINT, v], demand[w, 0, WANT_WORKING_SET, v])
        working_set = demand[w, 0, WANT_WORKING_SET, v]
        vm[w, ACTUAL, v] = vm[w, TARGET, v]
        room = max(vm[w, ACTUAL, v] - world_vm[w, KERNEL, v], 0.0)
        if footprint > room:  # part of it is swapped, and may leave its compressed image behind
            beside_images = max(room - world_host[w, TIER_POOL] * footprint, 0.0) / per_page
            beside_full_pool = room - world_host[w, TIER_POOL_LIMIT] * vm[w, ACTUAL, v]
            room = max(beside_images, beside_full_pool)
        vm[w, FOOTPRINT, v], vm[w, WORKING_SET, v] = footprint, working_set
        vm[w, HOT, v] = min(working_set, room)
        vm[w, COLD, v] = min(footprint - working_set, room - vm[w, HOT, v])
    follow_demand(world_vm[w], world_host[w], constants, demand[w], vm[w], host[w])
    if world_host[w, DEVICE_BANDWIDTH] > 0.0:
        serve_io(world_vm[w], world_host[w], constants, vm[w], host[w], wants)
    share_cpu(world_vm[w], world_host[w], vm[w], host[w], wants)
    wait_for_cores(world_vm[w], world_host[w], vm[w], host[w], constants[C_TICK])
    miss_rates(world_vm[w], curve[w], vm[w])
    settle_swap_device(world_vm[w], world_host[w], constants, vm[w], host[w])
    if world_host[w, LLC_UNITS] > 0.0:
        follow_phases(world_vm[w], constants, demand[w], programs[w], active[w], vm[w], host[w])
        warm_cache(
            world_vm[w], world_host[w], active[w], constants, vm[w], host[w], outcome[w], wants,
            members,
        )  # fmt: skip
        vm[w, SUM_INSTRUCTIONS : SUM_MISSES + 1] = 0.0
        share_cache(
            world_vm[w], world_host[w], active[w], constants, vm[w], host[w], outcome[w], wants,
            members,
        )  # fmt: skip
    warm_up(world_vm[w], vm[w])
    sample(
        world_vm[w], world_host[w], curve[w], active[w], constants, vm[w], host[w], pending[w],
        streams, w,
    )  # fmt: skip
    publish(world_host[w], host[w], pending[w], visible[w])
    outcome[w] = 0.0


@lean_kernel
def warm_up(world_vm: Floats, vm: Floats) -> None:
    """The active sampler starts at the truth, as if it had run for long."""
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] > 0.0:
            vm[SLOW_ACTIVE, v] = vm[FAST_ACTIVE, v] = vm[HOT, v] / vm[ACTUAL, v]


@lean_kernel
def tick_host(
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    programs: Floats,
    active: Floats,
    constants: Floats,
    demand: Demand,
    vm: Floats,
    host: Floats,
    pending: Floats,
    visible: Floats,
    outcome: Floats,
    streams: Streams,
    w: int,
    wants: Floats,
    members: Ints,
) -> None:
    """One tick of world ``w``, of whose tables these are the rows.

    ``wants`` (NUM_SCRATCH, V) and ``members`` (V,) are scratch.
    """
    host[TICK] += 1.0
    follow_demand(world_vm, world_host, constants, demand, vm, host)
    if world_host[DEVICE_BANDWIDTH] > 0.0:
        serve_io(world_vm, world_host, constants, vm, host, wants)
    share_cpu(world_vm, world_host, vm, host, wants)
    wait_for_cores(world_vm, world_host, vm, host, constants[C_TICK])
    miss_rates(world_vm, curve, vm)
    settle_swap_device(world_vm, world_host, constants, vm, host)
    if world_host[LLC_UNITS] > 0.0:
        follow_phases(world_vm, constants, demand, programs, active, vm, host)
        share_cache(world_vm, world_host, active, constants, vm, host, outcome, wants, members)
    move_pages(world_vm, world_host, constants, vm, outcome, wants)
    grant_memory(world_vm, world_host, constants, vm, outcome, wants)
    kill_starved(world_vm, constants, vm, outcome)
    account(world_vm, world_host, constants, vm, outcome)
    sense(world_vm, world_host, curve, active, constants, vm, host, pending, visible, streams, w)


@kernel
def transition(
    first: int,
    last: int,
    num_ticks: int,
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    programs: Floats,
    active: Floats,
    constants: Floats,
    demand: Demand,
    told: Floats,
    vm: Floats,
    host: Floats,
    pending: Floats,
    visible: Floats,
    outcome: Floats,
    streams: Streams,
) -> None:
    """Advance worlds ``first <= w < last`` by ``num_ticks`` ticks under their present targets."""
    wants = np.zeros((NUM_SCRATCH, vm.shape[2]))
    members = np.zeros(vm.shape[2], dtype=np.int64)
    outcome[first:last] = 0.0
    for w in range(first, last):
        if world_host[w, WHOLE] > 0.0:
            obey(world_vm[w], world_host[w], curve[w], constants, told[w], vm[w], outcome[w])
        rows = (
            world_vm[w], world_host[w], curve[w], programs[w], active[w], constants, demand[w],
            vm[w], host[w], pending[w], visible[w], outcome[w], streams, w, wants, members,
        )  # fmt: skip
        for _ in range(num_ticks):
            tick_host(*rows)
