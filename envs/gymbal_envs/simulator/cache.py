"""Misses and fills of the last-level cache, and how programs divide a part of it that they share.

Programs that share a part of the cache evict each other's oldest lines, so that all lines of the
part live equally long: one *characteristic time* T. A program that runs alone fills a cache of size
c in ``F(c) = integral of dx / m(x)`` instructions, m its misses per instruction; so with T it holds
the c for which ``F(c) = instructions executed in T``, and T follows from the sizes adding up to the
part's (Che et al. 2002; HOTL, Xiang et al. 2013; models.md 1.1).

That is where occupancy tends to; `gymbal_envs.simulator.occupancy` says how fast.
"""

from __future__ import annotations

import math

import numpy as np

from gymbal_envs.simulator.compile import Floats, Ints, kernel, lean_kernel
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS, NUM_PROGRAM

LINE_BYTES = 64.0
LEAST_MISSES = 1e-15
"""Misses per instruction below which a curve counts as this: filling never ends, but is defined."""
LONGEST_S = 1e6
"""Lines that nobody evicts live this long."""
SETTLED = 1e-4
"""Part of the capacity by which occupancies may fail to add up."""
NEWTON_ROUNDS = 24
CURVE = NUM_PROGRAM
FILL = NUM_PROGRAM + NUM_LLC_SEGMENTS + 1
"""First columns of the two curves in a row of the table ``active``."""


@lean_kernel
def fill_instructions(mpi: Floats, segment_bytes: float, fill: Floats) -> None:
    """Instructions to fill j segments when running alone, ``fill`` (G + 1,), from ``mpi`` (G + 1,).

    Exact for misses that fall linearly within a segment: their mean is the logarithmic one.
    """
    fill[0] = 0.0
    for j in range(mpi.shape[0] - 1):
        left, right = max(mpi[j], LEAST_MISSES), max(mpi[j + 1], LEAST_MISSES)
        mean = left
        if left - right > 1e-6 * left:
            mean = (left - right) / math.log(left / right)
        fill[j + 1] = fill[j] + segment_bytes / LINE_BYTES / mean


@lean_kernel
def segment_of(fill: Floats, instructions: float, guess: int) -> int:
    """Segment that is being filled after so many instructions; the last one where all are full.

    Fast if it is the segment ``guess``, within 0..G - 1, or near it.
    """
    low, high = 0, fill.shape[0] - 1
    if fill[guess] <= instructions:
        low = guess
        if guess + 1 == high or instructions < fill[guess + 1]:
            return low
    else:
        high = guess
    while high - low > 1:
        middle = (low + high) // 2
        if fill[middle] <= instructions:
            low = middle
        else:
            high = middle
    return low


@lean_kernel
def filled_bytes(fill: Floats, segment_bytes: float, instructions: float) -> float:
    """Bytes held after so many instructions alone in the cache."""
    j = segment_of(fill, instructions, 0)
    part = (instructions - fill[j]) / (fill[j + 1] - fill[j])
    return segment_bytes * (j + min(part, 1.0))


@lean_kernel
def characteristic_time(
    rate: Floats,
    fill: Floats,
    members: Ints,
    count: int,
    segment_bytes: float,
    capacity_bytes: float,
    guess_s: float,
    held: Floats,
) -> float:
    """Seconds that a line lives in a part shared by the first ``count`` of ``members``.

    The bytes held after T seconds rise ever more slowly with T, so Newton's method converges from
    below once it is there.

    Args:
        rate: (V,) instructions/s.
        fill: (V, G + 1) instructions.
        members: indices of programs.
        count: of them.
        segment_bytes: of the curves.
        capacity_bytes: of the part.
        guess_s: where to start.
        held: (V,) bytes that each member holds, a guess at first; the answer adds up to the
            capacity but for `SETTLED` of it, or to less where nothing is ever evicted.
    """
    age = guess_s
    per_byte = 1.0 / segment_bytes
    for _ in range(NEWTON_ROUNDS):
        total, slope = 0.0, 0.0
        for k in range(count):
            i = int(members[k])
            instructions = rate[i] * age
            guess = min(int(held[i] * per_byte), fill.shape[1] - 2)
            j = segment_of(fill[i], instructions, guess)
            step = fill[i, j + 1] - fill[i, j]
            part = (instructions - fill[i, j]) / step
            held[i] = segment_bytes * (j + min(part, 1.0))
            total += held[i]
            if part < 1.0:
                slope += segment_bytes * rate[i] / step
        if abs(total - capacity_bytes) <= SETTLED * capacity_bytes:
            return age
        if slope <= 0.0:  # all that they ever touch is held, and it fits
            age = LONGEST_S if total < capacity_bytes else 0.5 * age
        else:
            age = max(age + (capacity_bytes - total) / slope, 0.1 * age)
        if age >= LONGEST_S:
            break
    age = min(age, LONGEST_S)
    for k in range(count):
        i = int(members[k])
        held[i] = filled_bytes(fill[i], segment_bytes, rate[i] * age)
    return age


@kernel
def natural_partition(
    rate: Floats,
    fill: Floats,
    segment_bytes: float,
    capacity_bytes: float,
    guess_s: float,
    occupancy: Floats,
) -> float:
    """Steady state of one part of the cache that all programs share.

    Args:
        rate: (n,) instructions/s.
        fill: (n, G + 1) instructions, see `fill_instructions`.
        segment_bytes: of the curves.
        capacity_bytes: of the part.
        guess_s: where the search starts, above 0.
        occupancy: (n,) bytes, the answer.

    Returns:
        The characteristic time in seconds; `LONGEST_S` where nothing is ever evicted.
    """
    count = rate.shape[0]
    members = np.arange(count)
    occupancy[:] = 0.0
    return characteristic_time(
        rate, fill, members, count, segment_bytes, capacity_bytes, guess_s, occupancy
    )


@lean_kernel
def misses_per_instruction(row: Floats, segment_bytes: float, held_bytes: float) -> float:
    """Of the program in ``row`` of the table ``active``, holding so many bytes; linear between."""
    position = held_bytes / segment_bytes
    j = min(int(position), NUM_LLC_SEGMENTS - 1)
    left = row[CURVE + j]
    return left + (row[CURVE + j + 1] - left) * min(position - j, 1.0)
