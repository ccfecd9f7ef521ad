"""Telemetry to feature rows: the columns of a task's parts side by side, then what has changed.

Everything is relative to the host, so that sizes do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.parts import Part, parts_of
from gymbal_runtime.quantities import Quantity, bounded, bounds_of
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]

HISTORY_STEPS = 3
"""Decisions that the policy is reminded of."""


@dataclass(frozen=True, slots=True)
class History:
    """What the codec remembers of the last decisions: the tracked quantities, newest first."""

    tracked: tuple[Floats, ...]  # HISTORY_STEPS of (H, V, tracked quantities); NaN = not seen yet

    @classmethod
    def empty(cls, num_hosts: int, num_vms: int, num_tracked: int) -> History:
        """No decision was taken yet."""
        unseen = np.full((num_hosts, num_vms, num_tracked), np.nan)
        return cls(tracked=(unseen,) * HISTORY_STEPS)

    def forget(self, hosts: NDArray[np.bool_]) -> History:
        """The same memory without the marked hosts (H,)."""
        gone = hosts[:, None, None]
        return History(tracked=tuple(np.where(gone, np.nan, step) for step in self.tracked))


@dataclass(frozen=True, slots=True)
class Layout:
    """Which number stands where in a task's observation.

    Attributes:
        parts: of the task.
        vm: quantities of a VM now.
        history: changes of the tracked ones, repeated for each remembered decision.
        host: quantities of the host.
    """

    parts: tuple[Part, ...]
    vm: tuple[Quantity, ...]
    history: tuple[Quantity, ...]
    host: tuple[Quantity, ...]
    vm_bounds: Bounds
    history_bounds: Bounds
    host_bounds: Bounds

    @property
    def num_vm_features(self) -> int:
        """Length of a VM's row."""
        return len(self.vm) + HISTORY_STEPS * len(self.history)

    def vm_rows(
        self, telemetry: Telemetry, base: Command, history: History
    ) -> tuple[Floats, History]:
        """Rows (H, V, num_vm_features) in the order of the tables, and the new history."""
        shape = telemetry.present.shape
        width, step_width = len(self.vm), len(self.history)
        rows = np.empty((*shape, self.num_vm_features))
        tracked = np.empty((*shape, step_width))
        low, high = self.history_bounds
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            # Filling one array column by column costs a third of np.stack, and this runs at every
            # decision.
            column = change = 0
            for part in self.parts:
                seen = part.vm_columns(telemetry, base)
                for quantity in part.vm_quantities:
                    rows[:, :, column] = seen[quantity.name]
                    column += 1
                for name in part.tracked:
                    tracked[:, :, change] = seen[name]
                    change += 1
            rows[:, :, :width] = bounded(rows[:, :, :width], *self.vm_bounds)
            for step, then in enumerate(history.tracked):
                moved = np.minimum(np.maximum(tracked - then, low), high)
                start = width + step * step_width
                rows[:, :, start : start + step_width] = np.where(np.isnan(moved), 0.0, moved)
        return rows, History(tracked=(tracked, *history.tracked[:-1]))

    def host_rows(self, telemetry: Telemetry, base: Command) -> Floats:
        """Row of each host, (H, number of host quantities)."""
        rows = np.empty((telemetry.num_hosts, len(self.host)))
        column = 0
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for part in self.parts:
                seen = part.host_columns(telemetry, base)
                for quantity in part.host_quantities:
                    rows[:, column] = seen[quantity.name]
                    column += 1
            return bounded(rows, *self.host_bounds)


@cache
def layout_of(task: str) -> Layout:
    """The layout of a task's observation.

    In a task of several parts the names carry the part's, so that they stay distinct.

    Raises:
        ValueError: there is no such task.
    """
    parts = parts_of(task)

    def named(part: Part, quantities: tuple[Quantity, ...]) -> list[Quantity]:
        if len(parts) == 1:
            return list(quantities)
        return [replace(quantity, name=f"{part.name}.{quantity.name}") for quantity in quantities]

    vm = tuple(q for part in parts for q in named(part, part.vm_quantities))
    history = tuple(q for part in parts for q in named(part, part.history_quantities))
    host = tuple(q for part in parts for q in named(part, part.host_quantities))
    return Layout(parts, vm, history, host, bounds_of(vm), bounds_of(history), bounds_of(host))
