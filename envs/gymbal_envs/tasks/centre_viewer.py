"""Pictures of a data centre's day: how busy each host is, who sleeps, what moves, what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.tasks.centre_terms import JOULES_PER_KWH
from gymbal_envs.tasks.recording import Recorder, Viewer
from gymbal_runtime.centre.telemetry import ASLEEP, ON

if TYPE_CHECKING:
    from gymbal_envs.tasks.centre_worlds import CentreWorlds
    from gymbal_envs.tasks.placement_worlds import PlacementWorlds

Floats = NDArray[np.float64]

_SIZE_INCHES, _DPI = (9.0, 6.8), 100  # 900 x 680 pixels
_BUSY = "YlOrRd"
_ASLEEP, _CHANGING = "#1b2433", "#4a78b5"
_WATTS = ("#e0882f", "#4a78b5")
_CAUSES = ("#b2182b", "#f4a582", "#7b3294", "#1b7837")
_LOUD_MOVES = 300.0
"""Moves in a picture up to which their marks are drawn at full size."""
_HOURS_S = 3600.0


class CentreViewer(Recorder, Viewer):
    """Remembers centre 0 and draws it.

    Args:
        worlds: just reset; the first snapshot is taken now.
    """

    _worlds: CentreWorlds | PlacementWorlds

    def __init__(self, worlds: CentreWorlds | PlacementWorlds) -> None:
        engine = worlds.engine
        fixed = engine.world_host[0]
        hosts = np.flatnonzero(fixed[at.EXISTS] > 0)
        cost = engine.curve[0, :, -1] / np.maximum(fixed[at.CPU], 1e-9)
        # The hosts that compute cheapest on top: that is where VMs should gather.
        self._hosts = hosts[np.lexsort((hosts, cost[hosts]))]
        self._row = np.full(worlds.num_hosts, -1)
        self._row[self._hosts] = np.arange(hosts.size)
        # Copies, because at the end of an episode the world is given the next scenario.
        self._cpu = fixed[at.CPU, self._hosts].copy()
        self._peak_w = float(engine.curve[0, hosts].max(axis=1).sum())
        self._shares = engine.world_vm[0, at.SHARES].copy()
        self._state: list[Floats] = []  # (h,) each
        self._outcome: list[Floats] = []  # (NUM_HOST_OUTCOME, h) each
        self._vms: list[Floats] = []  # (NUM_OUTCOME, V) each
        self._place: list[NDArray[np.int64]] = []  # (V,) row of each VM's host, -1: none
        super().__init__(worlds)

    def _note(self) -> None:
        engine = self._worlds.engine
        self._state.append(engine.host[0, at.STATE, self._hosts].copy())
        self._outcome.append(engine.host_outcome[0][:, self._hosts].copy())
        self._vms.append(engine.outcome[0].copy())
        host = engine.vm[0, at.HOST].astype(np.int64)
        self._place.append(np.where(host >= 0, self._row[host], -1))

    def _figure(self) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
        busy, power, lost = figure.subplots(
            3, 1, sharex=True, gridspec_kw={"height_ratios": [4.0, 1.3, 1.3]}
        )
        hours = np.array(self._time_s) / _HOURS_S
        self._draw_hosts(figure, busy, hours)
        self._draw_power(power, hours)
        self._draw_lost(lost, hours)
        # The whole episode from the first frame on: in a film nothing jumps.
        lost.set_xlim(0.0, self._worlds.episode_steps * self._interval_s / _HOURS_S)
        lost.set_xlabel("hours")
        return figure

    def _draw_hosts(self, figure: Any, axes: Any, hours: Floats) -> None:
        """A row for each host: paler is idler, dark is asleep; arrows where VMs arrived."""
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import to_rgb
        from matplotlib.patches import Patch

        edges = np.arange(self._hosts.size + 1) - 0.5
        state, outcome = np.array(self._state)[1:], np.array(self._outcome)[1:]
        if outcome.size:
            busy = outcome[:, at.USED_WORK] / (self._cpu * self._interval_s)
            colors = colormaps[_BUSY](np.clip(busy, 0.0, 1.0))[..., :3]
            colors[state != ON] = to_rgb(_CHANGING)
            colors[state == ASLEEP] = to_rgb(_ASLEEP)
            axes.pcolormesh(hours, edges, colors.transpose(1, 0, 2), rasterized=True)
        self._mark_moves(axes, hours)
        axes.set_ylim(self._hosts.size - 0.5, -0.5)
        axes.set_ylabel("hosts, cheapest per MIPS on top")
        axes.set_yticks([])
        axes.set_title(self._headline(), loc="left", fontsize=11)
        bar = figure.colorbar(ScalarMappable(cmap=_BUSY), ax=axes, pad=0.01, aspect=30)
        bar.ax.yaxis.set_major_formatter("{x:.0%}")
        bar.set_label("CPU in use", fontsize=9)
        marks = [Patch(color=_ASLEEP, label="asleep"), Patch(color=_CHANGING, label="on its way")]
        marks.append(axes.plot([], [], "^", color="black", markersize=4, label="VM moved here")[0])
        axes.legend(
            handles=marks, fontsize=8, ncols=3, frameon=False, loc="lower right",
            bbox_to_anchor=(1.0, 1.0), handlelength=1.0, columnspacing=1.0,
        )  # fmt: skip

    def _moves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Interval and row of the new host of every VM that runs elsewhere than before."""
        place = np.array(self._place)
        moved = (place[1:] != place[:-1]) & (place[1:] >= 0) & (place[:-1] >= 0)
        step, vm = np.nonzero(moved)
        return step, place[1:][step, vm]

    def _mark_moves(self, axes: Any, hours: Floats) -> None:
        step, row = self._moves()
        if step.size:
            loud = min(np.sqrt(_LOUD_MOVES / step.size), 1.0)
            middle = 0.5 * (hours[step] + hours[step + 1])
            axes.scatter(
                middle, row, s=14.0 * loud, marker="^", color="black", linewidths=0.0,
                alpha=0.4 + 0.6 * loud, rasterized=True,
            )  # fmt: skip

    def _draw_power(self, axes: Any, hours: Floats) -> None:
        """Watts of hosts that are on, and of the others."""
        outcome = np.array(self._outcome)[1:]
        if outcome.size:
            kilowatts = outcome[:, at.ENERGY : at.ENERGY + at.NUM_STATES].sum(axis=2)
            kilowatts = kilowatts / self._interval_s / 1e3
            total = kilowatts.sum(axis=1)
            axes.stairs(total, hours, color=_WATTS[1], fill=True, label="asleep, waking")
            axes.stairs(kilowatts[:, ON], hours, color=_WATTS[0], fill=True, label="on")
            axes.set_ylim(0.0, 1.15 * float(total.max()))
            _legend_above(axes)
        energy = outcome[:, at.ENERGY : at.ENERGY + at.NUM_STATES].sum() if outcome.size else 0.0
        axes.set_title(
            f"Power, kW; all at their peak {self._peak_w / 1e3:.1f} kW; "
            f"{energy / JOULES_PER_KWH:.1f} kWh so far",
            loc="left", fontsize=11,
        )  # fmt: skip

    def _draw_lost(self, axes: Any, hours: Floats) -> None:
        """Part of the wanted CPU time that was lost, weighted by shares, by cause."""
        vms, total = np.array(self._vms)[1:], 0.0
        if vms.size:
            weighted = (vms * self._shares).sum(axis=2)
            wanted = np.maximum(weighted[:, at.WANTED_WORK], 1e-12)
            lost = np.maximum(weighted[:, at.WANTED_WORK] - weighted[:, at.GOT_WORK], 0.0)
            neighbours = weighted[:, [at.LOST_CACHE, at.LOST_IO, at.LOST_WAKING]].sum(axis=1)
            moving, waiting = weighted[:, at.LOST_MOVING], weighted[:, at.LOST_WAITING]
            full = np.maximum(lost - moving - waiting, 0.0)
            top = np.zeros(wanted.size)
            layers = []
            causes = [(full, "full hosts"), (moving, "moves"), (waiting, "waiting")]
            if neighbours.any():  # where VMs run programs
                causes.append((neighbours, "neighbours"))
                lost = lost + neighbours
            for part, label in causes:
                top = top + part / wanted
                layers.append((top, label))
            for (height, label), color in reversed(list(zip(layers, _CAUSES, strict=False))):
                axes.stairs(height, hours, color=color, fill=True, label=label)
            axes.set_ylim(0.0, max(0.01, 1.15 * float(top.max())))
            total = float(lost.sum() / wanted.sum())
            _legend_above(axes)
        axes.yaxis.set_major_formatter("{x:.1%}")
        axes.set_title(f"Progress lost; {total:.2%} so far", loc="left", fontsize=11)

    def _headline(self) -> str:
        outcome = np.array(self._outcome)[1:]
        wakes = int(outcome[:, at.WAKES].sum()) if outcome.size else 0
        present = int((np.array(self._place)[-1] >= 0).sum())
        return (
            f"{self._hosts.size} hosts, {present} VMs; {self._moves()[0].size} moves, "
            f"{wakes} wakes so far"
        )


def _legend_above(axes: Any) -> None:
    """Beside the title, where it hides nothing."""
    axes.legend(fontsize=8, ncols=4, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0))
