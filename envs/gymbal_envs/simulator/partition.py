"""Who is entitled to which units of the cache, and what changing it costs.

Ways change hands at once (a mask is a register). Page colours change hands as pages are copied: the
hot pages of a VM lie evenly in its colours, so the part ``|new - old| / max(new, old)`` of them
moves, loses its lines, and stops its VM for the time of the copy (models.md 8.1).
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    C_MOVE_DUTY,
    C_PAGE,
    C_PAGE_MOVE,
    C_TICK,
    ENTITLED,
    ENTITLED_GOAL,
    HOT,
    LLC_CLASS,
    LLC_CLASSES,
    LLC_MIN_UNITS,
    LLC_RECOLOURS,
    LLC_UNITS,
    OCCUPANCY,
    PAGES_LEFT,
    PAGES_MOVED,
    PRESENT,
    RECOLOUR_FRAC,
    UNITS,
    UNITS_MOVED,
)

ROUNDING = 1e-9


@lean_kernel
def possible_parts(world_vm: Floats, world_host: Floats, classes: Floats, units: Floats) -> bool:
    """Whether every present VM has a class, members agree, and such classes and units exist."""
    num_vms = classes.shape[0]
    least, most = world_host[LLC_MIN_UNITS], world_host[LLC_UNITS]
    total, used = 0.0, 0
    for v in range(num_vms):
        if world_vm[PRESENT, v] == 0.0:
            continue
        c = classes[v]
        if not (c >= 0.0 and c < num_vms and c == math.floor(c)):
            return False
        if not (least <= units[v] <= most and units[v] == math.floor(units[v])):
            return False
        first = True
        for other in range(v):
            if world_vm[PRESENT, other] > 0.0 and classes[other] == c:
                first = False
                if units[other] != units[v]:
                    return False
        if first:
            total += units[v]
            used += 1
    return total <= most and used <= world_host[LLC_CLASSES]


@lean_kernel
def entitle(
    world_vm: Floats, world_host: Floats, classes: Floats, units: Floats, constants: Floats,
    vm: Floats, outcome: Floats,
) -> None:  # fmt: skip
    """Divide the cache as told: (V,) class of each VM and units of that class.

    A division that the hardware does not have (see `possible_parts`) changes nothing.
    """
    if world_host[LLC_UNITS] <= 0.0 or not possible_parts(world_vm, world_host, classes, units):
        return
    if world_host[LLC_RECOLOURS] > 0.0:
        _order_pages(world_vm, classes, units, constants, vm)
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        members = 0
        for other in range(vm.shape[1]):
            if world_vm[PRESENT, other] > 0.0 and classes[other] == classes[v]:
                members += 1
        goal = units[v] / members
        outcome[UNITS_MOVED, v] += max(goal - vm[ENTITLED_GOAL, v], 0.0)
        vm[ENTITLED_GOAL, v] = goal
        if world_host[LLC_RECOLOURS] == 0.0:
            vm[ENTITLED, v] = goal
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] > 0.0:
            vm[LLC_CLASS, v] = classes[v]
            vm[UNITS, v] = units[v]


@lean_kernel
def _order_pages(
    world_vm: Floats, classes: Floats, units: Floats, constants: Floats, vm: Floats
) -> None:
    """Pages that have to move to other colours before the new division is in force.

    A class takes its colours from those of its members' old classes, in proportion to the parts
    that they bring. What a VM finds there of its old class's colours it need not leave.
    """
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        known, brought = 0.0, 0.0
        for other in range(vm.shape[1]):
            if world_vm[PRESENT, other] > 0.0 and classes[other] == classes[v]:
                brought += vm[ENTITLED_GOAL, other]
                if vm[LLC_CLASS, other] == vm[LLC_CLASS, v]:
                    known += vm[ENTITLED_GOAL, other]
        found = min(units[v] * known / brought, vm[UNITS, v])
        change = 1.0 - found / max(units[v], vm[UNITS, v])
        pages = world_vm[RECOLOUR_FRAC, v] * vm[HOT, v] / constants[C_PAGE]
        if change > ROUNDING:
            vm[PAGES_LEFT, v] = min(vm[PAGES_LEFT, v] + change * pages, pages)


@lean_kernel
def recolour(
    world_vm: Floats, world_host: Floats, constants: Floats, vm: Floats, outcome: Floats,
    moved: Floats,
) -> None:  # fmt: skip
    """One tick of page migration, all VMs in step; ``moved`` (V,) pages, the answer.

    They go in step so that the units in force always add up.
    """
    ticks = 0.0
    per_tick = constants[C_MOVE_DUTY] * constants[C_TICK] / constants[C_PAGE_MOVE]
    for v in range(vm.shape[1]):
        moved[v] = 0.0
        ticks = max(ticks, vm[PAGES_LEFT, v] / per_tick)
    if world_host[LLC_RECOLOURS] == 0.0:
        return
    part = 1.0 / max(ticks, 1.0)
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        moved[v] = vm[PAGES_LEFT, v] * part
        vm[PAGES_LEFT, v] -= moved[v]
        vm[ENTITLED, v] += (vm[ENTITLED_GOAL, v] - vm[ENTITLED, v]) * part
        pages = world_vm[RECOLOUR_FRAC, v] * vm[HOT, v] / constants[C_PAGE]
        if moved[v] > 0.0:
            vm[OCCUPANCY, v] *= 1.0 - min(moved[v] / max(pages, 1.0), 1.0)
        outcome[PAGES_MOVED, v] += moved[v]
