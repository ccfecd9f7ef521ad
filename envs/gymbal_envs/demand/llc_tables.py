"""Measurements of the last-level cache as files: counters by cache ways, and line-level curves.

Two formats. *Counters by ways*, one row per program and number of ways, as Intel CAT and the
performance counters give them (per kilo-instruction; the last two columns need not be there)::

    BENCH,NR_WAYS,ipc,llcmpki,llcrpki,llc_usage_kb

*Line curves*, one file per program, as a tracer of LRU stack distances at 64-byte lines writes::

    size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.program_curves import CURVE_COLUMNS, MAX_RISE, CurveError

LINE_BYTES = 64
FOLDER_PATTERN = "*-line64.csv"  # the same folder also holds page curves

WAYS_COLUMNS = ("BENCH", "NR_WAYS", "ipc", "llcmpki")
REFERENCES_COLUMN = "llcrpki"

# Counters of separate runs are not exact. The published table rises by at most 0.2 % of a
# program's misses, or by 0.001 misses per kilo-instruction where that is less.
MAX_MPKI_RISE_FRAC = 0.02  # of the program's largest
MAX_MPKI_RISE = 0.05

PROPORTION_TOLERANCE = 0.01  # between the two miss columns of a line curve: printing rounds them


@dataclass(frozen=True, eq=False)
class WaysTable:
    """One program's counters by number of cache ways.

    Attributes:
        name: The program.
        ways: (W,) numbers of ways, increasing.
        ipc: (W,) instructions per cycle.
        mpki: (W,) LLC misses per kilo-instruction as counted; may rise within the noise.
        references_pki: LLC references per kilo-instruction, at least every ``mpki``.
        source: The file.
    """

    name: str
    ways: NDArray[np.float64]  # (W,)
    ipc: NDArray[np.float64]  # (W,) instructions/cycle
    mpki: NDArray[np.float64]  # (W,) 1/kilo-instruction
    references_pki: float
    source: str


@dataclass(frozen=True, eq=False)
class LineCurve:
    """One program's misses in a fully associative LRU cache of 64-byte lines.

    Attributes:
        name: The program.
        size_bytes: (S,) cache sizes, increasing.
        mpki: (S,) misses per kilo-instruction, non-increasing.
        source: The file.
    """

    name: str
    size_bytes: NDArray[np.float64]  # (S,) bytes
    mpki: NDArray[np.float64]  # (S,) 1/kilo-instruction
    source: str


@dataclass(frozen=True)
class _Sheet:
    """The rows of a CSV file, with their line numbers."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str | None]], ...]

    def numbers(self, column: str, rows: list[int]) -> NDArray[np.float64]:
        """Finite, non-negative numbers of the rows with these indices."""
        return np.array([self._number(*self.rows[index], column) for index in rows])

    def require(
        self, column: str, rows: list[int], holds: NDArray[np.bool_], rule: str, who: str = ""
    ) -> None:
        """Name the first of the rows for which the rule does not hold."""
        if not np.all(holds):
            line, row = self.rows[rows[int(np.argmin(holds))]]
            program = f" ({who})" if who else ""
            raise CurveError(
                f"{self.path}: row {line}, column {column}{program}: {rule}, found {row[column]}"
            )

    def _number(self, line: int, row: dict[str, str | None], column: str) -> float:
        where = f"{self.path}: row {line}, column {column}"
        text = row[column]
        if text is None or not text.strip():
            raise CurveError(f"{where}: the cell is empty")
        try:
            value = float(text)
        except ValueError:
            raise CurveError(f"{where}: must be a number, found {text!r}") from None
        if not math.isfinite(value) or value < 0:
            raise CurveError(f"{where}: must be finite and not negative, found {text!r}")
        return value


def read_llc_tables(path: str | Path) -> tuple[WaysTable | LineCurve, ...]:
    """Read one CSV file of either format, or every ``*-line64.csv`` of a folder.

    Raises:
        FileNotFoundError: Nothing is there.
        CurveError: A file breaks its format; names file, row, column and rule.
    """
    path = Path(path)
    if not path.is_dir():
        return _read_file(path)
    found = sorted(path.glob(FOLDER_PATTERN))
    if not found:
        raise CurveError(f"{path}: the folder holds no file named {FOLDER_PATTERN}")
    return tuple(_line_curve(_read_sheet(file)) for file in found)


def _read_file(path: Path) -> tuple[WaysTable | LineCurve, ...]:
    """Read a file of either format, told apart by the header."""
    sheet = _read_sheet(path)
    if "NR_WAYS" not in sheet.columns and "BENCH" not in sheet.columns:
        return (_line_curve(sheet),)
    _require_columns(sheet, WAYS_COLUMNS)
    programs: dict[str, list[int]] = {}
    for index, (line, row) in enumerate(sheet.rows):
        name = (row["BENCH"] or "").strip()
        if not name:
            raise CurveError(f"{path}: row {line}, column BENCH: the cell is empty")
        programs.setdefault(name, []).append(index)
    return tuple(_ways_table(sheet, name, rows) for name, rows in programs.items())


def _read_sheet(path: Path) -> _Sheet:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = tuple(reader.fieldnames or ())
            # The row's own line number, since the csv module skips blank lines.
            rows = tuple((reader.line_num, row) for row in reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CurveError(f"{path}: not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise CurveError(f"{path}: the file is empty: a header and at least two rows are needed")
    return _Sheet(path, columns, rows)


def _require_columns(sheet: _Sheet, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in sheet.columns]
    if missing:
        raise CurveError(f"{sheet.path}: row 1: no column {', '.join(missing)}")


def _ways_table(sheet: _Sheet, name: str, rows: list[int]) -> WaysTable:
    """Check one program's rows, in whatever order they come."""
    if len(rows) < 2:
        raise CurveError(
            f"{sheet.path}: row {sheet.rows[rows[0]][0]}, column NR_WAYS ({name}): a program needs "
            "at least two numbers of ways, found one"
        )
    unordered = sheet.numbers("NR_WAYS", rows)
    rows = [rows[index] for index in np.argsort(unordered, kind="stable")]
    ways, ipc, mpki = (sheet.numbers(column, rows) for column in ("NR_WAYS", "ipc", "llcmpki"))
    whole = (ways >= 1) & (ways == np.floor(ways))
    sheet.require("NR_WAYS", rows, whole, "must be a whole number from 1", name)
    once = np.diff(ways, prepend=0.0) > 0
    sheet.require("NR_WAYS", rows, once, "must occur once per program", name)
    sheet.require("ipc", rows, ipc > 0, "must be above 0", name)
    allowed = max(MAX_MPKI_RISE, MAX_MPKI_RISE_FRAC * float(mpki.max()))
    level = mpki - np.minimum.accumulate(mpki) <= allowed
    sheet.require("llcmpki", rows, level, f"must not rise with ways by more than {allowed:g}", name)
    most = float(mpki.max())
    if REFERENCES_COLUMN in sheet.columns:
        most = max(most, float(np.median(sheet.numbers(REFERENCES_COLUMN, rows))))
    return WaysTable(name, ways, ipc, mpki, most, str(sheet.path))


def _line_curve(sheet: _Sheet) -> LineCurve:
    """Check one program's stack-distance curve."""
    _require_columns(sheet, CURVE_COLUMNS)
    if len(sheet.rows) < 2:
        raise CurveError(f"{sheet.path}: a curve needs at least two rows, found 1")
    rows = list(range(len(sheet.rows)))
    blocks, size_bytes, ratio, misses = (sheet.numbers(name, rows) for name in CURVE_COLUMNS)
    grows = np.diff(blocks, prepend=0.0) > 0
    sheet.require("size_blocks", rows, grows, "sizes must be above 0 and increase")
    in_lines = size_bytes == LINE_BYTES * blocks
    sheet.require("size_bytes", rows, in_lines, f"must be {LINE_BYTES} per block")
    sheet.require("miss_ratio", rows, ratio <= 1, "must not exceed 1")
    level = ratio - np.minimum.accumulate(ratio) <= MAX_RISE
    sheet.require("miss_ratio", rows, level, f"must not rise with size by more than {MAX_RISE}")
    per_kilo_instr = misses[0] / ratio[0] if ratio[0] > 0 else 0.0
    expected = ratio * per_kilo_instr
    agree = np.abs(misses - expected) <= PROPORTION_TOLERANCE * expected + 1e-3
    sheet.require(
        "misses_per_kilo_instr", rows, agree, "must be in proportion to miss_ratio, as in row 2"
    )
    name = sheet.path.stem.removeprefix("mrc-").removesuffix("-line64")
    mpki = np.minimum.accumulate(ratio) * per_kilo_instr
    return LineCurve(name, size_bytes, mpki, str(sheet.path))
