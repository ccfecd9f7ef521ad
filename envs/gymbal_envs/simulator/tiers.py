"""The swap device that the VMs of a host share: latency, queueing, and the loop with progress.

A VM that misses ``b`` times per second of unstalled time waits ``b W / overlap`` seconds for each
of them, so it progresses at ``s = 1 / (1 + b W / overlap)`` and faults ``s b`` times per second;
the faults of all VMs load the device, whose response time ``W`` grows with its utilisation. The
fixed point is the thrashing knee (models.md 1.3).
"""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    BUSY,
    C_PAGE,
    FAR_SHARE,
    FAR_STALL,
    HELD_BACK,
    MISS_RATE,
    OVERLAP,
    SPEED,
    TIER_CLUSTER,
    TIER_LATENCY,
    TIER_READ,
    TIER_SERVERS,
    TIER_USEFUL,
    WAIT,
)

NEWTON_ROUNDS = 4
SETTLED = 1e-9
"""Relative change of the response time below which another round is not worth it."""


@lean_kernel
def service_time(world_host: Floats, constants: Floats) -> float:
    """Device seconds that one fault occupies: of its slots or its bandwidth, whichever binds."""
    by_slots = world_host[TIER_LATENCY] / world_host[TIER_SERVERS]
    by_bytes = world_host[TIER_CLUSTER] * constants[C_PAGE] / world_host[TIER_READ]
    return max(by_slots, by_bytes)


@lean_kernel
def settle_swap_device(
    world_vm: Floats, world_host: Floats, constants: Floats, vm: Floats, host: Floats
) -> None:
    """Solve the device's response time and every VM's speed from the miss rates.

    With ``W = L + S u / (1 - u)`` (M/M/1 beyond the unloaded latency L, service time S) the root of
    ``h(W) = S sum_i s_i(W) b_i - (W - L) / (W - L + S)`` is wanted. ``h`` falls and is convex, so
    Newton's method converges from anywhere; the previous tick's response time is where it starts.

    Faults that go to another host's memory wait as long as FAR_STALL says and do not load the
    device; neither does the part of the tick in which a VM is held back.
    """
    num_vms = vm.shape[1]
    latency = world_host[TIER_LATENCY]
    load = 0.0
    for v in range(num_vms):
        load += vm[MISS_RATE, v]
    if load <= 0.0:
        host[BUSY] = 0.0
        host[WAIT] = latency
        for v in range(num_vms):
            vm[SPEED, v] = 1.0
        return
    service = service_time(world_host, constants)
    per_miss = 1.0 / world_host[TIER_USEFUL]
    wait = host[WAIT]
    for _ in range(NEWTON_ROUNDS):
        queued = wait - latency
        value = -queued / (queued + service)
        slope = -service / ((queued + service) * (queued + service))
        for v in range(num_vms):
            near = 1.0 - vm[FAR_SHARE, v]
            stall = vm[MISS_RATE, v] * per_miss / world_vm[OVERLAP, v]
            faults = vm[MISS_RATE, v] * per_miss * near * (1.0 - vm[HELD_BACK, v])
            speed = 1.0 / (1.0 + stall * (near * wait + vm[FAR_STALL, v]))
            value += service * faults * speed
            slope -= service * faults * stall * near * speed * speed
        before = wait
        wait = max(wait - value / slope, latency)
        if abs(wait - before) <= SETTLED * wait:
            break
    host[WAIT] = wait
    host[BUSY] = (wait - latency) / (wait - latency + service)
    for v in range(num_vms):
        stall = vm[MISS_RATE, v] * per_miss / world_vm[OVERLAP, v]
        seconds = (1.0 - vm[FAR_SHARE, v]) * wait + vm[FAR_STALL, v]
        vm[SPEED, v] = 1.0 / (1.0 + stall * seconds)
