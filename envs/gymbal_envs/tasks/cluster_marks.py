"""Orders, drawn over the lanes of a cluster, and how to read all that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gymbal_envs.tasks.cluster_events import Order
from gymbal_envs.tasks.cluster_panels import (
    ASIDE_MARKS,
    LENT_MARKS,
    MOST_IN_FULL,
    ORDERS,
    RED,
    SLEEP_MARKS,
    Lane,
    cluster_colors,
)
from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
)

LETTERS = {
    SQUEEZE: ("S", "squeeze"),
    BORROW: ("B", "borrow"),
    RECALL: ("R", "recall"),
    MIGRATE: ("M", "migrate"),
    CLONE: ("C", "clone"),
    MERGE: ("G", "merge"),
    CANCEL: ("X", "cancel"),
}
"""How each order is marked, and what the mark means."""

_UNDOING = (RECALL, MERGE, CANCEL)
_MOST_LETTERS = 0.6
"""Part of a lane's width that letters may take, one beside the other."""
KEY_PAD = 16.0
"""Points that a title leaves for `draw_key`."""
LETTER_INCHES = 0.075
"""Width of a small letter."""


def draw_orders(
    axes: Any,
    episode: ClusterEpisode,
    lanes: Sequence[Lane],
    orders: Sequence[Order],
    until_s: float,
) -> None:
    """A letter for each order above its host's memory, in the colour of its VM.

    Args:
        axes: with the lanes.
        episode: what happened.
        lanes: of its hosts; where they are many, nothing is drawn.
        orders: what to draw, in the order of time.
        until_s: end of the time that the axes show.
    """
    if len(lanes) > MOST_IN_FULL:
        return
    from matplotlib.colors import to_rgb

    colors = cluster_colors(episode)
    for x, y, order in spread(axes, lanes, orders, until_s / 60.0):
        color = to_rgb(colors[int(np.searchsorted(episode.tracks.ids, order.vm))])
        if not letters_fit(axes, order.host, orders):
            axes.plot(x, y, "|", color=color, markersize=5.0, markeredgewidth=0.9, zorder=6)
            continue
        dark = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 0.6
        axes.text(
            x, y, LETTERS[order.verb][0], fontsize=6.5, fontweight="bold", ha="center",
            va="center", zorder=6, color="white" if dark else "black", clip_on=True,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": color, "linewidth": 0},
        )  # fmt: skip


def spread(
    axes: Any, lanes: Sequence[Lane], orders: Sequence[Order], until: float
) -> list[tuple[float, float, Order]]:
    """Where the marks of orders go: minutes, height.

    Letters that would hide each other take the lower row or move on. Where there are too many for
    letters, marks stand at their time, what undoes another order in the lower row.
    """
    width = 1.3 * letter_width(axes) * until
    found = []
    for lane in lanes:
        free = [-np.inf] * len(ORDERS)
        fit = letters_fit(axes, lane.host, orders)
        for order in orders:
            if order.host != lane.host:
                continue
            minute, row = order.time_s / 60.0, int(order.verb in _UNDOING)
            if fit:
                row = next((k for k, since in enumerate(free) if since <= minute), -1)
                row = int(np.argmin(free)) if row < 0 else row
                minute = max(minute, free[row])
                free[row] = minute + width
            found.append((minute, lane.bottom + ORDERS[row], order))
    return found


def letters_fit(axes: Any, host: int, orders: Sequence[Order]) -> bool:
    """Whether the orders of a host are few enough to be marked by letters."""
    return sum(order.host == host for order in orders) * letter_width(axes) < _MOST_LETTERS


def letter_width(axes: Any) -> float:
    """Width of a label's letter, as a part of the axes'."""
    inches = axes.get_position().width * axes.figure.get_figwidth()
    return float(LETTER_INCHES / inches)


def draw_key(axes: Any) -> None:
    """Under the title: what the orders' letters mean. The title needs `KEY_PAD` points."""
    letters = "   ".join(f"{letter} {word}" for letter, word in LETTERS.values())
    said = f"Orders above each host:   {letters}   (ticks where there are many)"
    axes.annotate(
        said, (0.0, 1.0), xytext=(0, 3),
        xycoords="axes fraction", textcoords="offset points", fontsize=8, color="#444444",
    ).set_in_layout(False)  # fmt: skip


def draw_legend(figure: Any, sleeps: bool = False) -> None:
    """Below the figure: what areas and arrows mean; ``sleeps``: also which hosts are not on."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[tuple[Any, str]] = [
        (Patch(facecolor="#606060"), "a VM's memory that it needs"),
        (Patch(facecolor="#606060", alpha=0.3), "that it has to spare"),
        (Patch(**LENT_MARKS), "lent (above the line: borrowed)"),
        (Patch(**ASIDE_MARKS), "reserved or in a pool"),
        (Patch(facecolor=RED, alpha=0.75), "overloaded: missing memory"),
        (Line2D([], [], color="black", linewidth=1.2), "all that the host has"),
        (Line2D([], [], color="black", linewidth=1.5, marker=">", markersize=4), "move"),
        (Line2D([], [], color="black", linewidth=1.5, linestyle=":"), "its pages follow"),
        (Line2D([], [], color="black", linewidth=1.5, linestyle=(0, (4, 2))), "clone"),
        (Line2D([], [], color=RED, linestyle="", marker="x", markeredgewidth=1.8), "given up"),
    ]
    if sleeps:
        marks.append((Patch(**SLEEP_MARKS), "not on"))
    handles, labels = zip(*marks, strict=True)
    figure.legend(
        handles, labels, loc="outside lower left", ncols=5, fontsize=8, frameon=False,
        handlelength=1.8, columnspacing=1.4,
    )  # fmt: skip
