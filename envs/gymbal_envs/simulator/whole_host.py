"""The parts of a tick beside memory and CPU time, and how commands about them are obeyed."""

from __future__ import annotations

from gymbal_envs.simulator.bandwidth import cycles_per_s, progress_of_programs, settle_latency
from gymbal_envs.simulator.compile import Demand, Floats, Ints, lean_kernel
from gymbal_envs.simulator.devices import switch_devices
from gymbal_envs.simulator.layout import (
    C_KNOT,
    C_TICK,
    CPI_BASE,
    ENTITLED,
    ENTITLED_GOAL,
    LATENCY_FACTOR,
    LLC_CLASS,
    LLC_UNITS,
    NUM_LLC_SEGMENTS,
    NUM_PROGRAM,
    OCCUPANCY,
    PHASE,
    PRESENT,
    RATE,
    TICK,
    TOLD_CLASS,
    TOLD_LEVEL,
    TOLD_MODE,
    TOLD_UNITS,
    TOLD_WEIGHT,
    UNITS,
    WANT_PHASE,
    WEIGHT,
)
from gymbal_envs.simulator.monitors import set_levels
from gymbal_envs.simulator.occupancy import move_lines, tend_to_share
from gymbal_envs.simulator.partition import entitle, recolour

NUM_ACTIVE = NUM_PROGRAM + 2 * (NUM_LLC_SEGMENTS + 1)
"""Columns of ``programs`` and ``active``."""
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-3, 1e6
"""A scheduler's weights, with room to spare: Linux takes 1 to 10,000, Xen 1 to 65,535."""
WARM_UP_ROUNDS = 12
"""Rounds in which shares and instruction rates find each other before an episode."""


@lean_kernel
def obey(
    world_vm: Floats, world_host: Floats, curve: Floats, constants: Floats, told: Floats,
    vm: Floats, outcome: Floats,
) -> None:  # fmt: skip
    """Carry out what the last command says about anything but memory; ``told`` (NUM_TOLD, V)."""
    entitle(world_vm, world_host, told[TOLD_CLASS], told[TOLD_UNITS], constants, vm, outcome)
    switch_devices(world_vm, world_host, constants, told[TOLD_MODE], vm)
    set_levels(world_vm, curve, constants, told[TOLD_LEVEL], vm)
    for v in range(vm.shape[1]):
        weight = told[TOLD_WEIGHT, v]
        if world_vm[PRESENT, v] > 0.0 and LEAST_WEIGHT <= weight <= LARGEST_WEIGHT:
            vm[WEIGHT, v] = weight


@lean_kernel
def follow_phases(
    world_vm: Floats, constants: Floats, demand: Demand, programs: Floats, active: Floats,
    vm: Floats, host: Floats,
) -> None:  # fmt: skip
    """Make the row of each program's present phase the active one."""
    position = host[TICK] * constants[C_TICK] / constants[C_KNOT]
    # int() and not a blend: a phase begins at its knot. Sums of ticks may fall just short of it.
    knot = min(int(position + 1e-9), demand.shape[0] - 1)
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        phase = float(demand[knot, WANT_PHASE, v])
        if phase != vm[PHASE, v]:
            vm[PHASE, v] = phase
            vm[OCCUPANCY, v] = 0.0  # another program: what lies in the cache is none of its own
            for k in range(NUM_ACTIVE):
                active[v, k] = programs[v, int(phase), k]


@lean_kernel
def share_cache(
    world_vm: Floats, world_host: Floats, active: Floats, constants: Floats, vm: Floats,
    host: Floats, outcome: Floats, wants: Floats, members: Ints,
) -> None:  # fmt: skip
    """One tick of the last-level cache and of memory bandwidth."""
    recolour(world_vm, world_host, constants, vm, outcome, wants[3])
    tend_to_share(world_vm, world_host, active, vm, wants, members)
    move_lines(world_vm, world_host, active, constants, vm, wants)
    settle_latency(world_vm, world_host, active, constants, vm, host, wants)
    progress_of_programs(world_vm, active, constants, vm, wants[3])


@lean_kernel
def warm_cache(
    world_vm: Floats, world_host: Floats, active: Floats, constants: Floats, vm: Floats,
    host: Floats, outcome: Floats, wants: Floats, members: Ints,
) -> None:  # fmt: skip
    """Start with a cache that everybody has shared for long."""
    present = 0
    for v in range(vm.shape[1]):
        present += int(world_vm[PRESENT, v])
    host[LATENCY_FACTOR] = 1.0
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        vm[LLC_CLASS, v] = 0.0
        vm[UNITS, v] = world_host[LLC_UNITS]
        vm[ENTITLED, v] = vm[ENTITLED_GOAL, v] = world_host[LLC_UNITS] / present
        vm[RATE, v] = cycles_per_s(world_host, vm, v) / active[v, CPI_BASE]
    for _ in range(WARM_UP_ROUNDS):
        tend_to_share(world_vm, world_host, active, vm, wants, members)
        for v in range(vm.shape[1]):
            if world_vm[PRESENT, v] > 0.0:
                vm[OCCUPANCY, v] = wants[0, v]
        share_cache(world_vm, world_host, active, constants, vm, host, outcome, wants, members)
