"""What only the report of a contest about data centres has: energy against service.

The table is that of Beloglazov and Buyya (CCPE 24(13), 2012, section 7); the picture is the one by
which the literature on consolidation compares policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gymbal_agents.charts import KIND_COLORS, new_figure, row_label
from gymbal_agents.contest import Contest
from gymbal_agents.statistics import Estimate, estimate, mean
from gymbal_agents.summary import PERCENT, Line, Summary
from gymbal_agents.tables import Table, interval

Floats = NDArray[np.float64]

ENERGY, VIOLATION = "energy_kwh", "slav"
_COLUMNS = (
    ("energy_kwh", "kWh", 1.0, "{:.2f}"),
    ("migrations", "migrations", 1.0, "{:.0f}"),
    ("slatah", "SLATAH, %", PERCENT, "{:.2f}"),
    ("pdm", "PDM, %", PERCENT, "{:.4f}"),
    ("slav", "SLAV, 1e-6", 1e6, "{:.3f}"),
    ("esv", "ESV, 1e-6 kWh", 1e6, "{:.2f}"),
)
_MILLION = 1e6
_LINE_POINTS, _NAME_POINTS = 11.0, 95.0
"""Room that a name takes in the picture."""


def tells_of_energy(contest: Contest) -> bool:
    """Whether energy and violations were measured."""
    first = next(iter(contest.evaluation.measures.values()))
    return ENERGY in first and VIOLATION in first


def energy_table(contest: Contest, summary: Summary) -> Table:
    """Energy, moves and violations of every agent, least energy first."""
    lines = sorted(summary.whole_lines, key=lambda line: line.measures[ENERGY])
    rows = tuple(
        (
            row_label(line),
            *(
                interval(mean(factor * _values(contest, line, name, summary.shared)), form)
                for name, _, factor, form in _COLUMNS
            ),
        )
        for line in lines
    )
    return Table(
        title="Energy and service",
        note="Means of whole episodes. SLATAH: part of the time of hosts with VMs in which all "
        "their MIPS were used; PDM: part of the wanted CPU time that moves took; SLAV: their "
        "product, in each episode; ESV: kWh times that. Brackets: 95 % bootstrap intervals.",
        header=("agent", *(head for _, head, _, _ in _COLUMNS)),
        rows=rows,
        strong=_policies(lines),
    )


def dominance_table(contest: Contest, summary: Summary) -> Table:
    """What the report's subject takes and violates, as parts of what each heuristic does."""
    subject = summary.subject
    rows = []
    for line in summary.whole_lines:
        if line.kind != "heuristic" or line.name == subject.name:
            continue
        ratios = [_ratio(contest, subject, line, name) for name in (ENERGY, VIOLATION)]
        rows.append((line.name, *(_percent(each) for each in ratios), _verdict(ratios)))
    return Table(
        title=f"{subject.name} against each heuristic",
        note="Means over the same episodes, in percent of the heuristic's. It dominates who takes "
        "more energy and violates more, each beyond doubt (both intervals below 100).",
        header=("against", "energy, %", "SLAV, %", "verdict"),
        rows=tuple(rows),
    )


def energy_figure(contest: Contest, summary: Summary) -> Figure:
    """Every agent by its energy and its violations, these with intervals; best is bottom left.

    Energies differ between agents in the same way on every scenario, and by far more between
    scenarios: their intervals are in the table.
    """
    figure = new_figure(5.2)
    axes = figure.subplots()
    points = []
    for line in summary.whole_lines:
        energy, violation = (
            mean(_values(contest, line, name, summary.shared)) for name in (ENERGY, VIOLATION)
        )
        points.append((line, energy, violation))
    least = min((v.value for _, _, v in points if v.value > 0), default=1e-9) * _MILLION
    for line, energy, violation in points:
        _draw_point(axes, line, energy, violation.scaled(_MILLION))
    axes.set_yscale("symlog", linthresh=least / 2)
    axes.set_ylim(-0.1 * least, 6.0 * max(v.high for _, _, v in points) * _MILLION)
    axes.set_xscale("log")
    _plain_ticks(axes, [energy.value for _, energy, _ in points])
    _name_points(axes, points)
    axes.set_xlabel("energy, kWh per episode (less is better)")
    axes.set_ylabel("violations, SLAV x 1e6 (less is better)")
    axes.set_title("Energy against service", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def _draw_point(axes: Axes, line: Line, energy: Estimate, violation: Estimate) -> None:
    color, policy = KIND_COLORS[line.kind], line.kind == "policy"
    axes.errorbar(
        [energy.value], [violation.value], yerr=_reach(violation), fmt="o", color=color,
        markersize=8 if policy else 5, linewidth=1.0, zorder=3 if policy else 2,
    )  # fmt: skip


def _name_points(axes: Axes, points: Sequence[tuple[Line, Estimate, Estimate]]) -> None:
    """Names beside their points, from below; who would stand on another is lifted above it."""
    scale = 72.0 / axes.figure.dpi
    placed: list[Floats] = []
    for line, energy, violation in sorted(points, key=lambda point: point[2].value):
        at = (energy.value, violation.value * _MILLION)
        corner = axes.transData.transform(at) * scale + (10.0, -3.0)
        while any(_collide(corner, other) for other in placed):
            corner = corner + np.array([0.0, _LINE_POINTS])
        placed.append(corner)
        policy = line.kind == "policy"
        axes.annotate(
            row_label(line), at, xytext=tuple(corner - axes.transData.transform(at) * scale),
            textcoords="offset points", fontsize=8, color=KIND_COLORS[line.kind],
            fontweight="bold" if policy else "normal",
            arrowprops={"arrowstyle": "-", "color": "#cccccc", "linewidth": 0.7},
        )  # fmt: skip


def _collide(one: Floats, other: Floats) -> bool:
    apart = np.abs(one - other)
    return bool(apart[0] < _NAME_POINTS and apart[1] < _LINE_POINTS)


def _reach(estimate: Estimate) -> Floats:
    ends = [estimate.value - estimate.low, estimate.high - estimate.value]
    reach: Floats = np.maximum(np.nan_to_num(np.array(ends)), 0.0)
    return reach.reshape(2, 1)


def _plain_ticks(axes: Axes, values: Sequence[float]) -> None:
    """Numbers of kWh in words that people use, not powers of ten."""
    ticks = [m * 10.0**e for e in range(-2, 7) for m in (1, 2, 5)]
    low, high = min(values) / 1.25, max(values) * 1.6
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xlim(low, high)
    axes.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
    axes.minorticks_off()


def _values(contest: Contest, line: Line, measure: str, shared: int) -> Floats:
    """(S, M) of an agent's training seeds in the scenarios that everybody played."""
    members = [name for name, one in contest.roster.items() if line.name in (name, one.team)]
    if line.seeds == 1:
        members = [line.name]
    return np.stack([contest.evaluation.values(name, measure)[:shared] for name in members])


def _ratio(contest: Contest, ours: Line, theirs: Line, measure: str) -> Estimate:
    """Percent of what another takes; infinite where that is nothing at all."""
    shared = min(ours.num_scenarios, theirs.num_scenarios)
    mine, its = (_values(contest, line, measure, shared) for line in (ours, theirs))
    if not its.any():
        nothing = np.inf if mine.any() else PERCENT
        return Estimate(nothing, nothing, nothing)
    return estimate(_ratio_of_means, mine, its).scaled(PERCENT)


def _ratio_of_means(ours: Floats, theirs: Floats, axis: int = -1) -> Any:
    return ours.mean(axis=axis) / np.maximum(theirs.mean(axis=axis), 1e-300)


def _percent(ratio: Estimate) -> str:
    return interval(ratio, "{:.1f}") if np.isfinite(ratio.value) else "it violates nothing"


def _verdict(ratios: Sequence[Estimate]) -> str:
    if all(ratio.high < PERCENT for ratio in ratios):
        return "dominated"
    better = [ratio.value < PERCENT for ratio in ratios]
    if all(better):
        return "better in both, not beyond doubt"
    return "a trade" if any(better) else "worse in both"


def _policies(lines: Sequence[Line]) -> frozenset[str]:
    return frozenset(row_label(line) for line in lines if line.kind == "policy")
