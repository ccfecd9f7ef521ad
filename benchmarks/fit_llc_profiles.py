"""Fit the shipped LLC profiles anew, from measurements that are not part of the project.

    python benchmarks/fit_llc_profiles.py

Reads ``<repo>/../shared/data/llc_ways`` (counters of 40 SPEC programs by cache ways) and
``<repo>/../shared/data/program_curves`` (our eight traced programs), and writes
``llc_programs.csv`` and ``llc_curves.csv`` of ``envs/gymbal_envs/demand/profile_data``: the fitted
parameters, and misses per kilo-instruction by size after the isotonic fit.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from gymbal_envs.demand.llc_fit import MIN_MPI_RANGE
from gymbal_envs.demand.llc_profiles import LlcProfile, from_line_curve, from_ways, typical_costs
from gymbal_envs.demand.llc_tables import LineCurve, WaysTable, read_llc_tables

ROOT = Path(__file__).resolve().parents[1]
WAYS_CSV = ROOT.parent / "shared/data/llc_ways/llc_ways_metrics.csv"
LINE_CURVES = ROOT.parent / "shared/data/program_curves"
FOLDER = ROOT / "envs/gymbal_envs/demand/profile_data"

Row = tuple[str, ...]


def main() -> None:
    for path in (WAYS_CSV, LINE_CURVES):
        if not path.exists():
            sys.exit(f"the measurements are not at {path}: nothing was fitted or written")
    tables = sorted(read_ways(WAYS_CSV), key=lambda table: table.name)
    penalty = typical_penalty(tables)
    spec = tuple(from_ways(table, penalty) for table in tables)
    costs = typical_costs(spec)
    curves = [curve for curve in read_llc_tables(LINE_CURVES) if isinstance(curve, LineCurve)]
    ours = tuple(from_line_curve(curve, *costs) for curve in curves)
    write("llc_programs.csv", program_rows(spec, "cachesim") + program_rows(ours, "gymbal"))
    write("llc_curves.csv", curve_rows(spec + ours))
    print(f"medians: cpi0 {costs[0]:.4g}, penalty {costs[1]:.4g} cycles")


def read_ways(path: Path) -> list[WaysTable]:
    """The programs of a table by ways."""
    return [table for table in read_llc_tables(path) if isinstance(table, WaysTable)]


def typical_penalty(tables: list[WaysTable]) -> float:
    """Median cycles per miss of the programs whose misses vary enough to tell."""
    sensitive = [table for table in tables if np.ptp(table.mpki) / 1000 >= MIN_MPI_RANGE]
    return float(np.median([from_ways(table, 0.0).penalty_cycles for table in sensitive]))


def program_rows(profiles: tuple[LlcProfile, ...], origin: str) -> list[Row]:
    """One row a program, under the header if these are the first ones."""
    rows: list[Row] = []
    if origin == "cachesim":
        rows.append(("program", "origin", "cpi0", "penalty_cycles", "residual"))
    for profile in profiles:
        numbers = (profile.cpi0, profile.penalty_cycles, profile.residual)
        texts = (f"{value:.4g}" if np.isfinite(value) else "" for value in numbers)
        rows.append((profile.name, origin, *texts))
    return rows


def curve_rows(profiles: tuple[LlcProfile, ...]) -> list[Row]:
    """One row a program and size, up to the size from which nothing changes any more."""
    rows: list[Row] = [("program", "size_bytes", "misses_per_kilo_instr")]
    for profile in profiles:
        texts = [f"{1000 * value:.4g}" for value in profile.mpi]
        last = texts.index(texts[-1]) + 1
        for size, text in zip(profile.size_bytes[:last], texts[:last], strict=True):
            rows.append((profile.name, f"{size:.0f}", text))
    return rows


def write(name: str, rows: list[Row]) -> None:
    """Write a CSV file into the package."""
    with (FOLDER / name).open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines, lineterminator="\n").writerows(rows)
    print(FOLDER / name)


if __name__ == "__main__":
    main()
