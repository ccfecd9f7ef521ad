"""Observations that are a set of rows and a row of the whole: columns, changes, bounds, memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gymbal_runtime.observation import HISTORY_STEPS, Bounds
from gymbal_runtime.quantities import Quantity, bounded, bounds_of
from gymbal_runtime.telemetry import Bools, Floats

Columns = dict[str, Floats]
"""(C, H) of each quantity of a row, or (C,) of each of a whole."""


@dataclass(frozen=True, slots=True)
class RowHistory:
    """The tracked quantities of the last decisions, newest first; NaN = not seen yet."""

    rows: Floats  # (HISTORY_STEPS, C, H, tracked quantities)
    whole: Floats  # (HISTORY_STEPS, C, tracked quantities)

    def forget(self, worlds: Bools) -> RowHistory:
        """The same memory without the marked worlds (C,)."""
        return RowHistory(
            np.where(worlds[None, :, None, None], np.nan, self.rows),
            np.where(worlds[None, :, None], np.nan, self.whole),
        )


@dataclass(frozen=True)
class Table:
    """Quantities now, and the changes of some of them since each remembered decision.

    Attributes:
        now: what is seen.
        changes: of the tracked ones, in their order.
        tracked: names of quantities of ``now``.
    """

    now: tuple[Quantity, ...]
    changes: tuple[Quantity, ...]
    tracked: tuple[str, ...]

    @property
    def columns(self) -> tuple[Quantity, ...]:
        """Of a whole row, in order."""
        return self.now + self.changes * HISTORY_STEPS

    @cached_property
    def bounds(self) -> Bounds:
        """Of a whole row."""
        return bounds_of(self.columns)

    @property
    def width(self) -> int:
        """Length of a row."""
        return len(self.columns)

    def rows(self, columns: Columns, before: Floats) -> tuple[Floats, Floats]:
        """Bounded rows (..., width), and what is to be remembered (HISTORY_STEPS, ..., tracked)."""
        now = np.stack([columns[name] for name in self.tracked], axis=-1)
        seen = np.stack([columns[quantity.name] for quantity in self.now], axis=-1)
        table = np.concatenate([seen, *[now - then for then in before]], axis=-1)
        return bounded(table, *self.bounds), np.concatenate([now[None], before[:-1]])


@dataclass(frozen=True)
class RowLayout:
    """Which number stands where.

    Attributes:
        row: of one of the set.
        whole: of what they belong to.
    """

    row: Table
    whole: Table

    def no_history(self, num_worlds: int, num_rows: int) -> RowHistory:
        """No decision was taken yet."""
        rows = (HISTORY_STEPS, num_worlds, num_rows, len(self.row.tracked))
        whole = (HISTORY_STEPS, num_worlds, len(self.whole.tracked))
        return RowHistory(np.full(rows, np.nan), np.full(whole, np.nan))

    def encode(
        self, row: Columns, whole: Columns, exists: Bools, history: RowHistory
    ) -> tuple[Floats, Floats, RowHistory]:
        """Rows (C, H, width), 0 where none is, those of the wholes (C, width), the history."""
        rows, row_memory = self.row.rows(row, history.rows)
        wholes, whole_memory = self.whole.rows(whole, history.whole)
        return rows * exists[:, :, None], wholes, RowHistory(row_memory, whole_memory)
