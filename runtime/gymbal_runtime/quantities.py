"""Entries of the units tables: every number that a policy sees, with unit, bounds and their source.

A feature is a telemetry quantity divided by a natural scale of the same host, squeezed by a fixed
transform and clipped. Nothing is learned from data here, so there are no statistics to ship. The
tables themselves are in `gymbal_runtime.parts`, one for each resource.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BY_DEFINITION = "by definition"
CLIP = "clip: larger values mean the same to a decision"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One entry of an observation row."""

    name: str
    unit: str  # what the number is before the transform
    low: float
    high: float
    transform: str  # in words; the part is its code
    source: str  # where the bound comes from


def bounds_of(quantities: tuple[Quantity, ...]) -> tuple[Floats, Floats]:
    """Lower and upper bound of each, (N,); 0 is always allowed, it stands for *not measured*."""
    low = np.array([min(q.low, 0.0) for q in quantities], dtype=np.float64)
    return low, np.array([q.high for q in quantities], dtype=np.float64)


def bounded(values: Floats, low: Floats, high: Floats) -> Floats:
    """NaN and infinity as 0, clipped to a table's bounds (N,) along the last axis."""
    finite = np.where(np.isfinite(values), values, 0.0)
    within: Floats = np.minimum(np.maximum(finite, low), high)
    return within
