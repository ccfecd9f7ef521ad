"""Exponential moving averages of values that come at uneven times."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.telemetry import Floats


def smoothed(mean: Floats, value: Floats, elapsed_s: Floats, time_constant_s: float) -> Floats:
    """A moving average after ``elapsed_s`` more seconds.

    Args:
        mean: (H, V) the average so far, NaN where there is none: then the value is the average.
        value: (H, V) what was measured, NaN where nothing was: then the average stays.
        elapsed_s: (H, 1) or (H, V) s since the last value, NaN where unknown.
        time_constant_s: s; 0 does not smooth.
    """
    gain = -np.expm1(-np.nan_to_num(elapsed_s) / max(time_constant_s, 1e-9))
    moved = mean + gain * (value - mean)
    return np.where(np.isnan(mean), value, np.where(np.isnan(value), mean, moved))
