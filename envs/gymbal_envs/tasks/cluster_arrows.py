"""Moves, drawn over the lanes of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gymbal_envs.tasks.cluster_events import (
    ARRIVED,
    CANCELLED,
    CLONED,
    FAILED,
    UNDER_WAY,
    Move,
    Order,
)
from gymbal_envs.tasks.cluster_marks import letter_width, spread
from gymbal_envs.tasks.cluster_panels import MOST_IN_FULL, RED, Lane
from gymbal_envs.tasks.cluster_record import ClusterEpisode

_MOST_LABELS = 14
"""Moves that carry a label, the longest ones; more would hide each other."""
_LABEL_HEIGHT = 0.16
"""Of a label's line, in lanes."""


def draw_moves(
    axes: Any,
    episode: ClusterEpisode,
    lanes: Sequence[Lane],
    moves: Sequence[Move],
    orders: Sequence[Order],
    until_s: float,
) -> None:
    """An arrow from where a VM was when its move began to where it is when it runs there.

    A dotted tail lasts until the last page has followed. A move that was cancelled or failed ends
    in a cross.

    Args:
        axes: with the lanes.
        episode: what happened.
        lanes: of its hosts.
        moves: what to draw.
        orders: whose marks the arrows' labels shall not hide.
        until_s: end of the time that the axes show.
    """
    by_host = {lane.host: lane for lane in lanes}
    interval_s = float(np.diff(episode.time_s[:2]).sum())
    simple = len(lanes) > MOST_IN_FULL
    until = until_s / 60.0
    letter = letter_width(axes) * until
    taken = [
        (x - 0.7 * letter, x + 0.7 * letter, y) for x, y, _ in spread(axes, lanes, orders, until)
    ]
    longest = sorted(moves, key=lambda move: -move.lasts_s)[:_MOST_LABELS]
    thin = simple or len(moves) > _MOST_LABELS
    for move in moves:
        if move.target not in by_host:  # cancelled before anybody saw where it led
            continue
        ends = move.ends_s if np.isnan(move.switches_s) else move.switches_s
        begin = (move.begins_s / 60.0, _height(episode, by_host[move.source], move, move.begins_s))
        end = (ends / 60.0, _height(episode, by_host[move.target], move, ends))
        if move.outcome != ARRIVED and np.isnan(move.switches_s):  # it got half way
            end = (end[0], begin[1] + 0.5 * (end[1] - begin[1]))
        _draw_arrow(axes, move, begin, end, thin)
        if not simple and move in longest:
            _draw_label(axes, _label(move, interval_s), begin, end, (letter, until), taken)


def _height(episode: ClusterEpisode, lane: Lane, move: Move, time_s: float) -> float:
    """Of the VM's band in a lane at some time; of the lane's middle where it is not there."""
    column = int(np.searchsorted(episode.tracks.ids, move.vm))
    instant = int(np.searchsorted(episode.time_s, time_s - 1e-6))
    instant = min(instant, episode.time_s.size - 1)
    for near in (instant, instant - 1):
        if near >= 0 and episode.tracks.host[near, column] == lane.host:
            return lane.middle(column, near)
    return lane.middle(-1, 0)


def _draw_arrow(
    axes: Any, move: Move, begin: tuple[float, float], end: tuple[float, float], thin: bool
) -> None:
    from matplotlib.patheffects import withStroke

    width = 0.9 if thin else 1.5
    style = {ARRIVED: "-|>", UNDER_WAY: "->"}.get(move.outcome, "-")
    halo = [withStroke(linewidth=width + 1.6, foreground="white")]
    axes.annotate(
        "", xy=end, xytext=begin, zorder=5,
        arrowprops={
            "arrowstyle": style, "color": "black", "linewidth": width, "shrinkA": 0, "shrinkB": 0,
            "mutation_scale": 7 if thin else 11, "path_effects": halo,
            "linestyle": (0, (4, 2)) if move.kind == CLONED else "-",
        },
    )  # fmt: skip
    axes.plot(*begin, "o", color="black", markersize=1.5 if thin else 3.0, zorder=5)
    if move.outcome in (CANCELLED, FAILED):
        axes.plot(*end, "x", color=RED, markersize=6.0, markeredgewidth=1.8, zorder=6)
    elif move.ends_s / 60.0 > end[0]:
        axes.plot(
            [end[0], move.ends_s / 60.0], [end[1], end[1]], color="black", linewidth=width,
            linestyle=":", zorder=5, path_effects=halo,
        )  # fmt: skip


def _label(move: Move, interval_s: float) -> str:
    """Kind and duration; what was over at the next look took at most as long as a look."""
    if move.kind == CLONED:
        return CLONED
    at_most = "≤ " if move.lasts_s <= interval_s else ""
    said = f"{move.kind} {at_most}{move.lasts_s:.0f} s"
    return said if move.outcome == ARRIVED else f"{said}, {move.outcome}"


def _draw_label(
    axes: Any,
    text: str,
    begin: tuple[float, float],
    end: tuple[float, float],
    size: tuple[float, float],
    taken: list[tuple[float, float, float]],
) -> None:
    """Beside the arrow where there is room; nowhere where there is none.

    Args:
        axes: to draw on.
        text: of the label.
        begin: of the arrow.
        end: of the arrow.
        size: minutes that a letter is wide, and minutes that the axes show.
        taken: left, right and height of what is in the way; the label is added.
    """
    letter, until = size
    width = len(text) * letter
    for part in (0.5, 0.3, 0.7, 0.15, 0.85):
        x = begin[0] + part * (end[0] - begin[0])
        y = begin[1] + part * (end[1] - begin[1])
        leftwards = x + width > until
        left = x - width if leftwards else x
        clash = any(
            abs(y - other) < _LABEL_HEIGHT and left < right and low < left + width
            for low, right, other in taken
        )
        if clash:
            continue
        taken.append((left, left + width, y))
        axes.annotate(
            text, (x, y), xytext=(-5 if leftwards else 5, 0), textcoords="offset points",
            ha="right" if leftwards else "left", va="center", fontsize=7.5, zorder=7, clip_on=True,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip
        return
