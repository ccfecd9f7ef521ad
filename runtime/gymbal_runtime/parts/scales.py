"""How telemetry becomes columns: the arithmetic that the parts have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def known(values: Floats) -> Floats:
    """The values with 0 for what was not measured."""
    known: Floats = np.where(np.isnan(values), 0.0, values)
    return known


def log_scaled(value: Floats, unit: float, full_scale: float) -> Floats:
    """log1p(value / unit), 1 at ``unit * full_scale``."""
    scaled: Floats = np.log1p(value / unit) / np.log1p(full_scale)
    return scaled


def total(value: Floats, present: NDArray[np.bool_]) -> Floats:
    """Sum over the VMs of each host, (H,)."""
    summed: Floats = np.where(present, value, 0.0).sum(axis=1)
    return summed
