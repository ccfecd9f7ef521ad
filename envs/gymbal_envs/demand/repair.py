"""What a trace reader refuses, and how it says what it repaired.

Every reader screens its rows here, so that a CSV, a packed month and a Parquet file obey the same
rules. A value that cannot be true is an error, unless the caller asked for repair; a sample that is
merely late, early, double or missing for a while is always repaired (``samples.py``, ``grid.py``).
Either way ``Trace.repairs`` says how often. ``docs/traces.md`` has the table of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gymbal_envs.demand.trace import TraceError

REPAIR_HINT = "pass repair=True (--repair in scripts/import_trace.py)"
FARTHEST_TIME = 1e15  # the year 33658 in milliseconds; farther instants do not fit an integer grid


class RepairLog:
    """Counts repairs by kind, so that a month of 500 files reads as a few sentences."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._vms: dict[str, list[int]] = {}

    def add(self, what: str, count: int, vms: Iterable[int] = ()) -> None:
        """Add ``count`` repairs of kind ``what``, naming the VMs where that helps."""
        if count:
            self._counts[what] = self._counts.get(what, 0) + int(count)
            self._vms.setdefault(what, []).extend(int(vm) for vm in vms)

    def drop(self, why: str, vms: Sequence[int] | NDArray[np.int64]) -> None:
        """Say that whole VMs were dropped, and why."""
        self.add(f"VMs dropped because {why}", len(vms), vms)

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence per kind, in order of first occurrence."""
        return tuple(f"{what}: {count}{self._named(what)}." for what, count in self._counts.items())

    def _named(self, what: str) -> str:
        vms = self._vms[what]
        shown = ", ".join(str(vm) for vm in vms[:5]) + (", ..." if len(vms) > 5 else "")
        return f" (VM {shown})" if vms else ""


@dataclass(frozen=True)
class Check:
    """One way in which a row can be wrong; ``problem`` completes the sentence '<value> ...'."""

    column: str
    problem: str
    bad: pl.Expr  # true where the row is wrong


def number_checks(column: str) -> tuple[Check, ...]:
    """Return the checks that every physical quantity must pass: a finite number, not negative."""
    value = pl.col(column)
    return (
        Check(column, "is not a number", value.is_null() | value.is_nan()),
        Check(column, "is not finite", value.is_infinite()),
        Check(column, "is negative", value < 0),
    )


def time_checks(column: str) -> tuple[Check, ...]:
    """Return the checks of a time in seconds or milliseconds; a trace may start before 1970."""
    not_a_number, not_finite, _ = number_checks(column)
    far = pl.col(column).abs() > FARTHEST_TIME
    return not_a_number, not_finite, Check(column, "is too far from 1970 for a time", far)


def screen(
    rows: pl.DataFrame,
    checks: Sequence[Check],
    *,
    source: str,
    log: RepairLog,
    repair: bool,
    first_line: int = 1,
    text_of: Callable[[int, str], str] | None = None,
) -> pl.DataFrame:
    """Refuse rows that cannot be true, or drop and count them when asked to repair.

    Args:
        rows: the rows of one file in file order.
        checks: what to refuse; the first that applies to a row names its fault.
        source: path for the message.
        log: where dropped rows are counted.
        repair: drop the rows instead of raising.
        first_line: 1-based line of the first row in the file.
        text_of: gives the original text of a cell (row, column); default the parsed value.

    Raises:
        TraceError: a row is wrong and ``repair`` is false.
    """
    flags = rows.select(c.bad.fill_null(False).alias(str(i)) for i, c in enumerate(checks))
    bad = flags.select(pl.any_horizontal(pl.all())).to_series()
    if not bad.any():
        return rows
    if repair:
        explained = pl.zeros(len(bad), dtype=pl.UInt8, eager=True).cast(pl.Boolean)
        for check, flag in zip(checks, flags, strict=True):
            log.add(
                f"Rows dropped where {check.column!r} {check.problem}",
                int((flag & ~explained).sum()),
            )
            explained = explained | flag
        return rows.filter(~bad)
    row = int(bad.arg_true()[0])
    check = next(c for i, c in enumerate(checks) if flags[row, i])
    value = text_of(row, check.column) if text_of else str(rows[row, check.column])
    raise TraceError(
        f"{source}: line {row + first_line}, column {check.column!r}: {value!r} {check.problem}; "
        f"correct the row, or {REPAIR_HINT} to drop it and fill the gap"
    )
