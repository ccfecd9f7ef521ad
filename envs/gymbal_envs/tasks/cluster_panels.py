"""Lanes of a picture of a cluster: one per host over time, with moves between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.params import GIB
from gymbal_envs.tasks.cluster_overloads import missing_bytes
from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_envs.tasks.panels import vm_colors

Floats = NDArray[np.float64]

STRIP, MEMORY, MISSING, ORDERS = (0.03, 0.11), (0.14, 0.71), (0.71, 0.84), (0.965, 0.885)
"""Where things lie in a lane of height 1, from its bottom: progress lost, memory up to what the
host has, what is missing beyond it, two rows of orders."""
MOST_IN_FULL = 8
"""Lanes that can carry edges, labels and orders; more are drawn simplified."""
MOST_LOST = 0.5
"""Mean progress lost of a host's VMs that is drawn darkest; hosts rarely lose more."""
_LEAST_MISSING = 0.025
"""Height of the least that is missing: a moment of it can still be seen."""
RED, LENT, ASIDE = "#d62728", "#333333", "#909090"


@dataclass(frozen=True, eq=False)
class Lane:
    """One host: where it lies in the picture, and who lies where in its memory.

    Attributes:
        host: place of the host.
        bottom: of its lane.
        columns: its VMs, of the episode's tracks, lowest first.
        edges: (T, n + 1) height of the bands' edges.
    """

    host: int
    bottom: float
    columns: list[int]
    edges: Floats

    def middle(self, column: int, instant: int) -> float:
        """Height of the middle of a VM's band; of its memory where the VM is not there."""
        if column not in self.columns:
            return self.bottom + 0.5 * (MEMORY[0] + MEMORY[1])
        place = self.columns.index(column)
        low, high = self.edges[instant, place : place + 2]
        return float(low + high) / 2.0


def lanes_of(episode: ClusterEpisode) -> list[Lane]:
    """The lanes of an episode, the first host on top. Who came last lies on top."""
    tracks = episode.tracks
    held = tracks.of_vms(episode.held_bytes, 0.0)
    hosts = episode.hosts
    lanes = []
    for row, host in enumerate(hosts):
        here = tracks.host == host
        arrival = np.argmax(here, axis=0)
        columns = [int(c) for c in np.lexsort((tracks.ids, arrival)) if here[:, c].any()]
        bottom = float(hosts.size - 1 - row)
        height = (MEMORY[1] - MEMORY[0]) / max(episode.capacity_bytes[host], 1.0)
        tops = np.cumsum((held * here)[:, columns], axis=1) * height
        floor = np.full((held.shape[0], 1), bottom + MEMORY[0])
        lanes.append(Lane(int(host), bottom, columns, np.hstack([floor, floor + tops])))
    return lanes


def cluster_colors(episode: ClusterEpisode) -> list[Any]:
    """A colour for each VM of the episode's tracks.

    A hue for each host and shades of it for the VMs that began there, so that one that came from
    elsewhere stands out; few VMs have a hue each.
    """
    tracks = episode.tracks
    if tracks.num_vms <= MOST_IN_FULL:
        return vm_colors(tracks.num_vms)
    from matplotlib.colors import hsv_to_rgb, rgb_to_hsv, to_rgb

    homes = episode.hosts.tolist()
    hues = [rgb_to_hsv(to_rgb(color)) for color in vm_colors(len(homes))]
    found, count = [], dict.fromkeys(homes, 0)
    for home in tracks.home.tolist():
        hue, saturation, value = hues[homes.index(home)]
        fade, dark = _SHADES[count[home] % len(_SHADES)]
        count[home] += 1
        found.append(tuple(hsv_to_rgb((hue, saturation * fade, value * dark))))
    return found


_SHADES = ((1.0, 1.0), (1.0, 0.68), (0.72, 1.0), (1.0, 0.5), (0.85, 0.84))
"""Factors of saturation and value that tell neighbours apart, and full colours from pale ones."""


def draw_lanes(axes: Any, episode: ClusterEpisode, lanes: Sequence[Lane]) -> Any:
    """Memory of every host, what is lent, set aside and missing, and the strips of lost progress.

    Returns:
        The mesh of the strips, for a colour bar; None before the first decision.
    """
    minutes = episode.time_s / 60.0
    missing = missing_bytes(episode)
    colors = cluster_colors(episode)
    simple = len(lanes) > MOST_IN_FULL
    mesh = None
    for lane in lanes:
        _draw_sleep(axes, episode, lane)
        _draw_bands(axes, episode, lane, colors, simple)
        _draw_aside(axes, episode, lane)
        _draw_missing(axes, episode, lane, missing[:, lane.host])
        mesh = _draw_strip(axes, episode, lane)
        axes.plot(minutes[[0, -1]], [lane.bottom + MEMORY[1]] * 2, color="black", linewidth=1.2)
    axes.set_ylim(-0.02, len(lanes))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    middle = 0.5 * (MEMORY[0] + MEMORY[1])
    axes.set_yticks(
        [lane.bottom + middle for lane in lanes], labels=_names(episode, lanes),
        fontsize=8 if simple else 10,
    )  # fmt: skip
    axes.hlines(range(1, len(lanes)), 0.0, 1.0, transform=axes.get_yaxis_transform(),
                color="#cccccc", linewidth=0.6)  # fmt: skip
    return mesh


def _names(episode: ClusterEpisode, lanes: Sequence[Lane]) -> list[str]:
    between = "\n" if len(lanes) <= MOST_IN_FULL else ", "
    return [
        f"host {lane.host}{between}{episode.capacity_bytes[lane.host] / GIB:.3g} GiB"
        for lane in lanes
    ]


SLEEP_MARKS: dict[str, Any] = {"facecolor": "#1b2433", "alpha": 0.8, "linewidth": 0.0}


def _draw_sleep(axes: Any, episode: ClusterEpisode, lane: Lane) -> None:
    """Dark while the host is not on."""
    sleeps = episode.sleeps[:, lane.host]
    if sleeps.any():
        low, high = (lane.bottom + edge for edge in MEMORY)
        axes.fill_between(episode.time_s / 60.0, low, high, where=sleeps, **SLEEP_MARKS)


def _draw_bands(
    axes: Any, episode: ClusterEpisode, lane: Lane, colors: list[Any], simple: bool
) -> None:
    """Full colour where a VM holds what it needs, pale where it holds more."""
    minutes, tracks = episode.time_s / 60.0, episode.tracks
    held = tracks.of_vms(episode.held_bytes, 0.0)
    needed = tracks.of_vms(episode.needed_bytes, 0.0)
    for place, column in enumerate(lane.columns):
        low, high = lane.edges[:, place], lane.edges[:, place + 1]
        part = np.minimum(needed[:, column] / np.maximum(held[:, column], 1.0), 1.0)
        middle = low + part * (high - low)
        color = colors[column]
        axes.fill_between(minutes, low, middle, color=color, linewidth=0)
        axes.fill_between(minutes, middle, high, color=color, alpha=0.3, linewidth=0)
        if not simple:
            there = np.where(tracks.host[:, column] == lane.host, high, np.nan)
            axes.plot(minutes, there, color="white", linewidth=0.6)


def _draw_aside(axes: Any, episode: ClusterEpisode, lane: Lane) -> None:
    """From what the host has downwards: lent, hatched; then reserved and pool, dotted."""
    minutes = episode.time_s / 60.0
    height = (MEMORY[1] - MEMORY[0]) / max(episode.capacity_bytes[lane.host], 1.0)
    top = np.full(minutes.size, lane.bottom + MEMORY[1])
    aside = episode.reserved_bytes + episode.pool_bytes
    for values, marks in ((episode.lent_bytes, LENT_MARKS), (aside, ASIDE_MARKS)):
        low = top - values[:, lane.host] * height
        if values[:, lane.host].any():
            axes.fill_between(minutes, low, top, where=low < top, **marks)
        top = low


LENT_MARKS: dict[str, Any] = {
    "facecolor": "#e8e8e8", "edgecolor": LENT, "hatch": "//////", "linewidth": 0.0,
}  # fmt: skip
ASIDE_MARKS: dict[str, Any] = {
    "facecolor": "none", "edgecolor": ASIDE, "hatch": "......", "linewidth": 0.0,
}  # fmt: skip
FAR_MARKS: dict[str, Any] = {
    "facecolor": "none", "edgecolor": LENT, "hatch": "//////", "linewidth": 0.0,
}  # fmt: skip


def _draw_missing(axes: Any, episode: ClusterEpisode, lane: Lane, missing: Floats) -> None:
    """Above what the host has: what is missing, red; what its VMs have elsewhere, hatched."""
    minutes = episode.time_s / 60.0
    height = (MEMORY[1] - MEMORY[0]) / max(episode.capacity_bytes[lane.host], 1.0)
    bottom, room = lane.bottom + MISSING[0], MISSING[1] - MISSING[0]
    beyond = np.where(missing > 0.0, np.clip(missing * height, _LEAST_MISSING, room), 0.0)
    far = np.minimum(episode.far_bytes[:, lane.host].sum(axis=1) * height, room)
    if beyond.any():
        where = _beside(beyond > 0.0)
        axes.fill_between(
            minutes, bottom, bottom + beyond, where=where, color=RED, alpha=0.75, linewidth=0.8
        )
    if far.any():
        axes.fill_between(minutes, bottom, bottom + far, where=_beside(far > 0.0), **FAR_MARKS)


def _beside(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With the neighbours, so that a single instant has a width."""
    wide = marked.copy()
    wide[1:] |= marked[:-1]
    wide[:-1] |= marked[1:]
    return wide


def _draw_strip(axes: Any, episode: ClusterEpisode, lane: Lane) -> Any:
    """Darker the more progress the host's VMs lost."""
    lost = np.clip(episode.host_lost_frac[1:, lane.host], 0.0, 1.0)
    if not lost.size:
        return None
    return axes.pcolormesh(
        episode.time_s / 60.0, [lane.bottom + STRIP[0], lane.bottom + STRIP[1]], lost[None],
        cmap="magma_r", vmin=0.0, vmax=MOST_LOST, rasterized=True,
    )  # fmt: skip
