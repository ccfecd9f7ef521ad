"""What the parts' corrections start from, and how their changes are listed."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.parts.part import Floats
from gymbal_runtime.quantities import Quantity
from gymbal_runtime.telemetry import Telemetry


def base_setting(proposed: Floats | None, present_setting: Floats) -> Floats:
    """What a correction starts from, (H, V): the proposal, and where it says nothing what is."""
    if proposed is None:
        return present_setting
    return np.where(np.isnan(proposed), present_setting, proposed)


def weighted_mean(value: Floats, telemetry: Telemetry) -> Floats:
    """Share-weighted mean (H,) of a value (H, V) over the VMs of which it is known; else NaN."""
    counted = telemetry.present & np.isfinite(value)
    total = host_sum(telemetry.shares, counted)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = host_sum(telemetry.shares * value, counted) / total
    return np.where(total > 0.0, mean, np.nan)


def tracked_change(name: str) -> Quantity:
    """The units-table entry of the change of a column against an earlier decision."""
    return Quantity(f"{name}_change", "1", -1, 1, "now - then", "clip of the scaled column")
