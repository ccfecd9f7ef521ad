"""The guard's rule for balloons that take their time: memory is given when it is there.

A target is only a wish until the guest has carried it out. Giving one guest what another still has
to hand over would take the host beyond its budget for as long as the other takes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_ROUNDING = 1e-9


@np.errstate(all="ignore")
def within_room(
    command: Command, telemetry: Telemetry, outstanding: Floats
) -> tuple[Command, Counts]:
    """Cut growth to the memory that nobody holds and nobody was promised.

    Afterwards, for every host, the sum over its VMs of the larger of what it holds and what it was
    last told is at most the larger of the budget and that sum before. Growth is cut by the same
    fraction for all; a VM that would then still be below its floor waits.

    Args:
        command: from `gymbal_runtime.guard.guard`, with finite targets or ``NO_CHANGE``.
        telemetry: the record it was decided on.
        outstanding: (H, V) bytes that each VM was told last; NaN where nothing was.

    Returns:
        The command, and the number of VMs of each host that get less than decided, (H,).
    """
    targets, present = command.balloon_bytes, telemetry.present
    moving = present & np.isfinite(targets)
    actual = np.where(present & np.isfinite(telemetry.actual_bytes), telemetry.actual_bytes, 0.0)
    promised = np.where(present, np.fmax(actual, outstanding), 0.0)
    growth = np.where(moving, np.maximum(targets - actual, 0.0), 0.0)
    taken = np.where(moving, actual, promised).sum(axis=1)
    free = np.maximum(telemetry.budget_bytes - taken, 0.0)
    room = np.maximum(free - telemetry.budget_bytes * _ROUNDING, 0.0)
    wanted = growth.sum(axis=1)
    granted = np.where(wanted > room, room / np.maximum(wanted, 1.0), 1.0)
    cut = (growth > 0) & (granted < 1.0)[:, None]
    less = actual + growth * granted[:, None]
    waits = (granted <= 0.0)[:, None] | (less < telemetry.memory_min_bytes)
    # Who waits is told to stay where it is, so that an earlier, larger promise is taken back.
    kept = np.where(actual >= telemetry.memory_min_bytes, actual, NO_CHANGE)
    settled = np.where(cut, np.where(waits, kept, less), targets)
    short = wanted > free * (1 + _ROUNDING)  # beyond what rounding alone would cut
    return replace(command, balloon_bytes=settled), (cut & short[:, None]).sum(axis=1)
