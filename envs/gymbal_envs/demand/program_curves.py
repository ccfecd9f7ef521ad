"""Page-level miss-ratio curves as measured: the shipped ones and a user's own CSV files.

The format is that of a fully associative LRU stack-distance tracer, one row per memory size::

    size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr

``profiles`` turns a measured curve into what the simulator needs.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.sheet import CurveError, Sheet, read_sheet, shipped_points, shipped_rows

PAGE_BYTES = 4096
CURVE_COLUMNS = ("size_blocks", "size_bytes", "miss_ratio", "misses_per_kilo_instr")
FOLDER_PATTERN = "*-page4k.csv"  # the same folder also holds cache-line curves

MAX_RISE = 1e-3  # sampling noise of a tracer; an LRU curve itself can never rise
MIN_DIRTY_FRAC = 0.05
DEFAULT_DIRTY_FRAC = 0.5  # where nothing was measured; the eight programs span 0.26 to 0.91


@dataclass(frozen=True, eq=False)
class MeasuredCurve:
    """A program's LRU miss ratio per data reference, as a function of memory size.

    Attributes:
        name: The program.
        size_pages: (S,) pages of 4 KiB, strictly increasing.
        miss_ratio: (S,) misses per data reference, non-increasing; the last one is the share of
            cold (compulsory) misses.
        data_refs_per_instr: Loads and stores per instruction.
        dirty_frac: Share of the touched pages that were written, 0.05 to 1.
        source: Where it was measured.
    """

    name: str
    size_pages: NDArray[np.float64]  # (S,)
    miss_ratio: NDArray[np.float64]  # (S,)
    data_refs_per_instr: float
    dirty_frac: float
    source: str

    @property
    def footprint_pages(self) -> float:
        """All pages that it touches: the smallest size at which only cold misses are left."""
        return float(self.size_pages[np.argmax(self.miss_ratio <= self.miss_ratio[-1])])


def shipped_curves() -> tuple[MeasuredCurve, ...]:
    """Read the eight programs that come with the package, in alphabetical order."""
    points = shipped_points("curves.csv", "size_pages", "miss_ratio")
    curves = []
    for row in shipped_rows("programs.csv"):
        size_pages, miss_ratio = points[row["program"]]
        curves.append(
            MeasuredCurve(
                name=row["program"],
                size_pages=size_pages,
                miss_ratio=miss_ratio,
                data_refs_per_instr=float(row["data_refs_per_kilo_instr"]) / 1000,
                dirty_frac=_dirty_frac(row["dirty_pages_per_Mref"], row["unique_pages_per_Mref"]),
                source=f"measured by Gymbal: {row['command']}",
            )
        )
    return tuple(sorted(curves, key=lambda curve: curve.name))


def read_curves(path: str | Path) -> tuple[MeasuredCurve, ...]:
    """Read one CSV file, or every ``*-page4k.csv`` of a folder.

    A ``summary.csv`` in the folder of a curve (columns ``name``, ``unique_pages_per_Mref_mean``,
    ``dirty_pages_per_Mref_mean``) gives the dirty share; without it, ``DEFAULT_DIRTY_FRAC``.

    Raises:
        CurveError: A file is not there or breaks the format; names file, row, column and rule.
    """
    path = Path(path)
    if not path.is_dir():
        return (_read_file(path, _read_summary(path.parent)),)
    found = sorted(path.glob(FOLDER_PATTERN))
    if not found:
        raise CurveError(f"{path}: the folder holds no file named {FOLDER_PATTERN}")
    summary = _read_summary(path)
    return tuple(_read_file(file, summary) for file in found)


def _read_summary(folder: Path) -> dict[str, float]:
    """Dirty share by program, empty where the folder has no ``summary.csv``."""
    path = folder / "summary.csv"
    if not path.is_file():
        return {}
    dirty = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for line, row in enumerate(csv.DictReader(lines), start=2):
            try:
                dirty[row["name"]] = _dirty_frac(
                    row["dirty_pages_per_Mref_mean"], row["unique_pages_per_Mref_mean"]
                )
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                raise CurveError(
                    f"{path}: row {line}: needs columns name, dirty_pages_per_Mref_mean and "
                    f"unique_pages_per_Mref_mean, with numbers above 0 ({error!r})"
                ) from error
    return dirty


def curve_points(sheet: Sheet, block_bytes: int) -> tuple[NDArray[np.float64], ...]:
    """The columns of a miss curve of blocks of this size, checked: four arrays (S,).

    Raises:
        CurveError: The sheet breaks the format; names file, row, column and rule.
    """
    sheet.require_columns(CURVE_COLUMNS)
    if len(sheet.rows) < 2:
        raise CurveError(f"{sheet.path}: a curve needs at least two rows, found 1")
    blocks, size_bytes, ratio, misses = (sheet.numbers(name) for name in CURVE_COLUMNS)
    grows = np.diff(blocks, prepend=0.0) > 0
    sheet.require("size_blocks", grows, "sizes must be above 0 and increase")
    in_blocks = size_bytes == block_bytes * blocks
    sheet.require("size_bytes", in_blocks, f"must be {block_bytes} per block")
    sheet.require("miss_ratio", ratio <= 1, "must not exceed 1")
    level = ratio - np.minimum.accumulate(ratio) <= MAX_RISE
    sheet.require("miss_ratio", level, f"must not rise with size by more than {MAX_RISE}")
    return blocks, size_bytes, ratio, misses


def _read_file(path: Path, dirty: dict[str, float]) -> MeasuredCurve:
    """Read and check one curve."""
    sheet = read_sheet(path)
    size, _, miss_ratio, misses = curve_points(sheet, PAGE_BYTES)
    counted = (misses > 0) | (miss_ratio == 0)
    sheet.require("misses_per_kilo_instr", counted, "must be above 0")
    if not miss_ratio[0] > miss_ratio[-1]:
        raise CurveError(f"{path}: column miss_ratio: must fall somewhere, it is flat")
    name = path.stem.removeprefix("mrc-").removesuffix("-page4k")
    return MeasuredCurve(
        name=name,
        size_pages=size,
        miss_ratio=np.minimum.accumulate(miss_ratio),
        data_refs_per_instr=float(misses[0] / miss_ratio[0]) / 1000,
        dirty_frac=dirty.get(name, DEFAULT_DIRTY_FRAC),
        source=str(path),
    )


def _dirty_frac(dirty_pages: str, unique_pages: str) -> float:
    """Share of touched pages that were written, in [0.05, 1]."""
    return min(max(float(dirty_pages) / float(unique_pages), MIN_DIRTY_FRAC), 1.0)
