"""Counter-based random numbers: each world has its own stream, whatever else is in the batch.

SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): state += golden gamma, then two xor-multiply rounds.
"""

from __future__ import annotations

import math

import numpy as np

from gymbal_runtime.machine_code import Streams, lean_kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


@lean_kernel
def uniform(streams: Streams, w: int) -> float:
    """Next number in [0, 1) of world ``w``; ``streams`` (B,) uint64 is advanced."""
    streams[w] += _GAMMA
    z = streams[w]
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * _TO_UNIT


@lean_kernel
def normal(streams: Streams, w: int) -> float:
    """Next standard normal number of world ``w`` (Box-Muller; the twin is thrown away)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(streams, w)))
    return radius * math.cos(2.0 * math.pi * uniform(streams, w))
