"""Columns that every task about many hosts has: a host among the others of its whole."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.centre.telemetry import HOST_STATES
from gymbal_runtime.quantities import BY_DEFINITION, Quantity
from gymbal_runtime.telemetry import Bools, Floats

EIGHT_TIMES = "8x apart"
COUNT = "log1p(x) / log1p(63)"
MANY = "64: more than one host runs"

STATE_QUANTITIES: tuple[Quantity, ...] = (
    *(
        Quantity(f"is_{name}", "1", 0, 1, f"1 in state {name}", BY_DEFINITION)
        for name in HOST_STATES
    ),
    Quantity("draining", "1", 0, 1, "1 where it sleeps once it is empty", BY_DEFINITION),
    Quantity("state_s", "s", 0, 1, "in this state: log1p(x / 60 s) / log1p(1440)", "one day"),
)
"""Columns of a host that can sleep."""


def flag(where: Bools) -> Floats:
    """1 where it is so, else 0."""
    return where.astype(np.float64)


def against_mean(values: Floats, exists: Bools) -> Floats:
    """log2 of each host's value over the mean of the hosts that exist, / 3; (C, H)."""
    count = np.maximum(exists.sum(axis=1), 1)
    mean = np.where(exists, values, 0.0).sum(axis=1) / count
    apart: Floats = np.log2(values / mean[:, None]) / 3.0
    return apart


def turn(load: Floats, counted: Bools) -> Floats:
    """Place by load among the hosts that count, 0 first, over their number; else 0; (C, H)."""
    key = np.where(counted, load, np.inf)
    place = np.argsort(np.argsort(key, axis=1, kind="stable"), axis=1, kind="stable")
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    return np.where(counted, place / count, 0.0)


def imbalance(load: Floats, running: Bools) -> Floats:
    """Standard deviation of (C, H) loads over the hosts that are on, (C,)."""
    count = np.maximum(running.sum(axis=1), 1)
    mean = np.where(running, load, 0.0).sum(axis=1) / count
    off = np.where(running, load - mean[:, None], 0.0)
    deviation: Floats = np.sqrt((off * off).sum(axis=1) / count)
    return deviation
