"""How close the synthetic fleet is to the real months it was fitted to (August) and not (July).

    python benchmarks/demand_fit.py [--images docs/images]

Prints a Markdown table, writes the plots of docs/demand.md and ends with one line of JSON. The real
months are read from ``<repo>/../shared/data/bitbrains``, which is not part of the project; without
them only the synthetic side is computed, and this script says so.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import demand_plots
import numpy as np

from gymbal_envs.demand.open import open_trace
from gymbal_envs.demand.statistics import LASTED_MIN, fleet_figures, host_overloads
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.demand.trace import Trace

ROOT = Path(__file__).resolve().parents[1]
MONTHS = {
    "August": ROOT.parent / "shared/data/bitbrains/rnd_2013-08.npz",
    "July": ROOT.parent / "shared/data/bitbrains/rnd_2013-07.npz",
}
SEEDS = tuple(range(200, 208))  # nothing was fitted or tuned on these
NUM_VMS, NUM_SAMPLES = 500, 8640
HOSTS = ((20, 4), (20, 5), (20, 6), (20, 8), (8, 4), (8, 5), (8, 6))  # (VMs, overcommitment)

Row = tuple[str, str]  # what it is, how it is printed
Figures = dict[Row, float]


def level_rows(trace: Trace) -> Figures:
    """Rows about single VMs."""
    f = fleet_figures(trace)
    pct = "{:.1%}"
    rows: Figures = {("active memory, mean", pct): f.memory_mean}
    for name, value in zip(("50", "75", "90", "95", "99", "99.9"), f.memory_quantiles, strict=True):
        rows["active memory, p" + name, pct] = value
    rows["active memory, CoV of a VM, median", "{:.2f}"] = f.variation_median
    rows["active memory, peak/mean of a VM, p50", "{:.1f}"] = f.peak_to_mean[0]
    rows["active memory, peak/mean of a VM, p90", "{:.1f}"] = f.peak_to_mean[1]
    rows["active memory, mean correlation of two VMs", "{:.3f}"] = f.pair_correlation
    rows["fleet demand / provisioned memory, mean", pct] = f.weighted_mean
    rows["fleet demand, CoV", "{:.2f}"] = f.weighted_variation
    rows["CPU, mean", pct] = f.cpu_mean
    for name, value in zip(("50", "90", "95"), f.cpu_quantiles, strict=True):
        rows["CPU, p" + name, pct] = value
    for what, found in (("memory", f.memory_autocorrelation), ("CPU", f.cpu_autocorrelation)):
        for lag, values in found.items():
            for percent, value in zip((10, 50, 90), values, strict=True):
                rows[f"{what} autocorrelation, lag {lag * 5} min, p{percent}", "{:.2f}"] = value
    return rows


def host_rows(trace: Trace, vms: int, overcommit: float) -> Figures:
    """Rows about hosts of random VMs."""
    f = host_overloads(trace, overcommit, vms)
    head = f"{vms} VMs, k={overcommit:g}: "
    rows: Figures = {
        (head + "time overloaded", "{:.2%}"): f.time_frac,
        (head + "hosts ever overloaded", "{:.0%}"): f.hosts_hit_frac,
        (head + "episodes of at most 15 min", "{:.0%}"): f.short_frac,
        (head + "overloaded time in episodes > 1 h", "{:.0%}"): f.long_time_frac,
        (head + "load 5 min before onset, p50", "{:.2f}"): f.before_onset[1],
        (head + "jump into the onset, p50", "{:.2f}"): f.jump_median,
    }
    for percent, value in zip((50, 90, 99), f.duration_min, strict=True):
        rows[f"{head}duration p{percent}, min", "{:.0f}"] = value
    for lasted, value in zip(LASTED_MIN, f.more_15min, strict=True):
        rows[f"{head}P(15 min more after {lasted} min)", "{:.2f}"] = value
    return rows


def all_rows(trace: Trace) -> Figures:
    """Every row of the table for one trace."""
    rows = level_rows(trace)
    for vms, overcommit in HOSTS:
        rows |= host_rows(trace, vms, overcommit)
    return rows


def table(real: dict[str, Figures], synthetic: Sequence[Figures]) -> str:
    """Markdown table: the real months, then mean and range of the synthetic fleets."""
    names = [*real, "synthetic", "range over seeds"]
    lines = ["| figure | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row in synthetic[0]:
        values = [figures[row] for figures in synthetic]
        show = row[1].format
        cells = [show(figures[row]) for figures in real.values()]
        cells += [show(np.mean(values)), f"{show(min(values))} to {show(max(values))}"]
        lines.append(f"| {row[0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read_months() -> dict[str, Trace]:
    """The real months that are there."""
    found = {}
    for month, path in MONTHS.items():
        if path.exists():
            found[month] = open_trace(path, repair=True)
        else:
            print(f"{month}: {path} is absent, so the real side of the comparison is skipped.\n")
    return found


def main() -> None:
    """Compare, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="folder for the plots; none by default")
    images: Path | None = parser.parse_args().images
    real = read_months()
    started = time.perf_counter()
    fleets = [SyntheticFleet().generate(NUM_VMS, NUM_SAMPLES, seed) for seed in SEEDS]
    seconds = (time.perf_counter() - started) / len(SEEDS)
    print(f"{NUM_VMS} VMs x {NUM_SAMPLES} samples generated in {seconds:.2f} s\n")
    figures = {month: all_rows(trace) for month, trace in real.items()}
    synthetic = [all_rows(trace) for trace in fleets]
    print(table(figures, synthetic))
    if images is not None:
        demand_plots.draw_all(images, real, fleets)
    result = {month: {row[0]: x for row, x in rows.items()} for month, rows in figures.items()}
    result["synthetic"] = {
        row[0]: float(np.mean([s[row] for s in synthetic])) for row in synthetic[0]
    }
    print(json.dumps({"generation_s": round(seconds, 3), "figures": result}))


if __name__ == "__main__":
    main()
