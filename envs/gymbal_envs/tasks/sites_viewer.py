"""Pictures of an episode of moves between sites: who is where, what the line carries, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.tasks.recording import Recorder, Viewer
from gymbal_runtime.sites.telemetry import PHASES

if TYPE_CHECKING:
    from gymbal_envs.tasks.sites_worlds import SitesWorlds

Floats = NDArray[np.float64]

_SIZE_INCHES, _DPI = (9.0, 6.0), 100  # 900 x 600 pixels
_COLORS = ("#d9d9d9", "#9ecae1", "#4292c6", "#fdae6b", "#de2d26", "#7f0000", "#a1d99b")
"""Of the phases, in order: waiting grey, disk blue, memory orange, paused red, arrived green."""
_NAMES = {"at_source": "at A", "precopy": "pre-copy", "last_copy": "last copy", "arrived": "at B"}


class SitesViewer(Recorder, Viewer):
    """Remembers world 0 and draws it.

    Args:
        worlds: just reset; the first snapshot is taken now.
    """

    _worlds: SitesWorlds

    def __init__(self, worlds: SitesWorlds) -> None:
        engine = worlds.engine
        self._slots = np.flatnonzero(engine.world_vm[0, at.PRESENT] > 0)
        # Copies, because at the end of an episode the world is given the next scenario.
        self._fixed = engine.world_vm[0][:, self._slots].copy()
        self._world = engine.world[0].copy()
        self._phase: list[Floats] = []  # (n,) each
        self._suspended: list[Floats] = []
        self._outcome: list[Floats] = []  # (NUM_OUTCOME, n) each
        self._others: list[float] = []  # part of the line
        super().__init__(worlds)

    def _note(self) -> None:
        engine, slots = self._worlds.engine, self._slots
        self._phase.append(engine.vm[0, at.PHASE, slots].copy())
        self._suspended.append(engine.vm[0, at.SUSPENDED, slots].copy())
        self._outcome.append(engine.outcome[0][:, slots].copy())
        self._others.append(1.0 - float(engine.link[0, at.FREE]) / float(self._world[at.WAN]))

    def _figure(self) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
        phases, line, cost = figure.subplots(
            3, 1, sharex=True, gridspec_kw={"height_ratios": [3.0, 1.6, 1.4]}
        )
        minutes = np.array(self._time_s) / 60.0
        self._draw_phases(phases, minutes)
        self._draw_line(line, minutes)
        self._draw_cost(cost, minutes)
        # The whole episode from the first frame on: in a film nothing jumps.
        cost.set_xlim(0.0, self._worlds.episode_steps * self._interval_s / 60.0)
        cost.set_xlabel("minutes")
        return figure

    def _draw_phases(self, axes: Any, minutes: Floats) -> None:
        """One row per VM, coloured by phase, dotted while suspended; downtimes; the deadline."""
        from matplotlib.colors import BoundaryNorm, ListedColormap
        from matplotlib.patches import Patch

        colors = ListedColormap(_COLORS)
        rows = np.arange(self._slots.size + 1) - 0.5
        phase = np.array(self._phase)[1:].T
        if phase.shape[1]:
            norm = BoundaryNorm(np.arange(len(PHASES) + 1) - 0.5, colors.N)
            axes.pcolormesh(minutes, rows, phase, cmap=colors, norm=norm, rasterized=True)
        step, row = np.nonzero(np.array(self._suspended))
        axes.plot(minutes[step], row, ".", color="white", markersize=2.0)
        self._write_downtimes(axes, minutes)
        deadline = float(self._world[at.DEADLINE]) / 60.0
        if np.isfinite(deadline):
            axes.axvline(deadline, color="black", linestyle=":", linewidth=1.5)
        axes.set_ylim(self._slots.size - 0.5, -0.5)
        axes.set_yticks(range(self._slots.size), labels=self._labels(), fontsize=8)
        axes.tick_params(axis="y", length=0)
        legend = [
            Patch(color=color, label=_NAMES.get(name, name.replace("_", "-")))
            for name, color in zip(PHASES, _COLORS, strict=True)
        ]
        axes.legend(
            handles=legend, ncols=len(PHASES), fontsize=8, frameon=False, loc="lower left",
            bbox_to_anchor=(0.0, 1.0), handlelength=1.0, columnspacing=1.0,
        )  # fmt: skip

    def _write_downtimes(self, axes: Any, minutes: Floats) -> None:
        """Seconds of pause beside the moment at which each VM arrived, or paused so far."""
        paused = np.array(self._outcome)[:, at.PAUSED]
        for row in np.flatnonzero(paused.any(axis=0)):
            last = int(np.flatnonzero(paused[:, row])[-1])
            text = f" {paused[:, row].sum():.1f} s"
            axes.text(minutes[last], row, text, color=_COLORS[5], fontsize=8, va="center")

    def _labels(self) -> list[str]:
        """Size and worth of each VM."""
        fixed = self._fixed
        worth = fixed[at.SHARES] * fixed[at.AWAY_COST]
        worth = worth / max(float(worth.max()), 1e-12)
        return [
            f"{memory / 1e9:.0f} + {disk / 1e9:.0f} GB, worth {value:.2f}"
            for memory, disk, value in zip(fixed[at.MEMORY], fixed[at.DISK], worth, strict=True)
        ]

    def _draw_line(self, axes: Any, minutes: Floats) -> None:
        """What the line carries: others, disks, memories."""
        outcome = np.array(self._outcome)[1:]
        if outcome.size:
            room = float(self._world[at.WAN]) * self._interval_s
            others = np.array(self._others)[1:]
            disks = others + outcome[:, at.DISK_WIRE].sum(axis=1) / room
            memories = disks + outcome[:, at.MEMORY_WIRE].sum(axis=1) / room
            for top, color, label in (
                (memories, _COLORS[3], "memory"),
                (disks, _COLORS[2], "disk"),
                (others, _COLORS[0], "others"),
            ):
                axes.stairs(top, minutes, color=color, fill=True, label=label)
            _legend_above(axes)
        axes.set_ylim(0.0, 1.05)
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.set_title(
            f"The line, {float(self._world[at.WAN]) / 1e6:.0f} MB/s, "
            f"round trip {float(self._world[at.RTT]) * 1e3:.0f} ms",
            loc="left", fontsize=11,
        )  # fmt: skip

    def _draw_cost(self, axes: Any, minutes: Floats) -> None:
        """Progress that running VMs lost, and pauses."""
        outcome = np.array(self._outcome)[1:]
        shares = self._fixed[at.SHARES] / self._fixed[at.SHARES].sum()
        if outcome.size:
            lost = outcome[:, at.LOST] @ shares / self._interval_s
            paused = outcome[:, at.PAUSED] @ shares / self._interval_s
            axes.stairs(lost + paused, minutes, color=_COLORS[4], fill=True, label="paused")
            axes.stairs(lost, minutes, color=_COLORS[3], fill=True, label="slowed down")
            axes.set_ylim(0.0, max(0.05, 1.1 * float((lost + paused).max())))
            _legend_above(axes)
        axes.yaxis.set_major_formatter("{x:.0%}")
        total = float(outcome[:, at.PAUSED].sum()) if outcome.size else 0.0
        axes.set_title(f"Share-weighted loss; {total:.1f} s paused so far", loc="left", fontsize=11)


def _legend_above(axes: Any) -> None:
    """Beside the title, where it hides nothing."""
    axes.legend(fontsize=8, ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0))
