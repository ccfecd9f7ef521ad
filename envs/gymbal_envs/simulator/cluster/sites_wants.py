"""What the copies of a VM that moves ask of the WAN, and what is left of its memory."""

from __future__ import annotations

from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster.dirtying import unwritten
from gymbal_envs.simulator.cluster.migration_passes import left_bytes
from gymbal_envs.simulator.cluster.sites_disk import commit_speed, disk_left
from gymbal_envs.simulator.cluster.sites_layout import (
    ACTIVITY,
    C_HASH_RATE,
    C_OVERHEAD,
    DISK_REDUNDANCY,
    FLOW_LIMIT,
    MEMORY_REDUNDANCY,
    PHASE,
    REDUCED,
    SUSPENDED,
    WRITE_RATE,
)
from gymbal_envs.simulator.compile import Floats, kernel
from gymbal_runtime.sites.telemetry import (
    BULK,
    LAST_COPY,
    PRECOPY,
)


@kernel
def wire_factor(world_vm: Floats, constants: Floats, vm: Floats, v: int, row: int) -> float:
    """Bytes on the wire per byte; ``row`` of ``world_vm`` is the redundancy of disk or memory."""
    if vm[REDUCED, v] > 0.0:
        return constants[C_OVERHEAD] * (1.0 - world_vm[row, v])
    return constants[C_OVERHEAD]


@kernel
def most_on_wire(world: Floats, constants: Floats, vm: Floats, v: int, factor: float) -> float:
    """Bytes/s that one copy can send: limited by distance and by how fast redundancy is found."""
    if vm[REDUCED, v] > 0.0:
        return min(world[FLOW_LIMIT], constants[C_HASH_RATE] * factor)
    return world[FLOW_LIMIT]


@kernel
def memory_left(dirty: Floats, move: Floats) -> float:
    """Bytes of memory that the last copy would have to send if it began now.

    What this pass has not sent yet, and what was written again of the rest; as the migration kernel
    counts when a pass ends (`migration_passes.end_round`).
    """
    unsent = 1.0 - move[mig.PASS_DONE]
    total = move[mig.LEFT_REST] * unsent
    if move[mig.PHASE] != mig.COPYING:
        return left_bytes(move)
    for g in range(mig.NUM_GROUPS):
        left = move[mig.LEFT + g] * unsent
        written = 1.0 - unwritten(dirty[g, mig.TAU], dirty[g, mig.KIND], move[mig.WRITING_S])
        total += left + max(dirty[g, mig.SIZE] - left, 0.0) * written
    return total


@kernel
def ask_network(
    world: Floats,
    world_vm: Floats,
    constants: Floats,
    move: Floats,
    vm: Floats,
    v: int,
    dt: float,
    commit_s: float,
    wanted: Floats,
) -> None:
    """Bytes/s on the wire that a VM's disk (entry v) and memory (entry V + v) can use."""
    num_vms = vm.shape[1]
    wanted[v] = wanted[num_vms + v] = 0.0
    phase = vm[PHASE, v]
    if phase < BULK or phase > LAST_COPY or vm[SUSPENDED, v] > 0.0:
        return
    disk = wire_factor(world_vm, constants, vm, v, DISK_REDUNDANCY)
    memory = wire_factor(world_vm, constants, vm, v, MEMORY_REDUNDANCY)
    most_disk = most_on_wire(world, constants, vm, v, disk)
    most_memory = most_on_wire(world, constants, vm, v, memory)
    activity = vm[ACTIVITY, v]
    writes = world_vm[WRITE_RATE, v] * activity
    if phase == PRECOPY:
        writes *= commit_speed(world_vm, v, activity, commit_s)
        wanted[num_vms + v] = most_memory
    elif phase == LAST_COPY:
        # What is left may go in a part of the tick, at full speed: each second of it is downtime.
        wanted[num_vms + v] = most_memory if move[mig.PHASE] != mig.DONE else 0.0
        wanted[v] = most_disk if disk_left(vm, v) > 0.0 else 0.0
        return
    wanted[v] = min((disk_left(vm, v) / dt + writes) * disk, most_disk)
