"""Small things that every draw of a scenario needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float, float]


def log_uniform(rng: np.random.Generator, bounds: Range, n: int) -> Floats:
    """(n,) numbers within bounds above 0, every ratio as likely as any other."""
    drawn: Floats = np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), n))
    return drawn


def in_slots(values: Floats, slots: NDArray[np.int64], num_slots: int) -> Floats:
    """(n, ...) of VMs to (V, ...) of slots, 0 where no VM is."""
    rows = np.zeros((num_slots, *values.shape[1:]))
    rows[slots] = values
    return rows
