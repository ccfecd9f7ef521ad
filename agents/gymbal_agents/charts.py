"""Charts of an evaluation: standing, gains over each heuristic, where costs come from, groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gymbal_agents.statistics import Estimate
from gymbal_agents.summary import PERCENT, Group, Line, Summary
from gymbal_envs.tasks.reward import RewardWeights

KIND_COLORS = {"heuristic": "#7a7a7a", "oracle": "#009E73", "policy": "#0072B2"}
"""Told apart by people with any colour vision (Okabe and Ito 2008)."""
_WORSE = "#D55E00"
_WIDTH_INCHES, _DPI = 9.0, 130
_MAX_IN_GROUPS = 6
_MAX_IN_LEGEND_ROW = 4
_LONG_LABEL = 9

PART_COLORS = {
    "progress lost to memory": "#0072B2",
    "progress lost to the cache": "#009E73",
    "progress lost to devices": "#CC79A7",
    "progress lost to monitors": "#F0E442",
    "progress lost to CPU contention": "#9ecae1",
    "balloon traffic": "#E69F00",
    "processes killed": "#D55E00",
    "cache moved": "#8C8C8C",
    "network traffic": "#56B4E9",
    "memory set aside": "#C4B000",
    "energy": "#E69F00",
    "migration traffic": "#56B4E9",
    "hosts full": "#C4B000",
    "moving loss": "#D55E00",
    "slowdown": "#0072B2",
    "waiting": "#CC79A7",
    "hosts on": "#E69F00",
    "downtime": "#D55E00",
    "degradation": "#0072B2",
    "wan traffic": "#56B4E9",
    "away": "#C4B000",
}
_CAUSES = {
    "lost_to_memory": "progress lost to memory",
    "lost_to_cache": "progress lost to the cache",
    "lost_to_io": "progress lost to devices",
    "lost_to_monitors": "progress lost to monitors",
}
_OTHER_TERMS = (
    "balloon_traffic",
    "processes_killed",
    "cache_moved",
    "network_traffic",
    "memory_set_aside",
    "energy",
    "migration_traffic",
    "hosts_full",
    "moving_loss",
    "slowdown",
    "waiting",
    "hosts_on",
    "downtime",
    "degradation",
    "wan_traffic",
    "away",
)


def new_figure(height_inches: float) -> Figure:
    """A blank figure of the reports' width."""
    return Figure(figsize=(_WIDTH_INCHES, height_inches), dpi=_DPI, layout="constrained")


def standing(summary: Summary) -> Figure:
    """Mean cost of every agent, best on top, with its interval."""
    lines = summary.lines
    figure = new_figure(1.3 + 0.32 * len(lines))
    axes = figure.subplots()
    for row, line in enumerate(lines):
        _dot(axes, line.cost, row, KIND_COLORS[line.kind])
    _agent_rows(axes, lines)
    marks = (
        (summary.oracle, "oracle ", "right"),
        (summary.best_heuristic, " best heuristic", "left"),
    )
    for name, word, side in marks:
        if name is not None:
            at, color = summary.line(name).cost.value, KIND_COLORS[summary.line(name).kind]
            axes.axvline(at, color=color, linestyle=(0, (4, 3)), linewidth=1, zorder=0)
            axes.text(at, -0.75, word, color=color, fontsize=8, ha=side, va="bottom")
    axes.set_xlim(left=0.0)
    axes.set_xlabel("cost, % of an interval (less is better; bars: 95 % interval)")
    axes.set_title(
        f"Who loses how much, {summary.shared} scenarios", loc="left", fontsize=11, pad=16
    )
    return figure


def gains(summary: Summary) -> Figure:
    """What the report's subject saves against each heuristic, on the same scenarios."""
    subject = summary.subject
    ordered = sorted(subject.gains.items(), key=lambda item: item[1].value)
    figure = new_figure(1.3 + 0.34 * max(len(ordered), 1))
    axes = figure.subplots()
    for row, (_, gain) in enumerate(ordered):
        color = KIND_COLORS["policy"] if gain.above_zero else _WORSE
        _dot(axes, gain, row, color)
        axes.annotate(
            f"{gain.value:+.2f}", (gain.value, row), xytext=(0, 5), textcoords="offset points",
            ha="center", fontsize=8, color=color,
        )  # fmt: skip
    axes.axvline(0.0, color="black", linewidth=1)
    axes.set_yticks(range(len(ordered)), labels=[name for name, _ in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.8)
    axes.set_xlabel("cost saved, percentage points (right of 0: better; bars: 95 % interval)")
    axes.set_title(f"{subject.name} against each heuristic, pair by pair", loc="left", fontsize=11)
    _clean(axes)
    return figure


def parts(summary: Summary, weights: RewardWeights) -> Figure:
    """What each agent's cost is made of."""
    lines = summary.lines
    figure = new_figure(1.5 + 0.32 * len(lines))
    axes = figure.subplots()
    left = np.zeros(len(lines))
    table = [cost_parts(line, weights) for line in lines]
    for name in table[0]:
        width = np.array([row[name] for row in table])
        color = PART_COLORS[name]
        axes.barh(range(len(lines)), width, left=left, color=color, height=0.66, label=name)
        left += width
    _agent_rows(axes, lines)
    axes.set_xlabel("cost, % of an interval")
    axes.set_title("What the cost is made of", loc="left", fontsize=11)
    figure.legend(loc="outside lower left", ncols=_MAX_IN_LEGEND_ROW, fontsize=8, frameon=False)
    return figure


def cost_parts(line: Line, weights: RewardWeights) -> dict[str, float]:
    """The parts that add up to an agent's mean cost, percent."""
    measures = line.measures
    costs: dict[str, float] = {}
    if "progress_lost" in measures:
        lost = PERCENT * weights.progress_lost
        causes = {label: measures[name] for name, label in _CAUSES.items() if name in measures}
        costs |= {label: lost * part for label, part in causes.items()}
        costs["progress lost to CPU contention"] = lost * (
            measures["progress_lost"] - sum(causes.values())
        )
    for name in _OTHER_TERMS:
        if name in measures:
            costs[name.replace("_", " ")] = PERCENT * getattr(weights, name) * measures[name]
    return costs


def groups(summary: Summary) -> Figure:
    """Gain over the best heuristic by groups of scenarios, for the agents that matter."""
    shown = group_agents(summary)
    kinds = list(dict.fromkeys(group.kind for group in summary.groups))
    figure = new_figure(3.8)
    panels = figure.subplots(1, max(len(kinds), 1), squeeze=False, sharey=True)[0]
    for axes, kind in zip(panels, kinds, strict=False):
        _draw_groups(axes, [g for g in summary.groups if g.kind == kind], shown)
        axes.set_xlabel(kind if kind != "load" else "load (peak demand / memory)")
    panels[0].set_ylabel("cost saved, points")
    panels[0].set_title(
        f"Gain over {summary.best_heuristic}, the best heuristic", loc="left", fontsize=11
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=_MAX_IN_GROUPS, fontsize=8, frameon=False
    )
    return figure


def group_agents(summary: Summary) -> list[Line]:
    """Whom to show by group: the oracle, policies (teams, not their members), next heuristics."""
    others = [line for line in summary.whole_lines if line.name != summary.best_heuristic]
    rank = {"policy": 0, "oracle": 1, "heuristic": 2}
    return sorted(others, key=lambda line: rank[line.kind])[:_MAX_IN_GROUPS]


def _draw_groups(axes: Axes, members: Sequence[Group], shown: Sequence[Line]) -> None:
    markers = "osD^vPX"
    seen: dict[str, int] = {}
    for k, line in enumerate(shown):
        nth = seen[line.kind] = seen.get(line.kind, -1) + 1
        shift = (k - (len(shown) - 1) / 2) * 0.7 / max(len(shown), 1)
        pairs = [(x, g.gains[line.name]) for x, g in enumerate(members) if line.name in g.gains]
        axes.errorbar(
            [x + shift for x, _ in pairs],
            [gain.value for _, gain in pairs],
            yerr=np.array([_reach(gain) for _, gain in pairs]).reshape(-1, 2).T,
            fmt=markers[nth % len(markers)], color=KIND_COLORS[line.kind], label=line.name,
            alpha=1.0 if line.kind != "heuristic" else 0.6, markersize=5, linewidth=1.2,
        )  # fmt: skip
    axes.axhline(0.0, color="black", linewidth=1)
    labels = [f"{_folded(g.label)}\nn = {g.num_scenarios}" for g in members]
    axes.set_xticks(range(len(members)), labels=labels, fontsize=8)
    axes.set_xlim(-0.5, len(members) - 0.5)
    _clean(axes, "y")


def _folded(label: str) -> str:
    """A long name on several lines, so that it does not run into its neighbour."""
    return label.replace("_", "\n") if len(label) > _LONG_LABEL else label


def _agent_rows(axes: Axes, lines: Sequence[Line]) -> None:
    axes.set_yticks(range(len(lines)), labels=[row_label(line) for line in lines])
    for line, text in zip(lines, axes.get_yticklabels(), strict=True):
        text.set_color(KIND_COLORS[line.kind])
        text.set_fontweight("bold" if line.kind == "policy" else "normal")
    axes.set_ylim(len(lines) - 0.4, -0.7)
    _clean(axes)


def row_label(line: Line) -> str:
    """An agent's name, with the number of training seeds of a team."""
    return line.name if line.seeds == 1 else f"{line.name} ({line.seeds} seeds)"


def _dot(axes: Axes, estimate: Estimate, row: int, color: Any) -> None:
    reach = np.array(_reach(estimate)).reshape(2, 1)
    axes.errorbar(
        [estimate.value], [row], xerr=reach, fmt="o", color=color, markersize=6, linewidth=2
    )


def _reach(estimate: Estimate) -> tuple[float, float]:
    """How far the interval goes to either side; nowhere where it is unknown."""
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return max(np.nan_to_num(below), 0.0), max(np.nan_to_num(above), 0.0)


def _clean(axes: Axes, grid: str = "x") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e4e4e4", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
