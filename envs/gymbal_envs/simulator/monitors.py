"""What monitors cost: a histogram traps accesses outside an untraced hot set (models.md 2.2)."""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    C_MONITOR_COST,
    C_SAMPLER_COST,
    C_TRACE_LIMIT,
    C_TRAP,
    HOT_SET,
    LEVEL,
    MONITOR_COST,
    PRESENT,
    TOUCH_RATE,
)
from gymbal_envs.simulator.memory import miss_ratio

HOT_SET_STEPS = 8
"""Times that a hot set may grow or shrink between two samples."""
SMALLEST_HOT_SET = 1.0 / 64.0
"""Fraction of the working set: a monitor never traces the pages that are touched all the time."""


@lean_kernel
def monitor_cost(world_vm: Floats, curve: Floats, constants: Floats, vm: Floats, v: int) -> float:
    """Fraction of VM ``v``'s CPU time that its monitors take.

    It changes with the level and the hot set alone, so `MONITOR_COST` remembers it.
    """
    level = vm[LEVEL, v]
    cost = 0.0
    if level > 1.0:
        cost = constants[C_MONITOR_COST]
        if constants[C_TRAP] > 0.0:
            traps = world_vm[TOUCH_RATE, v] * miss_ratio(curve, v, vm[HOT_SET, v])
            cost = min(traps * constants[C_TRAP], 0.9)
    if level > 0.0:
        cost += constants[C_SAMPLER_COST]
    return cost


@lean_kernel
def adapt_hot_set(world_vm: Floats, curve: Floats, constants: Floats, vm: Floats) -> None:
    """Grow hot sets while tracing costs more than its limit, shrink them while it costs half."""
    if constants[C_TRAP] <= 0.0:
        return
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0 or vm[LEVEL, v] < 2.0:
            continue
        for _ in range(HOT_SET_STEPS):  # a monitor sees every trap: it need not wait for a sample
            cost = vm[MONITOR_COST, v]
            if cost > constants[C_TRACE_LIMIT]:
                vm[HOT_SET, v] = min(vm[HOT_SET, v] * 1.3, 0.9)
            elif cost < 0.5 * constants[C_TRACE_LIMIT]:
                vm[HOT_SET, v] = max(vm[HOT_SET, v] / 1.3, SMALLEST_HOT_SET)
            else:
                break
            vm[MONITOR_COST, v] = monitor_cost(world_vm, curve, constants, vm, v)


@lean_kernel
def set_levels(
    world_vm: Floats, curve: Floats, constants: Floats, levels: Floats, vm: Floats
) -> None:
    """Switch monitors as told: (V,) 0, 1 or 2, NaN as it is. Anything else is ignored."""
    for v in range(vm.shape[1]):
        known = levels[v] == 0.0 or levels[v] == 1.0 or levels[v] == 2.0
        if world_vm[PRESENT, v] > 0.0 and known and levels[v] != vm[LEVEL, v]:
            vm[LEVEL, v] = levels[v]
            vm[MONITOR_COST, v] = monitor_cost(world_vm, curve, constants, vm, v)
