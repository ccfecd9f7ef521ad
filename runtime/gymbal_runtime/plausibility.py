"""Which hosts of a record may be acted upon, and what can be saved of the others.

`gymbal_runtime.telemetry.implausible` says in words what is wrong with a whole record; this file
answers per host, in one vectorised pass, because guard and training ask at every decision.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import (
    CONFIGURED_FIELDS,
    CURVE_FIELDS,
    HOST_ABILITY_FIELDS,
    MEASURED_FIELDS,
    UNBOUNDED_FIELDS,
    Telemetry,
)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

LARGEST = 2.0**60
"""No host has an exbibyte: a larger value is in a wrong unit, and its sums could overflow."""

_PLAIN_MEASURED = tuple(
    name for name in MEASURED_FIELDS if name not in {*CURVE_FIELDS, *UNBOUNDED_FIELDS}
)


def plausible_hosts(telemetry: Telemetry) -> Bools:
    """Hosts that `implausible` has nothing to say about.

    Args:
        telemetry: record of H hosts with V slots.

    Returns:
        (H,) True where budget, clock and the configured values of every present VM make sense and
        no measured value is negative or infinite. NaN in a measured field is legal (not measured),
        and so is infinity in one of `UNBOUNDED_FIELDS`.
    """
    budget = telemetry.budget_bytes
    host = (budget > 0) & (budget <= LARGEST) & (telemetry.age_s >= 0)
    host &= np.isfinite(telemetry.time_s)
    wrong = ~configured_vms(telemetry)
    measured = np.stack([getattr(telemetry, name) for name in _PLAIN_MEASURED])
    wrong |= _impossible(measured).any(axis=0)
    for name in UNBOUNDED_FIELDS:
        wrong |= getattr(telemetry, name) < 0
    for name in CURVE_FIELDS:
        wrong |= _impossible(getattr(telemetry, name)).any(axis=2)
    return host & ~(wrong & telemetry.present).any(axis=1)


def configured_vms(telemetry: Telemetry) -> Bools:
    """(H, V) True where shares, floor, ceiling and the held memory are usable numbers."""
    configured = np.stack([getattr(telemetry, name) for name in CONFIGURED_FIELDS])
    usable = ((configured >= 0) & (configured <= LARGEST)).all(axis=0)
    usable &= telemetry.shares > 0
    usable &= telemetry.memory_min_bytes <= telemetry.memory_max_bytes
    return np.asarray(usable, dtype=np.bool_)


def without_impossible(telemetry: Telemetry) -> tuple[Telemetry, list[str]]:
    """The same record with impossible measurements marked as not measured.

    A heuristic can decide without a sensor, so one mad sensor need not stop it. Configured values
    are left alone: nobody can decide without them.

    Returns:
        The record, and the names of the fields in which a present VM (or the host) had a negative
        or infinite value.
    """
    repaired: dict[str, Any] = {}
    found: list[str] = []
    for name in ("swap_latency_s", *HOST_ABILITY_FIELDS, *MEASURED_FIELDS):
        values = getattr(telemetry, name)
        impossible = values < 0 if name in UNBOUNDED_FIELDS else _impossible(values)
        if not impossible.any():
            continue
        repaired[name] = np.where(impossible, np.nan, values)
        if values.ndim == 1 or impossible[telemetry.present].any():
            found.append(name)
    return (replace(telemetry, **repaired) if repaired else telemetry), found


def _impossible(values: Floats) -> Bools:
    return np.asarray((values < 0) | (values == np.inf), dtype=np.bool_)
