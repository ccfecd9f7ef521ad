"""Page-level miss-ratio curves as measured: the shipped ones and a user's own CSV files.

The format is that of a fully associative LRU stack-distance tracer, one row per memory size::

    size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr

``profiles`` turns a measured curve into what the simulator needs.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PAGE_BYTES = 4096
CURVE_COLUMNS = ("size_blocks", "size_bytes", "miss_ratio", "misses_per_kilo_instr")
FOLDER_PATTERN = "*-page4k.csv"  # the same folder also holds cache-line curves

MAX_RISE = 1e-3  # sampling noise of a tracer; an LRU curve itself can never rise
MIN_DIRTY_FRAC = 0.05
DEFAULT_DIRTY_FRAC = 0.5  # where nothing was measured; the eight programs span 0.26 to 0.91


class CurveError(ValueError):
    """A file that is not a miss-ratio curve; the message names file, row, column and rule."""


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
    folder = files("gymbal_envs.demand").joinpath("profile_data")
    points: dict[str, list[tuple[float, float]]] = {}
    for row in csv.DictReader(folder.joinpath("curves.csv").read_text("utf-8").splitlines()):
        points.setdefault(row["program"], []).append(
            (float(row["size_pages"]), float(row["miss_ratio"]))
        )
    curves = []
    for row in csv.DictReader(folder.joinpath("programs.csv").read_text("utf-8").splitlines()):
        size_pages, miss_ratio = np.array(points[row["program"]]).T
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
        FileNotFoundError: Nothing is there.
        CurveError: A file breaks the format; names file, row, column and rule.
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


def _read_file(path: Path, dirty: dict[str, float]) -> MeasuredCurve:
    """Read and check one curve."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in CURVE_COLUMNS if name not in (reader.fieldnames or ())]
            # The row's own line number, since the csv module skips blank lines.
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CurveError(f"{path}: not a CSV file in UTF-8: {error}") from error
    if missing:
        raise CurveError(f"{path}: row 1: no column {', '.join(missing)}")
    if len(rows) < 2:
        raise CurveError(f"{path}: a curve needs at least two rows, found {len(rows)}")
    points = np.array(
        [[_number(path, line, name, row[name]) for name in CURVE_COLUMNS] for line, row in rows]
    )
    _check_points(path, [line for line, _ in rows], points)
    name = path.stem.removeprefix("mrc-").removesuffix("-page4k")
    miss_ratio, misses_per_kilo_instr = points[:, 2], points[:, 3]
    return MeasuredCurve(
        name=name,
        size_pages=points[:, 0],
        miss_ratio=np.minimum.accumulate(miss_ratio),
        data_refs_per_instr=float(misses_per_kilo_instr[0] / miss_ratio[0]) / 1000,
        dirty_frac=dirty.get(name, DEFAULT_DIRTY_FRAC),
        source=str(path),
    )


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    """Parse one cell: a finite number that is not negative."""
    where = f"{path}: row {line}, column {column}"
    if text is None or not text.strip():
        raise CurveError(f"{where}: the cell is empty")
    try:
        value = float(text)
    except ValueError:
        raise CurveError(f"{where}: must be a number, found {text!r}") from None
    if not math.isfinite(value) or value < 0:
        raise CurveError(f"{where}: must be finite and not negative, found {text!r}")
    return value


def _check_points(path: Path, lines: list[int], points: NDArray[np.float64]) -> None:
    """Check the rules that bind cells together; ``points`` is (S, 4) in ``CURVE_COLUMNS``."""
    size, size_bytes, miss_ratio, misses = points.T
    before = np.concatenate(([-np.inf], size[:-1]))
    rise = miss_ratio - np.minimum.accumulate(miss_ratio)
    rules = (
        ("size_blocks", (size > 0) & (size > before), "sizes must be above 0 and increase"),
        ("size_bytes", size_bytes == PAGE_BYTES * size, f"must be {PAGE_BYTES} per block"),
        ("miss_ratio", miss_ratio <= 1, "must not exceed 1"),
        ("miss_ratio", rise <= MAX_RISE, f"must not rise with size by more than {MAX_RISE}"),
        ("misses_per_kilo_instr", (misses > 0) | (miss_ratio == 0), "must be above 0"),
    )
    for column, holds, rule in rules:
        if not np.all(holds):
            first = int(np.argmin(holds))
            value = points[first, CURVE_COLUMNS.index(column)]
            raise CurveError(
                f"{path}: row {lines[first]}, column {column}: {rule}, found {value:g}"
            )
    if not miss_ratio[0] > miss_ratio[-1]:
        raise CurveError(f"{path}: column miss_ratio: must fall somewhere, it is flat")


def _dirty_frac(dirty_pages: str, unique_pages: str) -> float:
    """Share of touched pages that were written, in [0.05, 1]."""
    return min(max(float(dirty_pages) / float(unique_pages), MIN_DIRTY_FRAC), 1.0)
