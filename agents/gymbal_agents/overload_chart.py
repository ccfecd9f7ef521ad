"""A picture for the report: when agents answered overloads of what length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gymbal_agents.charts import new_figure
from gymbal_agents.overload_answers import Answer
from gymbal_agents.overload_story import AgentStory
from gymbal_runtime.cluster.orders import BORROW, MIGRATE

_MOST_PANELS = 6
_IN_FORCE_S, _AT_ONCE_S, _NEVER_S = 2.0, 5.0, 9000.0
"""Where delays that have no logarithm stand in the picture."""
_MARKS = {
    BORROW: ("o", "#0072B2", "first borrow"),
    MIGRATE: ("^", "#D55E00", "first migration"),
}
"""Told apart by people with any colour vision (Okabe and Ito 2008)."""


def answers_figure(story: Mapping[str, AgentStory], shown: Sequence[str]) -> Figure:
    """When agents borrowed and migrated, against how long the overload would have lasted.

    Args:
        story: of each agent.
        shown: agents, the first at most six of them.
    """
    names = list(shown)[:_MOST_PANELS]
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure = new_figure(0.9 + 2.7 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(panels.flat, names, strict=False):
        _draw_answers(axes, story[name].answers, name)
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("would have lasted alone")
    for axes in panels[:, 0]:
        axes.set_ylabel("ordered after")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3, fontsize=8, frameon=False)
    return figure


def _draw_answers(axes: Axes, answers: Sequence[Answer], name: str) -> None:
    """A mark for the first borrow and one for the first migration in each overload."""
    known = [answer for answer in answers if np.isfinite(answer.alone_s)]
    alone = np.maximum([answer.alone_s for answer in known], _AT_ONCE_S)
    jitter = np.exp(np.random.default_rng(0).uniform(-0.06, 0.06, alone.size))  # equal ones apart
    for verb, (mark, color, label) in _MARKS.items():
        at = np.array([_height(answer.delays[verb]) for answer in known])
        did = at < _NEVER_S
        style: dict[str, Any] = {"s": 20, "alpha": 0.7, "linewidths": 0}
        axes.scatter((alone * jitter)[did], at[did], marker=mark, color=color, label=label, **style)
    neither = np.array(
        [all(_height(answer.delays[verb]) == _NEVER_S for verb in _MARKS) for answer in known],
        dtype=np.bool_,
    )
    axes.scatter(
        (alone * jitter)[neither], np.full(neither.sum(), _NEVER_S), marker="x", s=18, alpha=0.5,
        color="#7a7a7a", linewidths=1.0, label="neither",
    )  # fmt: skip
    axes.plot([_AT_ONCE_S, 3600.0], [_AT_ONCE_S, 3600.0], color="#bbbbbb", linewidth=1, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(4.0, 5400.0), ylim=(1.4, 14000.0))
    times = {10.0: "10 s", 60.0: "1 min", 600.0: "10 min", 3600.0: "1 h"}
    axes.set_xticks(list(times), labels=list(times.values()), fontsize=8)
    words = {_IN_FORCE_S: "before", _AT_ONCE_S: "at once", **times, _NEVER_S: "never"}
    axes.set_yticks(list(words), labels=list(words.values()), fontsize=8)
    axes.minorticks_off()
    axes.set_title(f"{name}: {len(answers)} overloads", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)


def _height(delay_s: float) -> float:
    """Where a delay stands: seconds, or the place of what has no logarithm."""
    if delay_s == -np.inf:
        return _IN_FORCE_S
    return _NEVER_S if delay_s == np.inf else max(delay_s, _AT_ONCE_S)
