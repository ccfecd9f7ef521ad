"""Overdriver (VEE 2011) against migration alone, and the project's proposal against Overdriver.

    python benchmarks/overdriver.py [--quick] [--image docs/images/overdriver.png]

**B9.** Clusters of 4 to 8 hosts with 8 to 12 VMs of fixed allotments (`overdriver_setting`): the
98 % quantile of each VM's days, **chosen on the training part** so that as many overloads as
published last less than two minutes. Levels and excursions are those of gymbal/Overload-v0; knots
are every 10 s, windows drawn evenly, and there are no cold pages. Each host has a disk to swap to
(as in 2011), 10 Gb/s, and 2,000 to 10,000 touches/s as in B7. **Disk, touch rate and far memory
from the start were chosen after looking at other settings too**; those are the table of variants.
A rule gets hosts with some *excess*: memory beyond the allotments, in units of these.

* *Migration alone* (`always_migrate`): the VM that suffers moves to where its peak fits.
* *Overdriver*: the rule `overdriver`, a reserved pool of 5 % of a host (its default; of less excess
  all), the rest is room for arrivals. Far memory is the VMs' swap device from the start, as
  cooperative swap was in the original; orders to borrow only once a VM suffers are told beside it.
* *Well provisioned*: the same demand, and nobody ever swaps.

A VM that moved gets what it asks for, until it has fitted into its allotment for two minutes.
Performance is progress in the intervals (10 s) in which a VM's true working set exceeds its
allotment, relative to the well-provisioned twin's in the same ones.

*Excess space needed* is the least excess, pool and room for arrivals together, at which a rule
works: at which performance is within 8 % of well provisioned. Where migration alone never gets
there, it is compared at its own best less one point. Told beside it: each rule at its own best less
one point, and what is in use at the peak of the hour (pools, reservations, VMs away from home)
where there is plenty. What the original's body defined could not be read.

**B10.** Memory wasted is what nobody holds: pools not lent, reservations, free memory; from the
engine's books, every 10 s. Rules are played over a knob for space, and waste is compared where as
much progress is lost (share-weighted; also: VM time with more than a tenth lost), linear between
points, 95 % bootstrap over scenarios; where a rule never loses so little its waste counts as all
memory. `balance_first` has the options of the task, **tuned** on training scenarios of Overload-v0;
Overdriver has its defaults, not tuned. Overdriver's knob is its reserve, that of `balance_first`
the part of unused memory that stays with the host (`kept_frac`). It is played as the task has it,
and with what Overdriver has here: far swap from the start, and lending of nearly all that is free
(watermark 1/256 in place of 1/16). Overdriver is played with fixed allotments, with local balancing
over a fixed pool, and (in Overload-v0) with the room for arrivals that the proposal has, too.

Prints tables, rows, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bars import Row, print_table
from matplotlib.figure import Figure
from overdriver_curves import (
    BALANCED,
    FINELY,
    FIXED,
    OVERDRIVER,
    POOL_AND_ROOM,
    REFERENCE,
    SHIPPED,
    Curve,
    compare,
    default_curves,
    original_curves,
)
from overdriver_play import Played, played
from overdriver_setting import (
    CALM_S,
    QUANTILE,
    Clusters,
    Drawn,
    FixedAllotments,
    Ordered,
    ordered,
    setting,
    shape_of_setting,
    task_of,
    well_provisioned,
    with_allotments,
)

from gymbal_agents.statistics import estimate
from gymbal_envs.demand.statistics import overload_runs
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_runtime.telemetry import Bools, Floats

EXCESS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
QUICK_EXCESS = (0.02, 0.05, 0.2, 0.4)
AMPLE = 0.4
"""Excess at which performance and traffic are compared: migration alone is near its best."""
MANY = 96
WITHIN, POINT = 0.08, 0.01
MIGRATION = "migration alone"
LATE = f"{OVERDRIVER}, borrows late"
NEVER = "far memory alone"
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Answers:
    """Rules over excess space, in C clusters.

    Attributes:
        excess: E values.
        progress: rule -> (E, C) progress of overloaded VMs' intervals, summed.
        twin: (C,) the same of the well-provisioned twin.
        network: rule -> (E, C) bytes.
        taken: rule -> (E, C) memory in use of the excess at the peak, in units of the allotments.
        moves: rule -> (E,) moves begun per VM and hour.
        share: part of the VMs' time that is overloaded.
    """

    excess: tuple[float, ...]
    progress: dict[str, Floats]
    twin: Floats
    network: dict[str, Floats]
    taken: dict[str, Floats]
    moves: dict[str, Floats]
    share: float

    def performance(self, rule: str, chosen: Any = slice(None)) -> Floats:
        """(E,) relative to the twin, of the chosen clusters."""
        part: Floats = self.progress[rule][:, chosen].sum(axis=1) / self.twin[chosen].sum()
        return part


def overloaded(drawn: Sequence[Drawn], steps: int) -> Bools:
    """(T, C, H * V) intervals in which a VM's demand exceeds its allotment at some knot."""
    over = np.stack([each.over for each in drawn], axis=1)
    over = over.reshape(*over.shape[:2], -1)
    some: Bools = (over[:-1] | over[1:])[:steps]
    return some


def answers(
    config: ClusterConfig,
    num_clusters: int,
    excess: Sequence[float],
    rules: Sequence[str] = (MIGRATION, OVERDRIVER, LATE, NEVER),
    quantile: float = QUANTILE,
    calm_s: float = CALM_S,
) -> Answers:
    """Play the rules at every excess."""
    source, shape = Clusters(config, quantile=quantile), shape_of_setting(config)
    drawn = [source(index) for index in range(num_clusters)]
    over, task = overloaded(drawn, shape.episode_steps), task_of(FixedAllotments(calm_s=calm_s))
    allotted = np.array([each.allotted.sum() for each in drawn])
    num_vms = sum(int((each.allotted > 0).sum()) for each in drawn)

    def progress(result: Played) -> Floats:
        total: Floats = np.where(over, 1.0 - result.lost, 0.0).sum(axis=(0, 2))
        return total

    ample = [well_provisioned(each) for each in drawn]
    twin = played(lambda _: ordered("never_migrate", pool_frac=0.0), ample, shape, task)
    found: dict[str, list[Played]] = {rule: [] for rule in rules}
    for each in excess:
        scenarios = [with_allotments(one, each) for one in drawn]
        for rule in rules:
            make = partial(_agent, rule, each)
            found[rule].append(played(make, scenarios, shape, task))
    return Answers(
        excess=tuple(excess),
        progress={rule: np.stack([progress(p) for p in some]) for rule, some in found.items()},
        twin=progress(twin),
        network={rule: np.stack([p.network_bytes for p in some]) for rule, some in found.items()},
        taken={
            rule: np.stack([p.taken.max(axis=0) / allotted for p in some])
            for rule, some in found.items()
        },
        moves={
            rule: np.array([p.moves.sum() / num_vms for p in some]) for rule, some in found.items()
        },
        share=float(over.sum() / (num_vms * over.shape[0])),
    )


def _agent(rule: str, excess: float, _: Any) -> Ordered:
    """A rule with what it sets aside of hosts that have this excess."""
    part = excess / (1.0 + excess)
    if rule == MIGRATION:
        return ordered("always_migrate", pool_frac=0.0)
    if rule == NEVER:
        return ordered("never_migrate", pool_frac=part, standing=True)
    options = {"least_pool_frac": min(0.05, part), "most_pool_frac": min(0.25, part)}
    return ordered("overdriver", standing=rule == OVERDRIVER, **options)


def needed(excess: Sequence[float], performance: Floats, level: float) -> float:
    """Least excess at which performance reaches a level; infinite: at none that was played.

    Linear between the points; the first point where that is enough.
    """
    for k, value in enumerate(performance):
        if value >= level:
            if k == 0:
                return float(excess[0])
            before = performance[k - 1]
            part = (level - before) / (value - before)
            return float(excess[k - 1] + part * (excess[k] - excess[k - 1]))
    return float("inf")


def durations(config: ClusterConfig, num_clusters: int, split: Any = "test") -> Floats:
    """Seconds that complete overloads of VMs last."""
    source = Clusters(config, split)
    found = []
    for index in range(num_clusters):
        each = source(index)
        over = each.over.transpose(1, 2, 0)[each.allotted > 0]
        runs = overload_runs(2.0 * over.astype(np.float64))
        found.append(runs.length[runs.complete] * config.knot_s)
    return np.concatenate(found)


def duration_rows(config: ClusterConfig, num_clusters: int) -> list[Row]:
    """How many overloads are short."""
    test, train = (durations(config, num_clusters, split) for split in ("test", "train"))
    short = float(np.mean(test < 120))
    p50, p90, p99 = np.quantile(test, (0.5, 0.9, 0.99))
    note = (
        f"published up to 0.881; p50/p90/p99 {p50:.0f}/{p90:.0f}/{p99:.0f} s, "
        f"{np.mean(test >= 600):.3f} last 10 min or more and are "
        f"{test[test >= 600].sum() / test.sum():.2f} of the time; of {test.size}; calibrated on "
        f"the training part ({np.mean(train < 120):.3f}): the allotments' quantile"
    )
    return [Row("B9", "overloads of VMs shorter than 2 min", "≥ 0.85", short, short >= 0.85, note)]


def answer_rows(found: Answers, many: Answers) -> list[Row]:
    """Performance, traffic and space: of the sweep, and of more clusters with ample excess."""
    k, most = found.excess.index(AMPLE), many.excess.index(AMPLE)
    ours, theirs = (
        estimate(_ratio, many.progress[rule][most], many.twin) for rule in (OVERDRIVER, MIGRATION)
    )
    traffic = estimate(_ratio, many.network[OVERDRIVER][most], many.network[MIGRATION][most])
    ratios = ", ".join(
        f"{_ratio(found.network[OVERDRIVER][i], found.network[MIGRATION][i]):.2f} at {e:g}"
        for i, e in enumerate(found.excess)
        if e >= 0.2
    )
    late = found.performance(LATE)[k]
    late_wire = _ratio(found.network[LATE][k], found.network[MIGRATION][k])
    return [
        Row("B9", f"Overdriver's performance while overloaded, excess {AMPLE:g}", "≥ 0.92",
            ours.value, ours.value >= 1 - WITHIN,
            f"95 % {ours.low:.3f} to {ours.high:.3f}; migration alone {theirs.value:.3f}, far "
            f"memory alone {found.performance(NEVER)[k]:.3f}, Overdriver that borrows only once a "
            f"VM suffers {late:.3f}; {found.share:.3f} of VM time is overloaded"),
        Row("B9", f"its network traffic over migration alone, excess {AMPLE:g}", "≤ 1/3",
            traffic.value, traffic.value <= 1 / 3,
            f"published 1/4; 95 % {traffic.low:.2f} to {traffic.high:.2f}; in the sweep {ratios}; "
            f"borrowing late {late_wire:.2f}; moves per VM and hour "
            f"{found.moves[OVERDRIVER][k]:.2f} and "
            f"{found.moves[MIGRATION][k]:.2f}"),
        *space_rows(found),
        taken_row(many),
    ]  # fmt: skip


def space_rows(found: Answers) -> list[Row]:
    """Excess space by each definition."""
    excess, n = found.excess, found.twin.size

    def needs(chosen: Any) -> tuple[float, float, float, float]:
        ours, theirs = (found.performance(r, chosen) for r in (OVERDRIVER, MIGRATION))
        level = float(theirs.max()) - POINT
        return (
            needed(excess, ours, 1 - WITHIN),
            needed(excess, theirs, level),
            needed(excess, ours, level),
            needed(excess, ours, float(ours.max()) - POINT),
        )

    rng = np.random.default_rng(0)
    drawn = np.array([needs(rng.integers(n, size=n)) for _ in range(RESAMPLES)])
    within, best, same, own = needs(np.arange(n))
    reached = needed(excess, found.performance(MIGRATION), 1 - WITHIN)
    never = f"never, up to {excess[-1]:g}" if np.isinf(reached) else f"{reached:.3f}"

    def row(what: str, value: float, column: int, note: str) -> Row:
        ratio = value / best
        low, high = np.sort(drawn[:, column] / drawn[:, 1])[[25, 974]]
        note = f"95 % {low:.3f} to {high:.3f}; {note}"
        return Row("B9", what, "≤ 0.25", ratio, ratio <= 0.25, note)

    return [
        row("excess needed: Overdriver within 8 %, migration alone at its best", within, 0,
            f"published 0.15; {within:.3f} over {best:.3f}; migration alone within 8 %: {never}"),
        row("excess needed: both as good as migration alone at its best", same, 2,
            f"{same:.3f} over {best:.3f}; {excess[0]:g} is the least that was played"),
        row("excess needed: each within a point of its own best", own, 3,
            f"{own:.3f} over {best:.3f}; Overdriver's own best is {_best(found):.3f}"),
    ]  # fmt: skip


def taken_row(found: Answers) -> Row:
    """What is in use of the excess where there is plenty."""
    ours, theirs = (
        found.taken[rule][found.excess.index(AMPLE)] for rule in (OVERDRIVER, MIGRATION)
    )
    taken = estimate(_ratio, ours, theirs)
    note = (
        f"95 % {taken.low:.2f} to {taken.high:.2f}; {ours.mean():.3f} and {theirs.mean():.3f} of "
        "the allotments; the pool of 0.05 is reserved all the time"
    )
    what = f"excess in use at the peak of the hour, excess {AMPLE:g}"
    return Row("B9", what, "≤ 0.25", taken.value, taken.value <= 0.25, note)


def _best(found: Answers) -> float:
    return float(found.performance(OVERDRIVER).max())


def _ratio(above: Floats, below: Floats, axis: int = -1) -> Any:
    return above.sum(axis=axis) / below.sum(axis=axis)


VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as above": ({}, {}),
    "far memory over RDMA": ({"far_tiers": ("rdma",)}, {}),
    "1 Gb/s": ({"far_tiers": ("tcp_1g",), "nic_gbit_s": (1.0,)}, {}),
    "swap on an SSD": ({"tiers": ("sata_ssd",)}, {}),
    "500 to 2,000 touches/s": ({"pressure_hz": (500.0, 2000.0)}, {}),
    "20,000 to 400,000 (Overload-v0)": ({"pressure_hz": (2e4, 4e5)}, {}),
    "the same, on an SSD": ({"pressure_hz": (2e4, 4e5), "tiers": ("sata_ssd",)}, {}),
    "allotted the 95 % quantile": ({}, {"quantile": 0.95}),
    "allotted the 99 % quantile": ({}, {"quantile": 0.99}),
    "VMs that moved keep what they got": ({}, {"calm_s": np.inf}),
}
"""What else could have been chosen: changes of the clusters, and of how they are played."""


def print_variants(num_clusters: int) -> dict[str, list[float]]:
    """Performance, traffic and space in use where another choice is made, in the same clusters."""
    print("| setting | migration alone | Overdriver | traffic | in use at the peak |")
    print("|---|---:|---:|---:|---:|")
    told = {}
    for name, (changes, options) in VARIANTS.items():
        found = answers(
            setting(**changes), num_clusters, (AMPLE,), (MIGRATION, OVERDRIVER), **options
        )
        values = [
            float(found.performance(MIGRATION)[0]),
            float(found.performance(OVERDRIVER)[0]),
            float(_ratio(found.network[OVERDRIVER][0], found.network[MIGRATION][0])),
            float(_ratio(found.taken[OVERDRIVER][0], found.taken[MIGRATION][0])),
        ]
        told[name] = [round(value, 4) for value in values]
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    print()
    return told


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


def curve_rows(where: str, curves: dict[str, Curve]) -> list[Row]:
    """B10: the proposal against each form of Overdriver."""
    rows = []
    for ours in (SHIPPED, FINELY):
        for theirs in (name for name in (FIXED, BALANCED, POOL_AND_ROOM) if name in curves):
            lost, bad = (compare(curves[ours], curves[theirs], m) for m in ("lost", "bad"))
            k = curves[theirs].at(REFERENCE)
            never = "never loses so little: counts as all memory; " if lost.value > 0.5 else ""
            note = (
                f"{never}95 % {lost.low:+.4f} to {lost.high:+.4f}; that one wastes "
                f"{curves[theirs].idle[k].mean():.4f} and loses "
                f"{curves[theirs].lost[k].mean():.4f}; less at {lost.better_at} of its "
                f"{lost.knobs} reserves; at equal VM time with more than a tenth lost "
                f"{bad.value:+.4f} ({bad.low:+.4f} to {bad.high:+.4f})"
            )
            what = f"{where}: waste of {ours}, minus {theirs}"
            rows.append(Row("B10", what, "< 0", lost.value, lost.high < 0, note))
    return rows


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


def rows(quick: bool = True, image: Path | None = None) -> list[Row]:
    """All rows of B9 and B10; prints the tables behind them where not ``quick``."""
    config = setting()
    found = answers(config, 32, QUICK_EXCESS if quick else EXCESS)
    # Traffic is decided by few long overloads: the first 16 clusters alone would have 0.27 and
    # pass, so it takes many.
    many = found if quick else answers(config, MANY, (AMPLE,), (MIGRATION, OVERDRIVER))
    curves = {
        ORIGINAL: original_curves(16 if quick else 32, quick),
        DEFAULT: default_curves(16 if quick else 48, quick),
    }
    if not quick:
        print_answers(found)
        for where, some in curves.items():
            print_curves(where, some)
    if image is not None:
        draw(image, found, curves)
    b10 = [row for where, some in curves.items() for row in curve_rows(where, some)]
    return [*duration_rows(config, 10 if quick else 100), *answer_rows(found, many), *b10]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few clusters, coarse curves")
    parser.add_argument("--image", type=Path, help="draw the curves into this file")
    args = parser.parse_args()
    found = rows(args.quick, args.image)
    variants = {} if args.quick else print_variants(16)
    print_table(found)
    line = {
        "benchmark": "overdriver",
        "quick": args.quick,
        "results": [row.plain() for row in found],
        "variants": variants,
        "passed": sum(row.passed for row in found),
        "missed": sum(not row.passed for row in found),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
