"""What a hypervisor sees: sampled, delayed and noisy; the working set itself is not visible.

Guest statistics are sums since the last sample. The active sampler marks 100 random pages of a VM
and counts those touched in 30 s; its estimate is the largest of a slow average, a fast one and the
present one: fast up, slow down (models.md 3.1). The LRU histogram counts hits by stack distance in
eighths of the present allocation; distances beyond it are invisible (models.md 1.2).
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.compile import Floats, Streams, lean_kernel
from gymbal_envs.simulator.counters import sample_counters
from gymbal_envs.simulator.layout import (
    ACTUAL,
    C_ACTIVE_PAGES,
    C_ACTIVE_PERIOD,
    C_DELAY,
    C_FAST_GAIN,
    C_LRU_NOISE,
    C_SAMPLE,
    C_SLOW_GAIN,
    C_TICK,
    CACHE_SPEED,
    COLD,
    DIRTY_FRAC,
    FAST_ACTIVE,
    GRANTED_CORES,
    HELD_BACK,
    HOT,
    HOT_SET,
    IO_SPEED,
    KERNEL,
    LEVEL,
    LOST,
    LOST_CACHE,
    LOST_IO,
    LOST_MEMORY,
    LOST_MONITOR,
    MONITOR_COST,
    NUM_MEMORY_SENSED,
    NUM_SENSED,
    NUM_SLICES,
    PENDING_AT,
    PENDING_WAIT,
    PRESENT,
    SAMPLED_AT,
    SENSED_ACTIVE,
    SENSED_ACTUAL,
    SENSED_CPU,
    SENSED_FAULTS,
    SENSED_IN,
    SENSED_LRU,
    SENSED_OUT,
    SENSED_PSI,
    SENSED_STEAL,
    SENSED_SWAPPED,
    SENSED_USABLE,
    SINCE_ACTIVE,
    SINCE_SAMPLE,
    SLOW_ACTIVE,
    SPEED,
    STALL_S,
    SUM_CPU,
    SUM_FAULTS,
    SUM_IN,
    SUM_OUT,
    SUM_STALLED,
    SUM_STOLEN,
    SUM_WANTED,
    TICK,
    TOUCH_RATE,
    VISIBLE_WAIT,
    WAIT,
    WAKE_SPEED,
    WANTED_CORES,
    WHOLE,
    WORKING_SET,
)
from gymbal_envs.simulator.memory import free_bytes, miss_ratio, swapped_bytes
from gymbal_envs.simulator.monitors import adapt_hot_set
from gymbal_runtime.random_numbers import normal


@lean_kernel
def account(
    world_vm: Floats, world_host: Floats, constants: Floats, vm: Floats, outcome: Floats
) -> None:
    """Add this tick to the counters and to the outcome."""
    tick = constants[C_TICK]
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        speed = 0.0 if vm[STALL_S, v] > 0.0 else vm[SPEED, v]
        cost = vm[MONITOR_COST, v]
        wanted, granted = vm[WANTED_CORES, v], vm[GRANTED_CORES, v]
        served = granted / wanted
        beside = 1.0
        if world_host[WHOLE] > 0.0:
            beside = vm[CACHE_SPEED, v] * vm[IO_SPEED, v] * vm[WAKE_SPEED, v]  # 1 where it is off
            outcome[LOST_CACHE, v] += (1.0 - vm[CACHE_SPEED, v]) * tick
            outcome[LOST_IO, v] += (1.0 - vm[IO_SPEED, v]) * tick
        ran = 1.0 - vm[HELD_BACK, v]
        outcome[LOST, v] += (1.0 - served * speed * beside * (1.0 - cost) * ran) * tick
        outcome[LOST_MEMORY, v] += (1.0 - speed) * tick * ran
        outcome[LOST_MONITOR, v] += cost * tick
        vm[SUM_CPU, v] += granted * speed * tick * ran
        vm[SUM_WANTED, v] += wanted * tick
        vm[SUM_STOLEN, v] += (wanted - granted) * tick
        vm[SUM_STALLED, v] += (1.0 - speed) * tick * ran


@lean_kernel
def sense(
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    active: Floats,
    constants: Floats,
    vm: Floats,
    host: Floats,
    pending: Floats,
    visible: Floats,
    streams: Streams,
    w: int,
) -> None:
    """Advance the sensors' clocks: publish the sample under way, take the next one."""
    now = host[TICK] * constants[C_TICK]
    host[SINCE_SAMPLE] += constants[C_TICK]
    host[SINCE_ACTIVE] += constants[C_TICK]
    if host[SINCE_ACTIVE] >= constants[C_ACTIVE_PERIOD]:
        host[SINCE_ACTIVE] = 0.0
        _sample_active(world_vm, constants, vm, streams, w)
    if host[PENDING_AT] >= 0.0 and now - host[PENDING_AT] >= constants[C_DELAY]:
        publish(world_host, host, pending, visible)
    if host[SINCE_SAMPLE] >= constants[C_SAMPLE]:
        sample(world_vm, world_host, curve, active, constants, vm, host, pending, streams, w)
        host[PENDING_AT] = now
        if constants[C_DELAY] <= 0.0:
            publish(world_host, host, pending, visible)


@lean_kernel
def publish(world_host: Floats, host: Floats, pending: Floats, visible: Floats) -> None:
    """Make the sample under way the visible one."""
    rows = NUM_SENSED if world_host[WHOLE] > 0.0 else NUM_MEMORY_SENSED
    for q in range(rows):
        for v in range(visible.shape[1]):
            visible[q, v] = pending[q, v]
    host[SAMPLED_AT] = host[PENDING_AT]
    host[VISIBLE_WAIT] = host[PENDING_WAIT]
    host[PENDING_AT] = -1.0


@lean_kernel
def _sample_active(
    world_vm: Floats, constants: Floats, vm: Floats, streams: Streams, w: int
) -> None:
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0 or vm[LEVEL, v] < 1.0:
            continue
        touched = min(vm[HOT, v] / vm[ACTUAL, v], 1.0)
        error = math.sqrt(touched * (1.0 - touched) / constants[C_ACTIVE_PAGES])
        seen = min(max(touched + error * normal(streams, w), 0.0), 1.0)
        vm[SLOW_ACTIVE, v] += constants[C_SLOW_GAIN] * (seen - vm[SLOW_ACTIVE, v])
        vm[FAST_ACTIVE, v] += constants[C_FAST_GAIN] * (seen - vm[FAST_ACTIVE, v])
        # the present estimate may only raise the answer
        vm[FAST_ACTIVE, v] = max(vm[FAST_ACTIVE, v], seen)


@lean_kernel
def sample(
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    active: Floats,
    constants: Floats,
    vm: Floats,
    host: Floats,
    pending: Floats,
    streams: Streams,
    w: int,
) -> None:
    """Take a sample of every VM and start new sums."""
    period = max(host[SINCE_SAMPLE], constants[C_TICK])
    host[SINCE_SAMPLE] = 0.0
    host[PENDING_WAIT] = math.nan
    faults = 0.0
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        faults += vm[SUM_FAULTS, v]
        clean = vm[COLD, v] * (1.0 - world_vm[DIRTY_FRAC, v])
        pending[SENSED_USABLE, v] = free_bytes(world_vm, world_host, vm, v) + clean
        pending[SENSED_ACTUAL, v] = vm[ACTUAL, v]
        pending[SENSED_IN, v] = vm[SUM_IN, v] / period
        pending[SENSED_OUT, v] = vm[SUM_OUT, v] / period
        pending[SENSED_SWAPPED, v] = swapped_bytes(vm, v)
        pending[SENSED_FAULTS, v] = vm[SUM_FAULTS, v] / period
        pending[SENSED_CPU, v] = vm[SUM_CPU, v] / period
        pending[SENSED_STEAL, v] = vm[SUM_STOLEN, v] / max(vm[SUM_WANTED, v], 1e-9)
        pending[SENSED_PSI, v] = min(vm[SUM_STALLED, v] / period, 1.0)
        pending[SENSED_ACTIVE, v] = math.nan
        if vm[LEVEL, v] >= 1.0:
            touched = max(vm[SLOW_ACTIVE, v], vm[FAST_ACTIVE, v])
            pending[SENSED_ACTIVE, v] = touched * vm[ACTUAL, v]
        _histogram(world_vm, curve, constants, vm, pending, streams, w, v)
        for q in range(SUM_IN, SUM_STALLED + 1):
            vm[q, v] = 0.0
    if faults > 0.0:
        host[PENDING_WAIT] = host[WAIT]
    if world_host[WHOLE] > 0.0:
        sample_counters(world_vm, world_host, active, constants, vm, pending, streams, w, period)
    adapt_hot_set(world_vm, curve, constants, vm)


@lean_kernel
def _histogram(
    world_vm: Floats,
    curve: Floats,
    constants: Floats,
    vm: Floats,
    pending: Floats,
    streams: Streams,
    w: int,
    v: int,
) -> None:
    """Hits/s by stack distance. The guest kernel's pages are nearest, then the hot ones.

    Slice k ends at (k + 1) / NUM_SLICES of the allocation; kernel hits are not counted, and those
    in an untraced hot set are not seen. NaN where the monitor is off.
    """
    if vm[LEVEL, v] < 2.0:
        for k in range(NUM_SLICES):
            pending[SENSED_LRU + k, v] = math.nan
        return
    speed = 0.0 if vm[STALL_S, v] > 0.0 else vm[SPEED, v]
    speed *= vm[CACHE_SPEED, v]
    rate = world_vm[TOUCH_RATE, v] * speed * vm[GRANTED_CORES, v] / vm[WANTED_CORES, v]
    working_set = max(vm[WORKING_SET, v], 1.0)
    before = miss_ratio(curve, v, vm[HOT_SET, v])
    reached = -1.0
    for k in range(NUM_SLICES):
        reach = vm[ACTUAL, v] * (k + 1) / NUM_SLICES - world_vm[KERNEL, v]
        reach = max(min(max(reach, 0.0), vm[HOT, v]), vm[HOT_SET, v] * working_set)
        hits = 0.0
        if reach != reached:  # most slices of a large allocation are empty
            after = miss_ratio(curve, v, reach / working_set)
            hits = rate * (before - after)
            before, reached = after, reach
        if hits > 0.0:  # noise is dear
            hits *= max(1.0 + constants[C_LRU_NOISE] * normal(streams, w), 0.0)
        pending[SENSED_LRU + k, v] = hits
