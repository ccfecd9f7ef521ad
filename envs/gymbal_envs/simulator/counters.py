"""Hardware counters of a sampling period: cache, cycles, page walks, I/O, and LLC miss curves."""

from __future__ import annotations

import math

from gymbal_envs.simulator.cache import misses_per_instruction
from gymbal_envs.simulator.compile import Floats, Streams, lean_kernel
from gymbal_envs.simulator.layout import (
    C_COUNTER_NOISE,
    C_LLC_NOISE,
    C_WALK,
    LEVEL,
    LLC_BYTES,
    NUM_LLC_POINTS,
    NUM_LLC_SEGMENTS,
    OCCUPANCY,
    PRESENT,
    RATE,
    SENSED_CYCLES,
    SENSED_INSTRUCTIONS,
    SENSED_IO,
    SENSED_IO_WAIT,
    SENSED_LLC,
    SENSED_MISSES,
    SENSED_OCCUPANCY,
    SENSED_REFERENCES,
    SENSED_STALL,
    SENSED_WAKE,
    SENSED_WALK,
    SUM_CYCLES,
    SUM_INSTRUCTIONS,
    SUM_IO,
    SUM_IO_WANTED,
    SUM_MISSES,
    SUM_REFERENCES,
    SUM_STALL_CYCLES,
    SUM_WAKE,
    TOUCH_RATE,
    WORKING_SET,
)
from gymbal_runtime.random_numbers import normal

TLB_REACH_BYTES = 1536 * 4096.0
"""Second-level TLB of a Skylake server core: 1536 entries of 4 KiB."""
REFERENCE_TOUCHES = 20_000.0


@lean_kernel
def sample_counters(
    world_vm: Floats, world_host: Floats, active: Floats, constants: Floats, vm: Floats,
    pending: Floats, streams: Streams, w: int, period: float,
) -> None:  # fmt: skip
    """Counters of the last ``period`` seconds into ``pending``; starts new sums."""
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        noise = max(1.0 + constants[C_COUNTER_NOISE] * normal(streams, w), 0.0)
        pending[SENSED_WALK, v] = page_walks(world_vm, constants, vm, v) * noise
        pending[SENSED_WAKE, v] = vm[SUM_WAKE, v] / period
        pending[SENSED_IO, v] = vm[SUM_IO, v] / period
        wanted = vm[SUM_IO_WANTED, v]
        pending[SENSED_IO_WAIT, v] = 1.0 - vm[SUM_IO, v] / wanted if wanted > 0.0 else 0.0
        if world_host[LLC_BYTES] > 0.0:
            pending[SENSED_INSTRUCTIONS, v] = vm[SUM_INSTRUCTIONS, v] / period
            pending[SENSED_CYCLES, v] = vm[SUM_CYCLES, v] / period
            pending[SENSED_STALL, v] = vm[SUM_STALL_CYCLES, v] / max(vm[SUM_CYCLES, v], 1.0)
            pending[SENSED_REFERENCES, v] = vm[SUM_REFERENCES, v] / period
            pending[SENSED_MISSES, v] = vm[SUM_MISSES, v] / period
            pending[SENSED_OCCUPANCY, v] = vm[OCCUPANCY, v]
            _sample_curve(world_host, active, constants, vm, pending, streams, w, v)
        for q in range(SUM_INSTRUCTIONS, SUM_WAKE + 1):
            vm[q, v] = 0.0


@lean_kernel
def page_walks(world_vm: Floats, constants: Floats, vm: Floats, v: int) -> float:
    """Fraction of cycles in page-table walks: each doubling of the working set costs some more.

    A shape, not a measurement: page tables of larger sets miss in more levels of the cache. It
    tells that a working set changed, not how large it is: the touch rate is the program's own.
    """
    doublings = math.log2(1.0 + vm[WORKING_SET, v] / TLB_REACH_BYTES)
    intensity = math.sqrt(world_vm[TOUCH_RATE, v] / REFERENCE_TOUCHES)
    return min(constants[C_WALK] * doublings * intensity, 0.5)


@lean_kernel
def _sample_curve(
    world_host: Floats, active: Floats, constants: Floats, vm: Floats, pending: Floats,
    streams: Streams, w: int, v: int,
) -> None:  # fmt: skip
    """Misses/s had VM ``v`` (k + 1) / NUM_LLC_POINTS of the cache, at its present rate."""
    if vm[LEVEL, v] < 2.0:
        for k in range(NUM_LLC_POINTS):
            pending[SENSED_LLC + k, v] = math.nan
        return
    segment = world_host[LLC_BYTES] / NUM_LLC_SEGMENTS
    for k in range(NUM_LLC_POINTS):
        held = world_host[LLC_BYTES] * (k + 1) / NUM_LLC_POINTS
        misses = vm[RATE, v] * misses_per_instruction(active[v], segment, held)
        noise = max(1.0 + constants[C_LLC_NOISE] * normal(streams, w), 0.0)
        pending[SENSED_LLC + k, v] = misses * noise
