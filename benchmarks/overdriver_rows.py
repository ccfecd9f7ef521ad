"""What `overdriver` holds against its bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from bars import Row
from overdriver_answers import (
    AMPLE,
    LATE,
    MIGRATION,
    NEVER,
    POINT,
    WITHIN,
    Answers,
    needed,
    ratio_of,
)
from overdriver_curves import (
    BALANCED,
    FINELY,
    FIXED,
    OVERDRIVER,
    POOL_AND_ROOM,
    REFERENCE,
    RESAMPLES,
    SHIPPED,
    Curve,
    compare,
)
from overdriver_setting import Clusters

from gymbal_agents.statistics import estimate
from gymbal_envs.demand.statistics import overload_runs
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_runtime.telemetry import Floats


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
        estimate(ratio_of, many.progress[rule][most], many.twin) for rule in (OVERDRIVER, MIGRATION)
    )
    traffic = estimate(ratio_of, many.network[OVERDRIVER][most], many.network[MIGRATION][most])
    ratios = ", ".join(
        f"{ratio_of(found.network[OVERDRIVER][i], found.network[MIGRATION][i]):.2f} at {e:g}"
        for i, e in enumerate(found.excess)
        if e >= 0.2
    )
    late = found.performance(LATE)[k]
    late_wire = ratio_of(found.network[LATE][k], found.network[MIGRATION][k])
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
    taken = estimate(ratio_of, ours, theirs)
    note = (
        f"95 % {taken.low:.2f} to {taken.high:.2f}; {ours.mean():.3f} and {theirs.mean():.3f} of "
        "the allotments; the pool of 0.05 is reserved all the time"
    )
    what = f"excess in use at the peak of the hour, excess {AMPLE:g}"
    return Row("B9", what, "≤ 0.25", taken.value, taken.value <= 0.25, note)


def _best(found: Answers) -> float:
    return float(found.performance(OVERDRIVER).max())


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
