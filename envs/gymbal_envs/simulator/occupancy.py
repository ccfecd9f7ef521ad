"""Who holds how much of the last-level cache from tick to tick.

Occupancy is *sticky*: a line leaves only when another one comes in its place. A class whose part
shrinks keeps lines in units that are no longer its own, *strays*, until the new owners have missed
often enough; where nobody owns the units they stay.
"""

from __future__ import annotations

from gymbal_envs.simulator.cache import (
    FILL,
    LINE_BYTES,
    LONGEST_S,
    characteristic_time,
    filled_bytes,
    misses_per_instruction,
)
from gymbal_envs.simulator.compile import Floats, Ints, lean_kernel
from gymbal_envs.simulator.layout import (
    C_TICK,
    CHARACTERISTIC,
    ENTITLED,
    LLC_BYTES,
    LLC_CLASS,
    LLC_UNITS,
    MPI,
    NUM_LLC_SEGMENTS,
    OCCUPANCY,
    PRESENT,
    RATE,
)

NUM_SCRATCH = 7
"""Rows of ``wants`` that `move_lines` needs; row 3 it leaves alone."""


@lean_kernel
def tend_to_share(
    world_vm: Floats, world_host: Floats, active: Floats, vm: Floats, wants: Floats, members: Ints
) -> None:
    """Where every VM's occupancy tends to, in ``wants[0]``: its part of its class's units."""
    num_vms = vm.shape[1]
    segment = world_host[LLC_BYTES] / NUM_LLC_SEGMENTS
    unit = world_host[LLC_BYTES] / world_host[LLC_UNITS]
    fill = active[:, FILL:]
    for v in range(num_vms):
        wants[0, v] = vm[OCCUPANCY, v]
        wants[1, v] = world_vm[PRESENT, v]  # 1 where its class has not had its turn
    for first in range(num_vms):
        if wants[1, first] == 0.0:
            continue
        count, units = 0, 0.0
        for v in range(first, num_vms):
            if wants[1, v] > 0.0 and vm[LLC_CLASS, v] == vm[LLC_CLASS, first]:
                members[count] = v
                count += 1
                units += vm[ENTITLED, v]
                wants[1, v] = 0.0
        part = units * unit
        if count == 1:
            alone = filled_bytes(fill[first], segment, vm[RATE, first] * LONGEST_S)
            wants[0, first] = min(alone, part)
            vm[CHARACTERISTIC, first] = LONGEST_S
            continue
        guess = min(max(vm[CHARACTERISTIC, first], 1e-6), 1e3)
        age = characteristic_time(vm[RATE], fill, members, count, segment, part, guess, wants[0])
        total = 0.0
        for k in range(count):
            total += wants[0, members[k]]
            vm[CHARACTERISTIC, members[k]] = age
        if total > part:  # by no more than the search for the age leaves
            for k in range(count):
                wants[0, members[k]] *= part / total


@lean_kernel
def move_lines(
    world_vm: Floats, world_host: Floats, active: Floats, constants: Floats, vm: Floats,
    wants: Floats,
) -> None:  # fmt: skip
    """One tick of occupancy towards ``wants[0]``, and the misses meanwhile.

    A VM grows no faster than it misses. While it refills it has the mean of the misses before and
    after, for as long as the refill takes, which is mostly a small part of the tick.
    """
    instructions_s, tick = vm[RATE], constants[C_TICK]
    segment = world_host[LLC_BYTES] / NUM_LLC_SEGMENTS
    for v in range(vm.shape[1]):
        wants[1, v] = 0.0
        if world_vm[PRESENT, v] > 0.0 and wants[0, v] > vm[OCCUPANCY, v]:
            misses = misses_per_instruction(active[v], segment, vm[OCCUPANCY, v])
            most = instructions_s[v] * misses * LINE_BYTES * tick
            wants[1, v] = min(wants[0, v] - vm[OCCUPANCY, v], most)
            vm[MPI, v] = misses
    evict(world_vm, world_host, vm, wants)
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        grown, before = wants[1, v], vm[MPI, v]
        vm[OCCUPANCY, v] += grown - wants[2, v]
        after = misses_per_instruction(active[v], segment, vm[OCCUPANCY, v])
        vm[MPI, v] = after
        if grown > 0.0:
            refill = 2.0 * grown / (LINE_BYTES * (before + after) * instructions_s[v] * tick)
            vm[MPI, v] += 0.5 * (before - after) * min(refill, 1.0)


@lean_kernel
def evict(world_vm: Floats, world_host: Floats, vm: Floats, wants: Floats) -> None:
    """Bytes that each VM loses, in ``wants[2]``, to the new lines of all VMs, ``wants[1]``.

    A class's new lines take what room it has left in its own part, and beyond that evict its own
    members, in proportion to what these hold above ``wants[0]``. That room is free or holds strays
    of other classes, which go where the cache has no other free line. So no class ever grows beyond
    its part, and all together not beyond the cache. ``wants[4:7]`` is scratch, of classes.
    """
    num_vms = vm.shape[1]
    unit = world_host[LLC_BYTES] / world_host[LLC_UNITS]
    free = world_host[LLC_BYTES]
    for c in range(num_vms):
        wants[4, c] = wants[5, c] = wants[6, c] = 0.0
    for v in range(num_vms):
        if world_vm[PRESENT, v] > 0.0:
            c = int(vm[LLC_CLASS, v])
            free -= vm[OCCUPANCY, v]
            wants[4, c] += vm[ENTITLED, v] * unit - vm[OCCUPANCY, v]
            wants[5, c] += wants[1, v]
            wants[6, c] += max(vm[OCCUPANCY, v] - wants[0, v], 0.0)
    strays, into_room = 0.0, 0.0
    for c in range(num_vms):
        room = max(wants[4, c], 0.0)
        strays += max(-wants[4, c], 0.0)
        into_room += min(wants[5, c], room)
        wants[5, c] = max(wants[5, c] - room, 0.0)
    flushed = max(into_room - max(free, 0.0), 0.0) / strays if strays > 0.0 else 0.0
    for c in range(num_vms):
        if wants[6, c] > 0.0:
            lost = wants[5, c] + max(-wants[4, c], 0.0) * min(flushed, 1.0)
            wants[6, c] = min(lost / wants[6, c], 1.0)
    for v in range(num_vms):
        wants[2, v] = 0.0
        if world_vm[PRESENT, v] > 0.0:
            excess = max(vm[OCCUPANCY, v] - wants[0, v], 0.0)
            wants[2, v] = excess * wants[6, int(vm[LLC_CLASS, v])]
