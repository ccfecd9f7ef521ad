"""Measurements of the last-level cache as files: counters by cache ways, and line-level curves.

Two formats. *Counters by ways*, one row per program and number of ways, as Intel CAT and the
performance counters give them (per kilo-instruction; the last two columns need not be there)::

    BENCH,NR_WAYS,ipc,llcmpki,llcrpki,llc_usage_kb

*Line curves*, one file per program, as a tracer of LRU stack distances at 64-byte lines writes::

    size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.program_curves import curve_points
from gymbal_envs.demand.sheet import CurveError, Sheet, read_sheet

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


def read_llc_tables(path: str | Path) -> tuple[WaysTable | LineCurve, ...]:
    """Read one CSV file of either format, or every ``*-line64.csv`` of a folder.

    Raises:
        CurveError: A file is not there or breaks its format; names file, row, column and rule.
    """
    path = Path(path)
    if not path.is_dir():
        return _read_file(path)
    found = sorted(path.glob(FOLDER_PATTERN))
    if not found:
        raise CurveError(f"{path}: the folder holds no file named {FOLDER_PATTERN}")
    return tuple(_line_curve(read_sheet(file)) for file in found)


def _read_file(path: Path) -> tuple[WaysTable | LineCurve, ...]:
    """Read a file of either format, told apart by the header."""
    sheet = read_sheet(path)
    if "NR_WAYS" not in sheet.columns and "BENCH" not in sheet.columns:
        return (_line_curve(sheet),)
    sheet.require_columns(WAYS_COLUMNS)
    programs: dict[str, list[int]] = {}
    for index, (line, row) in enumerate(sheet.rows):
        name = (row["BENCH"] or "").strip()
        if not name:
            raise CurveError(f"{path}: row {line}, column BENCH: the cell is empty")
        programs.setdefault(name, []).append(index)
    return tuple(_ways_table(sheet, name, rows) for name, rows in programs.items())


def _ways_table(sheet: Sheet, name: str, rows: list[int]) -> WaysTable:
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
    sheet.require("NR_WAYS", whole, "must be a whole number from 1", rows, name)
    once = np.diff(ways, prepend=0.0) > 0
    sheet.require("NR_WAYS", once, "must occur once per program", rows, name)
    sheet.require("ipc", ipc > 0, "must be above 0", rows, name)
    allowed = max(MAX_MPKI_RISE, MAX_MPKI_RISE_FRAC * float(mpki.max()))
    level = mpki - np.minimum.accumulate(mpki) <= allowed
    sheet.require("llcmpki", level, f"must not rise with ways by more than {allowed:g}", rows, name)
    most = float(mpki.max())
    if REFERENCES_COLUMN in sheet.columns:
        most = max(most, float(np.median(sheet.numbers(REFERENCES_COLUMN, rows))))
    return WaysTable(name, ways, ipc, mpki, most, str(sheet.path))


def _line_curve(sheet: Sheet) -> LineCurve:
    """Check one program's stack-distance curve."""
    _, size_bytes, ratio, misses = curve_points(sheet, LINE_BYTES)
    per_kilo_instr = misses[0] / ratio[0] if ratio[0] > 0 else 0.0
    expected = ratio * per_kilo_instr
    agree = np.abs(misses - expected) <= PROPORTION_TOLERANCE * expected + 1e-3
    sheet.require(
        "misses_per_kilo_instr", agree, "must be in proportion to miss_ratio, as in row 2"
    )
    name = sheet.path.stem.removeprefix("mrc-").removesuffix("-line64")
    mpki = np.minimum.accumulate(ratio) * per_kilo_instr
    return LineCurve(name, size_bytes, mpki, str(sheet.path))
