"""Tables and the picture of `overdriver`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from overdriver_answers import LATE, MIGRATION, NEVER, WITHIN, Answers
from overdriver_curves import BALANCED, FINELY, FIXED, OVERDRIVER, POOL_AND_ROOM, SHIPPED, Curve


def print_answers(found: Answers) -> None:
    """Performance by excess."""
    print("| excess | " + " | ".join(f"{e:g}" for e in found.excess) + " |")
    print("|---|" + "---:|" * len(found.excess))
    for rule in found.progress:
        cells = " | ".join(f"{value:.3f}" for value in found.performance(rule))
        print(f"| {rule}: performance | {cells} |")
    for rule in found.network:
        cells = " | ".join(f"{value / 1e12:.2f}" for value in found.network[rule].sum(axis=1))
        print(f"| {rule}: TB on the network | {cells} |")
    for rule in found.taken:
        cells = " | ".join(f"{value:.3f}" for value in found.taken[rule].mean(axis=1))
        print(f"| {rule}: excess in use at the peak | {cells} |")
    print()


def print_curves(where: str, curves: dict[str, Curve]) -> None:
    """Every point, in percent."""
    print(f"| {where} | knob | memory wasted, % | progress lost, % | time with a tenth lost, % |")
    print("|---|---:|---:|---:|---:|")
    for name, each in curves.items():
        table = zip(each.knobs, each.idle, each.lost, each.bad, strict=True)
        for knob, *values in table:
            cells = " | ".join(f"{100 * float(np.mean(v)):.3f}" for v in values)
            print(f"| {name} | {knob:g} | {cells} |")
    print()


ORIGINAL, DEFAULT = "fixed-allotment clusters", "Overload-v0"
PERCENT = (1, 2, 5, 10, 20, 40, 80)
TICKS = {ORIGINAL: (0.2, 0.3, 0.5, 0.8), DEFAULT: (0.5, 0.7, 1, 2, 5)}
STYLES = {
    MIGRATION: ("#000000", "s", "-"),
    OVERDRIVER: ("#D55E00", "o", "-"),
    LATE: ("#D55E00", "o", ":"),
    NEVER: ("#999999", "v", "-"),
    FIXED: ("#D55E00", "o", "-"),
    BALANCED: ("#E69F00", "o", "--"),
    SHIPPED: ("#56B4E9", "^", ":"),
    FINELY: ("#0072B2", "^", "-"),
    POOL_AND_ROOM: ("#CC79A7", "o", "-."),
}


def draw(path: Path, found: Answers, curves: dict[str, dict[str, Curve]]) -> None:
    """Performance over excess, and lost progress over wasted memory in both settings."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    axes = figure.subplots(1, 3)
    for rule in found.progress:
        color, marker, line = STYLES[rule]
        axes[0].plot(
            100 * np.array(found.excess), 100 * found.performance(rule), color=color,
            marker=marker, linestyle=line, label=rule,
        )  # fmt: skip
    axes[0].axhline(100 * (1 - WITHIN), color="0.6", lw=0.8)
    axes[0].set(
        xscale="log", xticks=PERCENT, xticklabels=PERCENT,
        xlabel="excess space, % of the allotments", title=f"{ORIGINAL} (B9)",
        ylabel="performance while overloaded, % of well provisioned",
    )  # fmt: skip
    axes[0].minorticks_off()
    for ax, (where, some) in zip(axes[1:], curves.items(), strict=True):
        for name, each in some.items():
            color, marker, line = STYLES[name]
            ax.plot(
                100 * each.idle.mean(axis=1), 100 * each.lost.mean(axis=1), color=color,
                marker=marker, linestyle=line, label=name,
            )  # fmt: skip
        ax.set(
            yscale="log", yticks=TICKS[where], yticklabels=TICKS[where], title=f"{where} (B10)",
            xlabel="memory wasted, %",
            ylabel="progress lost, %", xlim=(-1, 25),
        )  # fmt: skip
        ax.minorticks_off()
    for ax in axes:
        ax.grid(alpha=0.25, which="both")
        ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13))
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    print(f"wrote {path}\n")
