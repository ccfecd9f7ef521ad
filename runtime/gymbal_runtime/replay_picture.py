"""A replay as a picture (SVG): one panel per VM, what was done beside what would have been.

Written by hand because it has to work on a host that has nothing but the runtime.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.replay import Replay, VmHistory

Floats = NDArray[np.float64]

MAX_PANELS = 12
MAX_POINTS = 600
_WIDTH, _PANEL, _LEFT, _TOP, _GAP = 900.0, 150.0, 70.0, 60.0, 30.0
_GIB = 2.0**30

# The Okabe-Ito palette: told apart by people who do not see all colours.
_LINES = (
    ("done", "done", "#0072b2", ""),
    ("would", "would", "#d55e00", ""),
    ("working_set", "working set (estimate)", "#009e73", "4 3"),
)


def picture(replay: Replay) -> str:
    """An SVG document with the VMs whose targets differ most."""
    chosen = _most_different(replay)
    height = _TOP + len(chosen) * (_PANEL + _GAP) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH:g}" height="{height:g}" fill="white"/>',
        _text(_LEFT, 20, f"{replay.host}: {replay.num_decisions} decisions, {replay.first} on"),
        *_legend(),
    ]
    for index, name in enumerate(chosen):
        parts += _panel(name, replay.vms[name], _TOP + index * (_PANEL + _GAP))
    hidden = len(replay.vms) - len(chosen)
    if hidden:
        parts.append(_text(_LEFT, height - 8, f"{hidden} VMs with smaller differences not shown"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _most_different(replay: Replay) -> list[str]:
    """Names of the VMs to show, in the order in which they appeared."""
    size = {n: float(np.abs(vm["would"] - vm["done"]).mean()) for n, vm in replay.vms.items()}
    largest = set(sorted(size, key=lambda name: -size[name])[:MAX_PANELS])
    return [name for name in replay.vms if name in largest]


def _panel(name: str, vm: VmHistory, top: float) -> list[str]:
    time_s = vm["time_s"]
    ceiling = 1.05 * max(float(np.nanmax(vm[column])) for column, *_ in _LINES) or 1.0
    span_s = max(float(time_s[-1] - time_s[0]), 1.0)
    x = _LEFT + (time_s - time_s[0]) / span_s * (_WIDTH - _LEFT - 20)
    shown = _chosen_points(len(x))
    parts = [
        f'<rect x="{_LEFT:g}" y="{top:g}" width="{_WIDTH - _LEFT - 20:g}" height="{_PANEL:g}"'
        ' fill="none" stroke="#cccccc"/>',
        _text(_LEFT, top - 5, name),
        _text(4, top + 10, f"{ceiling / _GIB:.2f} GiB"),
        _text(4, top + _PANEL, "0"),
        _text(_WIDTH - 90, top + _PANEL + 14, f"{span_s / 60:.1f} min"),
    ]
    for column, _, colour, dash in _LINES:
        y = top + _PANEL * (1.0 - vm[column] / ceiling)
        parts.append(_line(x[shown], y[shown], colour, dash))
    return parts


def _chosen_points(count: int) -> NDArray[np.int64]:
    """At most MAX_POINTS indices, evenly spread, with the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(np.int64))


def _line(x: Floats, y: Floats, colour: str, dash: str) -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>'


def _legend() -> list[str]:
    parts = []
    for index, (_, label, colour, dash) in enumerate(_LINES):
        left = _LEFT + index * 160
        parts.append(_line(np.array([left, left + 24]), np.array([38.0, 38.0]), colour, dash))
        parts.append(_text(left + 30, 42, label))
    return parts


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}">{escape(_printable(text))}</text>'


def _printable(text: str) -> str:
    """Without control characters, which XML cannot hold even escaped."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
