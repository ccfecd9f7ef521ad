"""Pictures of an episode: who holds what, who suffers, over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.tasks.panels import MAX_LABELS, panels_of, vm_colors
from gymbal_envs.tasks.recording import Recorder, Viewer
from gymbal_envs.tasks.worlds import HostWorlds

Floats = NDArray[np.float64]

_SIZE_INCHES, _DPI = (9.0, 6.0), 100  # 900 x 600 pixels


class HostViewer(Recorder, Viewer):
    """Remembers host 0 and draws it.

    Args:
        worlds: just reset; the first snapshot is taken now.
    """

    _worlds: HostWorlds

    def __init__(self, worlds: HostWorlds) -> None:
        host = worlds.engine
        self._slots = np.flatnonzero(host.world_vm[0, at.PRESENT] > 0)
        # Copies, because at the end of an episode the world is given the next scenario.
        self._shares: Floats = host.world_vm[0, at.SHARES, self._slots]
        self._panels = panels_of(worlds.config.id, host, self._slots)
        self._lost: list[Floats] = []  # (n,) fraction of the progress of the interval each
        self._killed: list[Floats] = []  # (n,)
        super().__init__(worlds)

    def _note(self) -> None:
        engine, slots = self._worlds.engine, self._slots
        outcome = engine.outcome[0][:, slots]
        for panel in self._panels:
            panel.record(engine)
        self._lost.append(outcome[at.LOST] / self._interval_s)
        self._killed.append(outcome[at.KILLED].copy())

    def _figure(self) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
        each = 6.0 / len(self._panels)
        heights = [*[each] * len(self._panels), 3.2, 1.3]
        *divided, strip, mean = figure.subplots(
            len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
        )
        colors = vm_colors(self._slots.size)
        minutes = np.array(self._time_s) / 60.0
        for panel, axes in zip(self._panels, divided, strict=True):
            panel.draw(axes, minutes, colors)
        self._draw_strip(figure, strip, minutes, colors)
        self._draw_mean(mean, minutes)
        # The whole episode from the first frame on: in a film nothing jumps.
        mean.set_xlim(0.0, self._worlds.episode_steps * self._interval_s / 60.0)
        mean.set_xlabel("minutes")
        return figure

    def _draw_strip(self, figure: Any, axes: Any, minutes: Floats, colors: list[Any]) -> None:
        """One row per VM, darker the more progress it lost; a cross for a killed process."""
        lost = np.clip(np.array(self._lost)[1:].T, 0.0, 1.0)  # (n, T - 1)
        rows = np.arange(len(colors) + 1) - 0.5
        if lost.shape[1]:
            mesh = axes.pcolormesh(
                minutes, rows, lost, cmap="magma_r", vmin=0.0, vmax=1.0, rasterized=True
            )
            bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=10)
            bar.set_ticks([0.0, 0.5, 1.0], labels=["0", "½", "all"])
        when, hit = np.nonzero(np.array(self._killed))
        size = 6.0 if len(colors) <= MAX_LABELS else 2.5
        axes.plot(minutes[when], hit, "x", color="#0050ff", markersize=size)
        axes.set_ylim(len(colors) - 0.5, -0.5)
        axes.set_title("Progress lost  (shares beside each VM)", loc="left", fontsize=11)
        self._label_rows(axes, colors)

    def _label_rows(self, axes: Any, colors: list[Any]) -> None:
        """Each row in the colour of its VM's band, with its weight."""
        every = -(-len(colors) // MAX_LABELS)
        shown = np.arange(0, len(colors), every)
        labels = [f"■ VM {self._slots[row]}:  {self._shares[row]:g}" for row in shown]
        axes.set_yticks(shown, labels=labels, fontsize=8)
        axes.tick_params(axis="y", length=0)
        for row, text in zip(shown, axes.get_yticklabels(), strict=True):
            text.set_color(_darker(colors[row]))

    def _draw_mean(self, axes: Any, minutes: Floats) -> None:
        """The part of the reward that counts most: share-weighted progress lost."""
        mean = np.array(self._lost)[1:] @ (self._shares / self._shares.sum())
        if mean.size:
            axes.stairs(mean, minutes, color="black", fill=True, alpha=0.15)
            axes.stairs(mean, minutes, color="black", linewidth=1.0, baseline=None)
            average = float(mean.mean())
            axes.set_title(
                f"Share-weighted mean: {average:.1%} lost so far", loc="left", fontsize=11
            )
        axes.set_ylim(0.0, max(0.1, 1.15 * float(mean.max(initial=0.0))))
        axes.yaxis.set_major_formatter("{x:.0%}")


def _darker(color: Any) -> Any:
    from matplotlib.colors import to_rgb

    return tuple(0.8 * part for part in to_rgb(color))
