"""Profiles of programs as files: miss curves, footprint over time, one summary row per program.

A folder holds any number of programs, in the format that
``gymbal_envs.demand.program_curves.read_curves`` reads::

    mrc-NAME-page4k.csv  mrc-NAME-line64.csv  footprint-NAME.csv  summary.csv
"""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.program_curves import CURVE_COLUMNS
from gymbal_envs.profiling.plugin import TracerError
from gymbal_envs.profiling.reuse import LINE_BYTES, PAGE_BYTES, Reuse
from gymbal_envs.profiling.tracer import WINDOW_REFS, Measurement

FOOTPRINT_COLUMNS = ("references", "instructions", "unique_pages", "dirty_pages", "footprint_pages")
SUMMARY_COLUMNS = (
    "name", "cmd", "wall_s", "instr_M", "data_refs_M", "store_frac", "pages", "lines",
    "line_sample", "unique_pages_per_Mref_mean", "dirty_pages_per_Mref_mean",
    "dirty_pages_per_Mref_max",
)  # fmt: skip
MIN_BLOCKS = 16  # smaller memories hold no more than the stack and a few globals
SIZES_PER_OCTAVE = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, eq=False)
class Curve:
    """A miss-ratio curve of fully associative LRU.

    Attributes:
        block_bytes: 4096 for pages, 64 for lines.
        size_blocks: (S,) int64 memory sizes, increasing; the last holds everything.
        miss_ratio: (S,) misses per data reference.
        misses_per_kilo_instr: (S,)
    """

    block_bytes: int
    size_blocks: NDArray[np.int64]  # (S,)
    miss_ratio: NDArray[np.float64]  # (S,)
    misses_per_kilo_instr: NDArray[np.float64]  # (S,)


@dataclass(frozen=True, eq=False)
class ProgramProfile:
    """What is kept of a traced program.

    Attributes:
        name: In file names.
        pages: Miss curve of 4 KiB pages.
        lines: Miss curve of 64-byte lines.
        footprint: (W, 5) int64, columns ``FOOTPRINT_COLUMNS``, a row per million references:
            references and instructions so far, pages touched and pages written in the window,
            pages touched so far.
        summary: The row of ``summary.csv``, as text by column.
    """

    name: str
    pages: Curve
    lines: Curve
    footprint: NDArray[np.int64]  # (W, 5)
    summary: Mapping[str, str]


def check_name(name: str) -> str:
    """Give back a name that can be part of a file's name.

    Raises:
        ValueError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r} must consist of letters, digits, '.', '_' and '-', and start with a "
            "letter or digit: it becomes part of file names (--name)"
        )
    return name


def profile_of(measurement: Measurement, name: str) -> ProgramProfile:
    """Curves and summary of a traced program.

    Raises:
        TracerError: It touched too little memory for a curve.
    """
    return ProgramProfile(
        name=check_name(name),
        pages=_curve_of(measurement.pages, measurement),
        lines=_curve_of(measurement.lines, measurement),
        footprint=measurement.windows,
        summary=_summary_of(measurement, name),
    )


def write_profile(profile: ProgramProfile, folder: Path) -> list[Path]:
    """Write a profile's files; a program of the same name is replaced. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages, lines, footprint = _curve_paths(folder, profile.name)
    for path, curve in ((pages, profile.pages), (lines, profile.lines)):
        columns = zip(
            curve.size_blocks,
            curve.size_blocks * curve.block_bytes,
            [f"{value:.6g}" for value in curve.miss_ratio],
            [f"{value:.6g}" for value in curve.misses_per_kilo_instr],
            strict=True,
        )
        _write_csv(path, CURVE_COLUMNS, columns)
    _write_csv(footprint, FOOTPRINT_COLUMNS, profile.footprint.tolist())
    summary = folder / "summary.csv"
    rows = {row["name"]: row for row in _read_csv(summary)} if summary.is_file() else {}
    rows[profile.name] = dict(profile.summary)
    _write_csv(
        summary,
        SUMMARY_COLUMNS,
        ([row.get(column, "") for column in SUMMARY_COLUMNS] for _, row in sorted(rows.items())),
    )
    return [pages, lines, footprint, summary]


def read_profile(folder: Path, name: str) -> ProgramProfile:
    """Read what ``write_profile`` wrote.

    Raises:
        FileNotFoundError: A file of that program is missing.
        KeyError: ``summary.csv`` has no row of that name.
    """
    pages, lines, footprint = _curve_paths(folder, name)
    summaries = {row["name"]: row for row in _read_csv(folder / "summary.csv")}
    rows = [[int(row[column]) for column in FOOTPRINT_COLUMNS] for row in _read_csv(footprint)]
    return ProgramProfile(
        name=name,
        pages=_read_curve(pages, PAGE_BYTES),
        lines=_read_curve(lines, LINE_BYTES),
        footprint=np.array(rows, dtype=np.int64).reshape(-1, len(FOOTPRINT_COLUMNS)),
        summary=summaries[name],
    )


def _curve_of(reuse: Reuse, measurement: Measurement) -> Curve:
    size = _sizes(reuse.num_blocks)
    if len(size) < 2:
        raise TracerError(
            f"{measurement.command[0]}: touched only {reuse.num_blocks} blocks of "
            f"{reuse.block_bytes} bytes (of those sampled): too few for a miss curve"
        )
    miss_ratio = reuse.miss_ratio(size)
    per_kilo = 1000.0 * measurement.refs / measurement.instructions
    return Curve(reuse.block_bytes, size, miss_ratio, miss_ratio * per_kilo)


def _sizes(num_blocks: int) -> NDArray[np.int64]:
    """Sizes from ``MIN_BLOCKS`` in equal ratios up to the footprint, which is the last."""
    octaves = max(np.log2(max(num_blocks, 1) / MIN_BLOCKS), 0.0)
    steps = np.arange(int(octaves * SIZES_PER_OCTAVE) + 1)
    geometric = (MIN_BLOCKS * 2.0 ** (steps / SIZES_PER_OCTAVE)).astype(np.int64)
    return np.unique(np.append(geometric[geometric < num_blocks], num_blocks))


def _summary_of(measurement: Measurement, name: str) -> dict[str, str]:
    refs = np.diff(measurement.windows[:, 0], prepend=0)
    whole = refs == WINDOW_REFS
    unique, dirty = measurement.windows[whole if whole.any() else refs > 0, 2:4].T
    values = (
        name,
        shlex.join(measurement.command),
        f"{measurement.seconds:.1f}",
        f"{measurement.instructions / 1e6:.1f}",
        f"{measurement.refs / 1e6:.1f}",
        f"{measurement.stores / measurement.refs:.3f}",
        f"{measurement.pages.num_blocks}",
        f"{measurement.lines.num_blocks}",
        f"1/{1 << measurement.lines.shift}",
        f"{unique.mean():.1f}",
        f"{dirty.mean():.1f}",
        f"{dirty.max()}",
    )
    return dict(zip(SUMMARY_COLUMNS, values, strict=True))


def _curve_paths(folder: Path, name: str) -> tuple[Path, Path, Path]:
    return (
        folder / f"mrc-{name}-page4k.csv",
        folder / f"mrc-{name}-line64.csv",
        folder / f"footprint-{name}.csv",
    )


def _read_curve(path: Path, block_bytes: int) -> Curve:
    rows = [[float(row[column]) for column in CURVE_COLUMNS] for row in _read_csv(path)]
    size, _, miss_ratio, misses = np.array(rows).T
    return Curve(block_bytes, size.astype(np.int64), miss_ratio, misses)


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Written beside and moved into place: an interrupted run leaves no half file."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    partial.replace(path)
