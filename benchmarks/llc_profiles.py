"""Do the LLC profiles predict an IPC that they were not fitted to? Leave-one-way-out.

    python benchmarks/llc_profiles.py [--plot]

For each of the 40 SPEC programs of ``<repo>/../shared/data/llc_ways`` and each number of ways 1 to
11: fit without it, then predict its IPC. Misses between the neighbours are interpolated as the
simulator does it; below the smallest number of ways the line runs to the LLC references at size 0
(their median over all ways), above the largest one the curve is flat. The bar is a median of the
relative IPC errors of at most 3 %.

Most programs hardly feel the cache, so the same figures are given for those that lose at least
10 % of their IPC with one way, and for a rival that knows no cache: the mean IPC of the other ways.

Prints a table, then one JSON line. The measurements are no part of the project: where they are
missing it says ``"programs": 0``. With ``--plot`` draws docs/images/llc_profiles.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

import numpy as np
from fit_llc_profiles import ROOT, WAYS_CSV, read_ways, typical_penalty
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gymbal_envs.demand.llc_profiles import MIB, WAY_BYTES, from_ways, load_llc_profiles
from gymbal_envs.demand.llc_tables import WaysTable

IMAGE = ROOT / "docs" / "images" / "llc_profiles.png"
BAR = 0.03
SENSITIVE = 0.9  # IPC with one way over IPC with all of them

# Okabe and Ito's eight, which a colour-blind reader can tell apart.
COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
DRAWN = (
    "xalancbmk06", "mcf00", "art00", "omnetpp06", "gcc06", "vpr00", "cactusADM06", "leslie3d06",
)  # fmt: skip

Errors = NDArray[np.float64]  # (programs, ways) relative error of the IPC


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", action="store_true", help=f"draw {IMAGE.relative_to(ROOT)}")
    plot = parser.parse_args().plot
    if not WAYS_CSV.is_file():
        print(f"the measurements are not at {WAYS_CSV}: nothing was checked", file=sys.stderr)
        print(json.dumps({"benchmark": "llc_profiles", "programs": 0, "passed": None}))
        return
    tables = sorted(read_ways(WAYS_CSV), key=lambda table: table.name)
    penalty = typical_penalty(tables)
    errors = np.array([left_out_errors(table, penalty) for table in tables])
    rivals = np.array([rival_errors(table) for table in tables])
    print_table(tables, errors, penalty)
    if plot:
        draw(tables, errors)
    print(json.dumps(summary(tables, errors, rivals)))


def left_out_errors(table: WaysTable, penalty: float) -> list[float]:
    """Relative IPC error at each number of ways, fitted to the others."""
    errors = []
    for index, ways in enumerate(table.ways):
        profile = from_ways(without(table, index), penalty)
        predicted = 1.0 / profile.cpi_at(ways * WAY_BYTES)
        errors.append(abs(float(predicted) / table.ipc[index] - 1.0))
    return errors


def rival_errors(table: WaysTable) -> list[float]:
    """The same for a predictor that knows no cache."""
    others = [without(table, index).ipc.mean() for index in range(len(table.ways))]
    return [abs(float(error)) for error in others / table.ipc - 1.0]


def without(table: WaysTable, index: int) -> WaysTable:
    """The table without one number of ways."""
    return replace(
        table,
        ways=np.delete(table.ways, index),
        ipc=np.delete(table.ipc, index),
        mpki=np.delete(table.mpki, index),
    )


def print_table(tables: list[WaysTable], errors: Errors, penalty: float) -> None:
    print(
        "| program | IPC, 1 and 11 ways | cpi0 | penalty, cycles | median error | max | at ways |"
    )
    print("|---|---|---|---|---|---|---|")
    for table, error in zip(tables, errors, strict=True):
        profile = from_ways(table, penalty)
        worst = int(table.ways[np.argmax(error)])
        print(
            f"| {table.name} | {table.ipc[0]:.2f} {table.ipc[-1]:.2f} | {profile.cpi0:.3f} | "
            f"{profile.penalty_cycles:.1f} | {np.median(error):.2%} | {error.max():.2%} | {worst} |"
        )


def summary(tables: list[WaysTable], errors: Errors, rivals: Errors) -> dict[str, object]:
    """The figures of the JSON line."""
    sensitive = np.array([table.ipc[0] < SENSITIVE * table.ipc[-1] for table in tables])
    inner = slice(1, -1)
    median = float(np.median(errors))
    return {
        "benchmark": "llc_profiles",
        "programs": len(tables),
        "median_error": round(median, 5),
        "inner_ways": figures(errors[:, inner]),
        "one_way": figures(errors[:, :1]),
        "all_ways": figures(errors),
        "sensitive_programs": int(sensitive.sum()),
        "sensitive": figures(errors[sensitive]),
        "sensitive_inner_ways": figures(errors[sensitive][:, inner]),
        "rival_mean_ipc": figures(rivals),
        "rival_mean_ipc_sensitive": figures(rivals[sensitive]),
        "bar": BAR,
        "passed": median <= BAR,
    }


def figures(errors: Errors) -> dict[str, float]:
    """Median, mean, 95th percentile and largest error."""
    p95 = np.percentile(errors, 95)
    values = {"median": np.median(errors), "mean": errors.mean(), "p95": p95, "max": errors.max()}
    return {name: round(float(value), 5) for name, value in values.items()}


def draw(tables: list[WaysTable], errors: Errors) -> None:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    slowdowns, misses, left_out = figure.subplots(1, 3, width_ratios=(4, 4, 3))
    draw_slowdowns(slowdowns, {table.name: table for table in tables})
    draw_misses(misses)
    draw_errors(left_out, errors)
    for axes in (slowdowns, misses, left_out):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGE, dpi=130)
    print(IMAGE)


def draw_slowdowns(axes: Axes, tables: dict[str, WaysTable]) -> None:
    """Measured points on the fitted curves, from one way on."""
    profiles = {profile.name: profile for profile in load_llc_profiles()}
    for name, color in zip(DRAWN, COLORS, strict=True):
        table, profile = tables[name], profiles[name]
        whole = float(table.ways[-1] * WAY_BYTES)
        size = np.linspace(WAY_BYTES, whole, 200)
        axes.plot(size / MIB, profile.slowdown(size, whole), color=color, label=name, lw=1.5)
        axes.plot(table.ways * WAY_BYTES / MIB, table.ipc[-1] / table.ipc, "o", color=color, ms=4)
    axes.set(title="Slowdown of SPEC programs", xlabel="LLC, MiB", xlim=(0, 28))
    axes.set_ylabel("time over time with 27.5 MiB (dots: measured)")
    legend_below(axes)


def draw_misses(axes: Axes) -> None:
    """The eight traced programs."""
    size = np.linspace(0, 11 * WAY_BYTES, 500)
    ours = [profile for profile in load_llc_profiles() if np.isnan(profile.residual)]
    for profile, color in zip(ours, COLORS, strict=True):
        label = profile.name
        axes.plot(size / MIB, 1000 * profile.mpi_at(size), color=color, label=label, lw=1.5)
    axes.set(title="Misses of our eight", xlabel="LLC, MiB", xlim=(0, 28), yscale="log")
    axes.set_ylabel("LLC misses per kilo-instruction")
    legend_below(axes)


def draw_errors(axes: Axes, errors: Errors) -> None:
    """Distribution of the left-out errors."""
    ways = {"1 way": errors[:, :1], "2 to 10 ways": errors[:, 1:-1], "11 ways": errors[:, -1:]}
    for (label, group), color in zip(ways.items(), COLORS[5:], strict=True):
        ordered = np.sort(group.ravel())
        share = np.arange(1, ordered.size + 1) / ordered.size
        axes.step(100 * ordered, share, color=color, label=label, where="post")
    axes.axvline(100 * BAR, color="black", lw=0.8, ls=":")
    axes.set(title="Leave one way out", xlabel="IPC error, %", ylabel="share of the predictions")
    axes.set(xscale="log", xlim=(0.01, 40), ylim=(0, 1))
    legend_below(axes)


def legend_below(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


if __name__ == "__main__":
    main()
