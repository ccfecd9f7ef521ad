"""Panels of a picture, one for each resource that is divided: who holds how much, over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_runtime.tasks import BALLOON, CACHE, HOST

Floats = NDArray[np.float64]

# Eight hues that people with any colour vision tell apart (Okabe and Ito 2008: black left out,
# yellow darkened for white paper, grey added); more VMs take evenly spaced hues.
_PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#C4B000", "#8C8C8C",
)  # fmt: skip
MAX_LABELS = 16
"""Rows of a strip that can carry their own label at this size."""


class Panel(Protocol):
    """Remembers one resource of world 0 and draws it as stacked bands."""

    def record(self, engine: Engine) -> None:
        """Remember this moment."""

    def draw(self, axes: Any, minutes: Floats, colors: list[Any]) -> None:
        """Draw what was remembered at these (T,) times."""


class MemoryPanel:
    """Memory: full colour where it holds the working set, pale where it is spare.

    Args:
        engine: just loaded.
        slots: (n,) slots of world 0 with a VM.
    """

    def __init__(self, engine: Engine, slots: NDArray[np.int64]) -> None:
        self._slots = slots
        # Copies, because at the end of an episode the world is given the next scenario.
        self._kernel: Floats = engine.world_vm[0, at.KERNEL, slots]
        self._capacity_gib = float(engine.world_host[0, at.CAPACITY]) / GIB
        self._held: list[Floats] = []  # (n,) bytes each
        self._wanted: list[Floats] = []  # (n,) bytes each, working set and kernel

    def record(self, engine: Engine) -> None:
        """Remember this moment."""
        vm = engine.vm[0][:, self._slots]
        self._held.append(vm[at.ACTUAL].copy())
        self._wanted.append(vm[at.WORKING_SET] + self._kernel)

    def draw(self, axes: Any, minutes: Floats, colors: list[Any]) -> None:
        """Bands of memory, what is free, and all that is wanted."""
        capacity = self._capacity_gib
        held = np.array(self._held) / GIB  # (T, n)
        wanted = np.array(self._wanted) / GIB
        top = draw_bands(axes, minutes, held, np.minimum(wanted, held), colors)
        _hatch(axes, minutes, top, capacity)
        total = wanted.sum(axis=1)
        axes.plot(minutes, total, color="black", linestyle=(0, (4, 2)), linewidth=1.3)
        axes.axhline(capacity, color="black", linewidth=1.6)
        axes.set_ylim(0.0, 1.08 * max(capacity, float(total.max())))
        axes.set_ylabel("GiB")
        axes.set_title(f"Memory: {len(colors)} VMs, {capacity:.1f} GiB", loc="left", fontsize=11)
        _legend(axes, ("working set", "spare", "free", "host", "all that is wanted"))


class CachePanel:
    """Last-level cache: full colour where lines lie in the VM's own part, pale where outside of it.

    Args:
        engine: just loaded.
        slots: (n,) slots of world 0 with a VM.
    """

    def __init__(self, engine: Engine, slots: NDArray[np.int64]) -> None:
        self._slots = slots
        host = engine.world_host[0]
        self._capacity_mib = float(host[at.LLC_BYTES]) / MIB
        self._units = int(host[at.LLC_UNITS])
        self._kind = "page colours" if host[at.LLC_RECOLOURS] > 0 else "ways"
        self._occupied: list[Floats] = []  # (n,) bytes each
        self._entitled: list[Floats] = []  # (n,) units each

    def record(self, engine: Engine) -> None:
        """Remember this moment."""
        vm = engine.vm[0][:, self._slots]
        self._occupied.append(vm[at.OCCUPANCY].copy())
        self._entitled.append(vm[at.ENTITLED].copy())

    def draw(self, axes: Any, minutes: Floats, colors: list[Any]) -> None:
        """Bands of occupancy, and what is free."""
        occupied = np.array(self._occupied) / MIB  # (T, n)
        part = np.array(self._entitled) * self._capacity_mib / max(self._units, 1)
        top = draw_bands(axes, minutes, occupied, np.minimum(part, occupied), colors)
        _hatch(axes, minutes, top, self._capacity_mib)
        axes.axhline(self._capacity_mib, color="black", linewidth=1.6)
        axes.set_ylim(0.0, 1.08 * max(self._capacity_mib, 1e-9))
        axes.set_ylabel("MiB")
        axes.set_title(f"Cache: {self._units} {self._kind}", loc="left", fontsize=11)
        _legend(axes, ("in the VM's part", "outside of it", "free", "cache"))


def panels_of(task: str, engine: Engine, slots: NDArray[np.int64]) -> list[Panel]:
    """The panels that show what a task divides in bytes."""
    kinds: dict[str, tuple[Callable[[Engine, NDArray[np.int64]], Panel], ...]] = {
        BALLOON: (MemoryPanel,),
        CACHE: (CachePanel,),
        HOST: (MemoryPanel, CachePanel),
    }
    return [kind(engine, slots) for kind in kinds[task]]


def draw_bands(
    axes: Any, minutes: Floats, held: Floats, useful: Floats, colors: list[Any]
) -> Floats:
    """Stacked bands, (T, n) each; the first ``useful`` of each ``held`` in full colour.

    Returns:
        (T,) the top of the stack.
    """
    top = np.zeros(minutes.size)
    for column, color in enumerate(colors):
        base, top = top, top + held[:, column]
        middle = base + useful[:, column]
        axes.fill_between(minutes, base, middle, color=color, linewidth=0)
        axes.fill_between(minutes, middle, top, color=color, alpha=0.3, linewidth=0)
        if len(colors) <= MAX_LABELS:  # between thinner bands it would hide them
            axes.plot(minutes, top, color="white", linewidth=0.6)
    return top


def vm_colors(count: int) -> list[Any]:
    """Colours that tell ``count`` neighbouring bands apart."""
    if count <= len(_PALETTE):
        return list(_PALETTE[:count])
    from matplotlib.colors import hsv_to_rgb

    hues = np.arange(count) / count
    values = np.where(np.arange(count) % 2 == 0, 0.85, 0.6)  # neighbours differ in brightness too
    return [hsv_to_rgb((hue, 0.75, value)) for hue, value in zip(hues, values, strict=True)]


def _hatch(axes: Any, minutes: Floats, top: Floats, capacity: float) -> None:
    axes.fill_between(
        minutes, top, capacity, facecolor="none", edgecolor="#b8b8b8", hatch="///", linewidth=0
    )


def _legend(axes: Any, labels: tuple[str, ...]) -> None:
    """Above the axes: full colour, pale, hatched, solid line, dashed line; as many as labels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [
        Patch(facecolor="#606060"),
        Patch(facecolor="#606060", alpha=0.3),
        Patch(facecolor="none", edgecolor="#b8b8b8", hatch="///"),
        Line2D([], [], color="black", linewidth=1.6),
        Line2D([], [], color="black", linestyle=(0, (4, 2)), linewidth=1.3),
    ]
    axes.legend(
        marks[: len(labels)], labels, loc="lower right", bbox_to_anchor=(1.0, 1.0),
        ncols=len(labels), fontsize=8, frameon=False, borderaxespad=0.2, handlelength=1.6,
        columnspacing=1.2,
    )  # fmt: skip
