"""The guard's care for guests: what a guest needs or may be missing already is not taken from it.

The configured floor is a promise to a VM's owner; the floors here follow what the guest does. They
only limit taking: a guest that already holds less than its working set is not made to grow.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Telemetry
from gymbal_runtime.workingset import estimated_working_set

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Protection:
    """When memory is not taken from a guest.

    Attributes:
        headroom_frac: beyond the working-set estimate, as a fraction of it. A guest of which
            nothing is known is estimated to need all that it holds.
        swap_in_rate: bytes/s; a guest that swaps in faster is in trouble and gives nothing.
        psi_some_frac: likewise of the time in which it stalls on memory.

    Raises:
        ValueError: a value is negative or NaN.
    """

    headroom_frac: float = 0.1
    swap_in_rate: float = 2.0**20
    psi_some_frac: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"{field.name} must be zero or positive, got {value}")


def protective_floors(telemetry: Telemetry, protection: Protection) -> Floats:
    """Least memory that each VM may be left with, (H, V) bytes.

    ``max(min, actual)`` in trouble, else ``max(min, min(actual, (1 + headroom) working set))``,
    and never above the ceiling.
    """
    actual, smallest = telemetry.actual_bytes, telemetry.memory_min_bytes
    needed = estimated_working_set(telemetry) * (1.0 + protection.headroom_frac)
    kept = np.where(in_trouble(telemetry, protection), actual, np.minimum(actual, needed))
    raised = np.minimum(np.fmax(smallest, kept), telemetry.memory_max_bytes)
    return np.where(telemetry.present, raised, smallest)


def in_trouble(telemetry: Telemetry, protection: Protection) -> Bools:
    """(H, V) VMs that swap in or stall more than they should; False where it is not measured."""
    swapping = telemetry.swap_in_rate > protection.swap_in_rate
    stalled = telemetry.psi_some_frac > protection.psi_some_frac
    troubled: Bools = telemetry.present & (swapping | stalled)
    return troubled


def protect(
    command: Command, telemetry: Telemetry, protection: Protection
) -> tuple[Command, Telemetry, Counts]:
    """Raise targets that would take from a guest what it needs.

    Args:
        command: anything.
        telemetry: the record it was decided on.
        protection: when memory is not taken.

    Returns:
        The command; the record with the protective floors as floors, for the rest of the guard; and
        the number of VMs of each host whose target was raised, (H,).
    """
    floors = protective_floors(telemetry, protection)
    targets = np.asarray(command.balloon_bytes, dtype=np.float64)
    protected = replace(telemetry, memory_min_bytes=floors)
    if targets.shape != floors.shape:
        return command, protected, np.zeros(floors.shape[0], dtype=np.int64)
    low = telemetry.present & (targets < floors) & (floors > telemetry.memory_min_bytes)
    low &= np.isfinite(targets)
    raised = replace(command, balloon_bytes=np.where(low, floors, targets))
    return raised, protected, low.sum(axis=1)
