"""The guard's rules for the last-level cache: a partition that is impossible is not made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.llc import as_table, llc_violations
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


def guard_llc(
    command: Command, telemetry: Telemetry, decidable: Bools
) -> tuple[dict[str, Floats], Counts]:
    """Leave hosts alone whose cache cannot be divided as told. Never raises on any numbers.

    The parts of a cache hang together, so that a host is told all of it or nothing: one value that
    is missing or impossible, or one VM that must not be told anything, leaves the host as it is.

    Args:
        command: anything.
        telemetry: the record it was decided on.
        decidable: (H, V) VMs that may be told anything at all.

    Returns:
        ``llc_class`` and ``llc_units`` (H, V), ``NO_CHANGE`` where left alone, and the number of
        VMs of each host whose part was impossible, (H,).
    """
    present = telemetry.present
    violations = llc_violations(command.llc_class, command.llc_units, telemetry)
    broken = np.logical_or.reduce(list(violations.values()))
    refused = np.where(broken, decidable.sum(axis=1), 0).astype(np.int64)
    silent = np.full(present.shape, NO_CHANGE)
    classes, units = as_table(command.llc_class), as_table(command.llc_units)
    if classes is None or units is None or violations["shape"].any():
        return {"llc_class": silent, "llc_units": silent.copy()}, refused
    told = present & (~broken & (decidable | ~present).all(axis=1))[:, None]
    return {
        "llc_class": np.where(told, classes, NO_CHANGE),
        "llc_units": np.where(told, units, NO_CHANGE),
    }, refused
