"""Small things that every draw of a scenario needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.split import SplitName

Floats = NDArray[np.float64]
Range = tuple[float, float]

_SPLIT_KEY = {"train": 0, "validation": 1, "test": 2}


def random_stream(seed: int, split: SplitName, number: int, part: int = 0) -> np.random.Generator:
    """Random numbers of scenario ``number``: the same whenever and wherever it is drawn.

    ``part`` separates what must not depend on each other, such as the hosts of a cluster.
    """
    key = np.array([(seed << 2) + _SPLIT_KEY[split], number], dtype=np.uint64)
    counter = np.array([0, 0, 0, part], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def log_uniform(rng: np.random.Generator, bounds: Range, n: int) -> Floats:
    """(n,) numbers within bounds above 0, every ratio as likely as any other."""
    drawn: Floats = np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), n))
    return drawn


def in_slots(values: Floats, slots: NDArray[np.int64], num_slots: int) -> Floats:
    """(n, ...) of VMs to (V, ...) of slots, 0 where no VM is."""
    rows = np.zeros((num_slots, *values.shape[1:]))
    rows[slots] = values
    return rows
