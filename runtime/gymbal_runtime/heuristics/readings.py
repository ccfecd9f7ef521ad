"""How the heuristics read telemetry: bounds, and needs that are never unknown."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.telemetry import Bools, Floats, Telemetry

MIB = 2.0**20
"""Bytes in a MiB."""


def bounds(telemetry: Telemetry) -> tuple[Floats, Floats]:
    """Floors and ceilings of the balloons, (H, V) bytes each, 0 where absent."""
    high = np.where(telemetry.present, telemetry.memory_max_bytes, 0.0)
    low = np.where(telemetry.present, telemetry.memory_min_bytes, 0.0)
    return np.minimum(low, high), high


def actual_bytes(telemetry: Telemetry) -> Floats:
    """What each guest holds, (H, V) bytes, 0 where absent."""
    return np.where(telemetry.present, telemetry.actual_bytes, 0.0)


def shares(telemetry: Telemetry) -> Floats:
    """The owners' weights, (H, V), 1 where absent."""
    return np.where(telemetry.present, telemetry.shares, 1.0)


def known(values: Floats, otherwise: Floats | float, present: Bools) -> Floats:
    """``values`` where a VM is present and they were measured, else ``otherwise``; (H, V)."""
    return np.where(present & ~np.isnan(values), values, otherwise)


def used_bytes(telemetry: Telemetry) -> Floats:
    """Memory that a guest could not give without swapping, (H, V) bytes, 0 where absent.

    ``actual - usable``; a guest that reports nothing is taken to need all that it holds.
    """
    actual = actual_bytes(telemetry)
    usable = known(telemetry.usable_bytes, 0.0, telemetry.present)
    return np.maximum(actual - usable, 0.0)


def host_free_frac(telemetry: Telemetry) -> Floats:
    """Fraction of the budget that no guest holds, (H,); negative where guests hold more.

    The heuristics below were written for hosts that see their own free memory. Telemetry knows
    what may be divided and what is held, which is the same thing once the host's own share is out.
    """
    held: Floats = np.ascontiguousarray(actual_bytes(telemetry)).sum(axis=-1)
    return 1.0 - held / telemetry.budget_bytes
