"""What VMs are told, carried out: phases begin, copies stop and go on."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster.migration import start_move, tell_stop
from gymbal_envs.simulator.cluster.sites_layout import (
    MEMORY,
    MEMORY_REDUNDANCY,
    PHASE,
    PHASE_S,
    PRESENT,
    REDUCED,
    REFUSED,
    SUSPENDED,
)
from gymbal_envs.simulator.cluster.sites_wants import wire_factor
from gymbal_envs.simulator.compile import Floats, Ints, kernel
from gymbal_runtime.sites.orders import (
    COLD,
    CONTINUE,
    COPY_REDUCED,
    LEGAL,
    REPLICATE,
    STOP,
    SUSPEND,
)
from gymbal_runtime.sites.telemetry import (
    AT_SOURCE,
    BULK,
    LAST_COPY,
    MIRROR,
    PRECOPY,
)

_LEGAL = LEGAL.astype(np.int64)


@kernel
def obey(
    world_vm: Floats,
    dirty: Floats,
    plans: Floats,
    constants: Floats,
    verb: Ints,
    rule: Ints,
    plan: Floats,
    move: Floats,
    vm: Floats,
    outcome: Floats,
) -> None:
    """Carry out the orders of one world, each if it is legal."""
    for v in range(vm.shape[1]):
        told = verb[v]
        if told == CONTINUE:
            continue
        phase = int(vm[PHASE, v])
        allowed = _LEGAL[phase, int(vm[SUSPENDED, v]), int(vm[REDUCED, v]), told]
        if world_vm[PRESENT, v] == 0.0 or allowed == 0:
            outcome[REFUSED, v] += 1.0
            continue
        if told == SUSPEND:
            vm[SUSPENDED, v] = 1.0
        elif told == STOP:
            vm[SUSPENDED, v] = 0.0
            tell_stop(move[v])
        elif told == COLD:
            vm[SUSPENDED, v] = 0.0
            _begin_memory(world_vm, dirty, plans, constants, v, 0, plan, move, vm)
            plan[v, mig.METHOD] = mig.STOP_AND_COPY
            _enter(LAST_COPY, vm, v)
        else:
            vm[SUSPENDED, v] = 0.0
            vm[REDUCED, v] = 1.0 if told == COPY_REDUCED else 0.0
            if phase == AT_SOURCE:
                _enter(BULK, vm, v)
            elif phase == MIRROR and told != REPLICATE:
                _begin_memory(world_vm, dirty, plans, constants, v, rule[v], plan, move, vm)
                _enter(PRECOPY, vm, v)
            elif phase == PRECOPY:
                plan[v, mig.OVERHEAD] = wire_factor(world_vm, constants, vm, v, MEMORY_REDUNDANCY)


@kernel
def _begin_memory(
    world_vm: Floats,
    dirty: Floats,
    plans: Floats,
    constants: Floats,
    v: int,
    rule: int,
    plan: Floats,
    move: Floats,
    vm: Floats,
) -> None:
    """Plan of a VM's memory copy by its stop rule, and its start."""
    plan[v] = plans[rule]
    plan[v, mig.OVERHEAD] = wire_factor(world_vm, constants, vm, v, MEMORY_REDUNDANCY)
    start_move(plan[v], dirty[v], world_vm[MEMORY, v], move[v])


@kernel
def _enter(phase: int, vm: Floats, v: int) -> None:
    vm[PHASE, v] = phase
    vm[PHASE_S, v] = 0.0
