"""One VM that moves with its disk: what a tick brings it.

Phases follow each other inside of a tick where they fall: a pause that begins and ends within a
second is as long as it is. Bandwidth is divided once per tick.
"""

from __future__ import annotations

from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster.migration import advance_to_event
from gymbal_envs.simulator.cluster.migration_passes import pass_bytes
from gymbal_envs.simulator.cluster.sites_disk import (
    commit_speed,
    disk_left,
    replicated_share,
    send_disk,
    write_behind,
)
from gymbal_envs.simulator.cluster.sites_layout import (
    ACTIVITY,
    ARRIVED_S,
    AWAY,
    AWAY_LATE,
    C_COPY_TAX,
    C_COPY_TAX_RATE,
    C_HAND_OVER_TRIPS,
    C_HASH,
    C_RESYNC,
    C_ROUTE_SWITCH,
    DEADLINE,
    DISK_NEW,
    DISK_REDUNDANCY,
    DISK_WIRE,
    HAND_LEFT,
    LOST,
    LOST_COPY,
    LOST_HASH,
    LOST_SYNC,
    MEMORY_WIRE,
    MOVE_S,
    NUM_RESIDUALS,
    PAUSED,
    PHASE,
    PHASE_S,
    PRECOPY_S,
    REDUCED,
    RESIDUALS,
    RTT,
    SENT,
    SUSPENDED,
    VCPUS,
    WRITE_RATE,
)
from gymbal_envs.simulator.cluster.sites_wants import wire_factor
from gymbal_envs.simulator.compile import Floats, kernel
from gymbal_runtime.sites.telemetry import (
    ARRIVED,
    AT_SOURCE,
    BULK,
    HAND_OVER,
    LAST_COPY,
    MIRROR,
    PRECOPY,
)

ROUNDING = 1e-9
"""Seconds and bytes: less is nothing."""


@kernel
def advance_vm(
    world: Floats,
    world_vm: Floats,
    dirty: Floats,
    plan: Floats,
    constants: Floats,
    time_s: float,
    dt: float,
    commit_s: float,
    disk_rate: float,
    memory_rate: float,
    move: Floats,
    vm: Floats,
    v: int,
    outcome: Floats,
) -> None:
    """Let ``dt`` seconds pass for a VM whose copies get these bytes/s on the wire."""
    if vm[PHASE, v] == ARRIVED:
        return
    left_s = dt
    while left_s > ROUNDING and vm[PHASE, v] != ARRIVED:
        phase = vm[PHASE, v]
        if phase == AT_SOURCE:
            used = left_s
        elif BULK <= phase <= MIRROR:
            used = left_s
            _replicate(world_vm, constants, disk_rate, used, vm, v, outcome)
        elif phase == PRECOPY:
            used = _precopy(
                world_vm, dirty, plan, constants, commit_s, disk_rate, memory_rate, left_s, dt,
                move, vm, v, outcome,
            )  # fmt: skip
        elif phase == LAST_COPY:
            used = _last_copy(
                world, world_vm, dirty, plan, constants, disk_rate, memory_rate, left_s, move, vm,
                v, outcome,
            )  # fmt: skip
        else:
            used = min(vm[HAND_LEFT, v], left_s)
            vm[HAND_LEFT, v] -= used
            outcome[PAUSED, v] += used
        now = time_s + dt - left_s
        left_s -= used
        outcome[AWAY, v] += used
        outcome[AWAY_LATE, v] += min(max(now + used - world[DEADLINE], 0.0), used)
        vm[PHASE_S, v] += used
        if vm[PHASE, v] != phase:
            vm[PHASE_S, v] = 0.0
        if vm[PHASE, v] > AT_SOURCE:
            vm[MOVE_S, v] += used
        if vm[PHASE, v] == HAND_OVER and vm[HAND_LEFT, v] <= ROUNDING:
            vm[PHASE, v] = ARRIVED
            vm[PHASE_S, v] = 0.0
            vm[ARRIVED_S, v] = time_s + dt - left_s


@kernel
def _taxes(
    world_vm: Floats,
    constants: Floats,
    vm: Floats,
    v: int,
    wire: float,
    content: float,
    sync_speed: float,
    used: float,
    outcome: Floats,
) -> float:
    """Speed of a running VM whose copies take these bytes/s; books what it loses."""
    copying = constants[C_COPY_TAX] * min(wire / constants[C_COPY_TAX_RATE], 1.0)
    hashing = 0.0
    if vm[REDUCED, v] > 0.0:
        hashing = constants[C_HASH] * content / max(world_vm[VCPUS, v], 1.0) * vm[ACTIVITY, v]
        hashing = min(hashing, 0.5)
    outcome[LOST_SYNC, v] += (1.0 - sync_speed) * used
    outcome[LOST_COPY, v] += sync_speed * copying * used
    outcome[LOST_HASH, v] += sync_speed * (1.0 - copying) * hashing * used
    speed = sync_speed * (1.0 - copying) * (1.0 - hashing)
    outcome[LOST, v] += (1.0 - speed) * used
    return speed


@kernel
def _replicate(
    world_vm: Floats,
    constants: Floats,
    rate: float,
    used: float,
    vm: Floats,
    v: int,
    outcome: Floats,
) -> None:
    """Asynchronous replication: the VM does not wait, what it writes has to be copied again."""
    factor = wire_factor(world_vm, constants, vm, v, DISK_REDUNDANCY)
    write_behind(world_vm, vm, v, world_vm[WRITE_RATE, v] * vm[ACTIVITY, v] * used)
    content = send_disk(vm, v, rate / factor * used)
    outcome[DISK_WIRE, v] += content * factor
    vm[SENT, v] += content * factor
    _taxes(world_vm, constants, vm, v, content * factor / used, content / used, 1.0, used, outcome)
    if vm[PHASE, v] == BULK and vm[DISK_NEW, v] <= 0.0:
        vm[PHASE, v] = MIRROR


@kernel
def _precopy(
    world_vm: Floats,
    dirty: Floats,
    plan: Floats,
    constants: Floats,
    commit_s: float,
    disk_rate: float,
    memory_rate: float,
    limit_s: float,
    dt: float,
    move: Floats,
    vm: Floats,
    v: int,
    outcome: Floats,
) -> float:
    """Memory pre-copy with synchronous writes, until the round or the time ends; seconds used."""
    activity = vm[ACTIVITY, v]
    factor = wire_factor(world_vm, constants, vm, v, DISK_REDUNDANCY)
    writes = world_vm[WRITE_RATE, v] * activity
    speed = 1.0
    replicated = 0.0
    sync = vm[SUSPENDED, v] == 0.0
    if sync:
        speed = commit_speed(world_vm, v, activity, commit_s)
        wanted = writes * speed
        replicated = replicated_share(
            wanted, disk_rate / factor, disk_left(vm, v), dt, constants[C_RESYNC]
        )
        if wanted > 0.0:
            speed *= replicated / wanted
    sent = move[mig.SENT]
    rounds = move[mig.ROUND]
    # What hashing and copying take of the speed is known after the step; dirtying runs at the
    # speed that writes allow, a little too fast.
    used = advance_to_event(plan, dirty, activity * speed, memory_rate, limit_s, move)
    memory_wire = move[mig.SENT] - sent
    disk_wire = 0.0
    if sync:
        caught_up = send_disk(vm, v, max(disk_rate / factor - replicated, 0.0) * used)
        disk_wire = (replicated * used + caught_up) * factor
    else:
        write_behind(world_vm, vm, v, writes * used)
    outcome[MEMORY_WIRE, v] += memory_wire
    outcome[DISK_WIRE, v] += disk_wire
    outcome[PRECOPY_S, v] += used
    vm[SENT, v] += memory_wire + disk_wire
    if used > 0.0:
        content = (memory_wire / plan[mig.OVERHEAD] + disk_wire / factor) / used
        wire = (memory_wire + disk_wire) / used
        _taxes(world_vm, constants, vm, v, wire, content, speed, used, outcome)
    if move[mig.ROUND] != rounds:
        for k in range(NUM_RESIDUALS - 1, 0, -1):
            vm[RESIDUALS + k, v] = vm[RESIDUALS + k - 1, v]
        vm[RESIDUALS, v] = pass_bytes(move)
    if move[mig.PHASE] == mig.LAST_COPY or move[mig.PHASE] == mig.DONE:
        vm[PHASE, v] = LAST_COPY
    return used


@kernel
def _last_copy(
    world: Floats,
    world_vm: Floats,
    dirty: Floats,
    plan: Floats,
    constants: Floats,
    disk_rate: float,
    memory_rate: float,
    limit_s: float,
    move: Floats,
    vm: Floats,
    v: int,
    outcome: Floats,
) -> float:
    """The VM is paused; what is left of memory and disk is sent side by side; seconds used."""
    factor = wire_factor(world_vm, constants, vm, v, DISK_REDUNDANCY)
    left = disk_left(vm, v)
    rate = disk_rate / factor
    if move[mig.PHASE] == mig.SETUP or move[mig.PHASE] == mig.LAST_COPY:
        sent = move[mig.SENT]
        used = advance_to_event(plan, dirty, 0.0, memory_rate, limit_s, move)
        memory_wire = move[mig.SENT] - sent
        outcome[MEMORY_WIRE, v] += memory_wire
        vm[SENT, v] += memory_wire
    elif rate > 0.0:
        used = min(left / rate, limit_s)
    else:
        used = limit_s if left > ROUNDING else 0.0
    wire = send_disk(vm, v, rate * used) * factor
    outcome[DISK_WIRE, v] += wire
    vm[SENT, v] += wire
    outcome[PAUSED, v] += used
    outcome[PRECOPY_S, v] += used
    if move[mig.PHASE] == mig.DONE and disk_left(vm, v) <= 1.0:
        vm[PHASE, v] = HAND_OVER
        vm[HAND_LEFT, v] = constants[C_HAND_OVER_TRIPS] * world[RTT] + constants[C_ROUTE_SWITCH]
    return used
