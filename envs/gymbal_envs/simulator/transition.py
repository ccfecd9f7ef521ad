"""One tick after another: the physical parts in order, world by world."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.compile import Demand, Floats, Streams, kernel
from gymbal_envs.simulator.cpu import share_cpu
from gymbal_envs.simulator.layout import (
    ACTUAL,
    COLD,
    FAST_ACTIVE,
    FOOTPRINT,
    HOT,
    KERNEL,
    PENDING_AT,
    PENDING_WAIT,
    PRESENT,
    SLOW_ACTIVE,
    TARGET,
    TICK,
    TIER_LATENCY,
    TIER_POOL,
    TIER_POOL_LIMIT,
    VISIBLE_WAIT,
    WAIT,
    WANT_FOOTPRINT,
    WANT_WORKING_SET,
    WORKING_SET,
)
from gymbal_envs.simulator.memory import (
    follow_demand,
    grant_memory,
    kill_starved,
    miss_rates,
    move_pages,
)
from gymbal_envs.simulator.sensors import account, publish, sample, sense
from gymbal_envs.simulator.tiers import settle_swap_device


@kernel
def initial(
    w: int,
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    constants: Floats,
    demand: Demand,
    vm: Floats,
    host: Floats,
    pending: Floats,
    visible: Floats,
    streams: Streams,
) -> None:
    """Start world ``w``: memory as ``vm[TARGET]`` divides it, hot pages first, sensors warm."""
    vm[w] = np.where(np.arange(vm.shape[1])[:, None] == TARGET, vm[w], 0.0)
    host[w] = 0.0
    host[w, WAIT] = world_host[w, TIER_LATENCY]
    host[w, PENDING_AT] = 0.0
    host[w, VISIBLE_WAIT] = host[w, PENDING_WAIT] = np.nan
    pending[w] = np.nan
    visible[w] = np.nan
    per_page = 1.0 - world_host[w, TIER_POOL]
    for v in range(vm.shape[2]):
        if world_vm[w, PRESENT, v] == 0.0:
            continue
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
    share_cpu(world_vm[w], world_host[w], vm[w])
    miss_rates(world_vm[w], curve[w], vm[w])
    settle_swap_device(world_vm[w], world_host[w], constants, vm[w], host[w])
    warm_up(world_vm[w], vm[w])
    sample(world_vm[w], world_host[w], curve[w], constants, vm[w], host[w], pending[w], streams, w)
    publish(host[w], pending[w], visible[w])


@kernel
def warm_up(world_vm: Floats, vm: Floats) -> None:
    """The active sampler starts at the truth, as if it had run for long."""
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] > 0.0:
            vm[SLOW_ACTIVE, v] = vm[FAST_ACTIVE, v] = vm[HOT, v] / vm[ACTUAL, v]


@kernel
def transition(
    first: int,
    last: int,
    num_ticks: int,
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    constants: Floats,
    demand: Demand,
    vm: Floats,
    host: Floats,
    pending: Floats,
    visible: Floats,
    outcome: Floats,
    streams: Streams,
) -> None:
    """Advance worlds ``first <= w < last`` by ``num_ticks`` ticks under their present targets."""
    wants = np.zeros((3, vm.shape[2]))
    outcome[first:last] = 0.0
    for w in range(first, last):
        for _ in range(num_ticks):
            host[w, TICK] += 1.0
            follow_demand(world_vm[w], world_host[w], constants, demand[w], vm[w], host[w])
            share_cpu(world_vm[w], world_host[w], vm[w])
            miss_rates(world_vm[w], curve[w], vm[w])
            settle_swap_device(world_vm[w], world_host[w], constants, vm[w], host[w])
            move_pages(world_vm[w], world_host[w], constants, vm[w], outcome[w], wants)
            grant_memory(world_vm[w], world_host[w], constants, vm[w], outcome[w], wants)
            kill_starved(world_vm[w], constants, vm[w], outcome[w])
            account(world_vm[w], constants, vm[w], outcome[w])
            sense(
                world_vm[w], world_host[w], curve[w], constants, vm[w], host[w],
                pending[w], visible[w], streams, w,
            )  # fmt: skip
