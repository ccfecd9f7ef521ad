"""One tick after another of pairs of sites: orders, demand, the WAN, every VM, sensors."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.cluster.dirtying import dirty_bytes
from gymbal_envs.simulator.cluster.network import NO_LINK, link_wait, share_links
from gymbal_envs.simulator.cluster.sites_layout import (
    ACTIVITY,
    BACKGROUND,
    C_COMMIT_BYTES,
    C_KNOT,
    C_NOISE,
    C_SAMPLE,
    C_TICK,
    COMMIT_S,
    DIRTY_SEEN,
    DISK,
    DISK_NEW,
    FREE,
    NUM_RESIDUALS,
    PHASE,
    PRESENT,
    RESIDUALS,
    RTT,
    TICK,
    WAN,
)
from gymbal_envs.simulator.cluster.sites_moves import advance_vm
from gymbal_envs.simulator.cluster.sites_orders import obey
from gymbal_envs.simulator.cluster.sites_wants import ask_network
from gymbal_envs.simulator.compile import Demand, Floats, Ints, Streams, kernel
from gymbal_runtime.random_numbers import normal
from gymbal_runtime.sites.telemetry import (
    ARRIVED,
)


@kernel
def initial(
    w: int,
    world: Floats,
    world_vm: Floats,
    dirty: Floats,
    constants: Floats,
    demand: Demand,
    background: Demand,
    move: Floats,
    vm: Floats,
    link: Floats,
    outcome: Floats,
    streams: Streams,
) -> None:
    """Start world ``w``: every VM runs at the source, nothing was copied."""
    vm[w] = 0.0
    move[w] = 0.0
    link[w] = 0.0
    outcome[w] = 0.0
    for v in range(vm.shape[2]):
        for k in range(NUM_RESIDUALS):
            vm[w, RESIDUALS + k, v] = np.nan
        if world_vm[w, PRESENT, v] == 0.0:
            vm[w, PHASE, v] = ARRIVED
            continue
        vm[w, DISK_NEW, v] = world_vm[w, DISK, v]
    follow_demand(world_vm[w], constants, demand[w], background[w], world[w], vm[w], link[w])
    link[w, FREE] = world[w, WAN] - link[w, BACKGROUND]
    link[w, COMMIT_S] = link_wait(
        world[w, RTT], constants[C_COMMIT_BYTES], world[w, WAN], link[w, BACKGROUND]
    )
    look(w, world_vm[w], dirty[w], constants, vm[w], streams)


@kernel
def follow_demand(
    world_vm: Floats,
    constants: Floats,
    demand: Demand,
    background: Demand,
    world: Floats,
    vm: Floats,
    link: Floats,
) -> None:
    """Activity of each VM and traffic of others now: linear between knots."""
    position = link[TICK] * constants[C_TICK] / constants[C_KNOT]
    last = demand.shape[0] - 1
    below = min(int(position), last)
    above = min(below + 1, last)
    blend = min(position - below, 1.0)
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] > 0.0:
            vm[ACTIVITY, v] = demand[below, v] * (1.0 - blend) + demand[above, v] * blend
    busy = background[below] * (1.0 - blend) + background[above] * blend
    link[BACKGROUND] = busy * world[WAN]


@kernel
def look(
    w: int,
    world_vm: Floats,
    dirty: Floats,
    constants: Floats,
    vm: Floats,
    streams: Streams,
) -> None:
    """Sample the memory writes of every VM of world ``w`` (tables without the world's axis)."""
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        seconds = constants[C_SAMPLE]
        rate = dirty_bytes(dirty[v], vm[ACTIVITY, v] * seconds) / seconds
        noise = 1.0 + constants[C_NOISE] * normal(streams, w)
        vm[DIRTY_SEEN, v] = max(rate * noise, 0.0)


@kernel
def transition(
    first: int,
    last: int,
    num_ticks: int,
    world: Floats,
    world_vm: Floats,
    dirty: Floats,
    plans: Floats,
    constants: Floats,
    demand: Demand,
    background: Demand,
    verb: Ints,
    rule: Ints,
    plan: Floats,
    move: Floats,
    vm: Floats,
    link: Floats,
    outcome: Floats,
    streams: Streams,
) -> None:
    """Carry out the orders of worlds ``first <= w < last`` and advance them by ticks."""
    num_vms: int = vm.shape[2]
    dt = constants[C_TICK]
    wanted = np.zeros(2 * num_vms)
    granted = np.zeros(2 * num_vms)
    line = np.zeros(2 * num_vms, dtype=np.int64)
    none = np.full(2 * num_vms, NO_LINK, dtype=np.int64)
    capacity = np.zeros(1)
    used = np.zeros(1)
    scratch = np.zeros(1)
    outcome[first:last] = 0.0
    for w in range(first, last):
        obey(
            world_vm[w], dirty[w], plans, constants, verb[w], rule[w], plan[w], move[w], vm[w],
            outcome[w],
        )  # fmt: skip
        free = 0.0
        for _ in range(num_ticks):
            time_s = link[w, TICK] * dt
            follow_demand(
                world_vm[w], constants, demand[w], background[w], world[w], vm[w], link[w]
            )
            commit_s = link[w, COMMIT_S]
            for v in range(num_vms):
                ask_network(
                    world[w], world_vm[w], constants, move[w, v], vm[w], v, dt, commit_s, wanted
                )
            capacity[0] = world[w, WAN] - link[w, BACKGROUND]
            share_links(wanted, line, none, none, capacity, granted, used, scratch)
            for v in range(num_vms):
                advance_vm(
                    world[w], world_vm[w], dirty[w, v], plan[w, v], constants, time_s, dt,
                    commit_s, granted[v], granted[num_vms + v], move[w, v], vm[w], v, outcome[w],
                )  # fmt: skip
            free += capacity[0]
            link[w, COMMIT_S] = link_wait(
                world[w, RTT], constants[C_COMMIT_BYTES], world[w, WAN],
                link[w, BACKGROUND] + used[0],
            )  # fmt: skip
            link[w, TICK] += 1.0
        link[w, FREE] = free / max(num_ticks, 1)
        follow_demand(world_vm[w], constants, demand[w], background[w], world[w], vm[w], link[w])
        look(w, world_vm[w], dirty[w], constants, vm[w], streams)
