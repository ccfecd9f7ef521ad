"""The table of co-runs for a person: a picture, and rows for a spreadsheet."""

from __future__ import annotations

import csv
import io

import numpy as np
from matplotlib.figure import Figure

from gymbal_runtime.placement.compatibility import CompatibilityTable

_INCHES, _DPI = (9.0, 7.6), 110
_PERCENT = 100.0
_DARK = 0.55
"""Part of the scale from which on numbers are written in white."""


def draw(table: CompatibilityTable, busy_cores: int = 4) -> Figure:
    """A heat map: rows suffer, columns cause; the worst of both are at the top and on the left.

    Args:
        table: of R programs.
        busy_cores: of each program; what is shown is for two that have so many.
    """
    rows, columns = (np.argsort(-table.extra.sum(axis=axis), kind="stable") for axis in (1, 0))
    slower = _PERCENT * busy_cores * table.extra[np.ix_(rows, columns)]
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(np.sqrt(slower), cmap="YlOrRd", aspect="auto")
    most = float(slower.max(initial=1.0))
    for (i, j), value in np.ndenumerate(slower):
        if value >= 0.5:
            color = "white" if value > _DARK**2 * most * 1.8 else "black"
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6, color=color)
    names = np.array(table.names)
    axes.set_xticks(range(table.count), names[columns], rotation=90, fontsize=8)
    axes.set_yticks(range(table.count), names[rows], fontsize=8)
    axes.set_xlabel("beside this program")
    axes.set_ylabel("this program takes longer")
    axes.set_title(
        f"Extra time of two programs on one host, %; {busy_cores} busy cores each", loc="left",
        fontsize=11,
    )  # fmt: skip
    bar = figure.colorbar(picture, ax=axes, pad=0.01, aspect=40)
    marks = np.array([1.0, 5.0, 20.0, 50.0, 100.0])
    marks = marks[marks <= most]
    bar.set_ticks(list(np.sqrt(marks)), labels=[f"{mark:.0f} %" for mark in marks])
    return figure


def as_csv(table: CompatibilityTable) -> str:
    """Extra time per busy core of the neighbour, a row for each program that suffers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["program", "bubble_score", *table.names])
    for i, name in enumerate(table.names):
        writer.writerow([name, f"{table.score[i]:.4f}", *(f"{x:.5f}" for x in table.extra[i])])
    return text.getvalue()
