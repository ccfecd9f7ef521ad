"""Plots of docs/demand.md: real months against the synthetic fleet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gymbal_envs.demand.statistics import (
    autocorrelation,
    chance_of_more,
    host_demand,
    overload_runs,
)
from gymbal_envs.demand.trace import Trace

STYLES: dict[str, dict[str, Any]] = {  # colours are told apart by colour-blind readers too
    "August": {"color": "#0072B2", "linestyle": "-"},
    "July": {"color": "#56B4E9", "linestyle": "--"},
    "synthetic": {"color": "#D55E00", "linestyle": "-"},
}
ACF_LAGS = (
    1,
    2,
    3,
    6,
    12,
    18,
    24,
    36,
    48,
    72,
    96,
    120,
    144,
    192,
    240,
    264,
    288,
    312,
    384,
    432,
    576,
)
VMS_PER_HOST, OVERCOMMIT, NUM_HOSTS = 20, 5, 800
WEEK = 2016  # samples of 300 s


def draw_all(folder: Path, real: dict[str, Trace], fleets: Sequence[Trace]) -> None:
    """Write every plot into ``folder``: hosts of all fleets, VMs of the first."""
    traces = {**real, "synthetic": fleets[0]}
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    loads = {name: _host_load([trace]) for name, trace in real.items()}
    loads["synthetic"] = _host_load(fleets)
    draw_survival(folder / "demand_survival.png", traces)
    draw_autocorrelation(folder / "demand_autocorrelation.png", traces)
    draw_durations(folder / "demand_durations.png", loads)
    draw_onsets(folder / "demand_onsets.png", loads)
    draw_weeks(folder / "demand_weeks.png", traces)


def draw_survival(path: Path, traces: dict[str, Trace]) -> None:
    """Share of samples above a level, active memory and CPU."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    grid = np.geomspace(0.003, 1.0, 300)
    for name, trace in traces.items():
        for ax, values in zip(axes, (trace.active_frac, trace.cpu_frac), strict=True):
            ordered = np.sort(values.ravel())
            above = 1.0 - np.searchsorted(ordered, grid, side="right") / ordered.size
            ax.loglog(grid, np.maximum(above, 1e-9), label=name, **STYLES[name])
    for ax, what in zip(axes, ("active memory / provisioned", "CPU / provisioned"), strict=True):
        ax.set(xlabel=what, ylim=(1e-5, 1.1), xlim=(grid[0], 1.0))
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("share of samples above")
    axes[0].legend(frameon=False, loc="lower left")
    _save(figure, path)


def draw_autocorrelation(path: Path, traces: dict[str, Trace]) -> None:
    """Autocorrelation of single VMs over two days: median, and p10 to p90 of two fleets."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    hours = np.array(ACF_LAGS) / 12.0
    for name, trace in traces.items():
        for ax, values in zip(axes, (trace.active_frac, trace.cpu_frac), strict=True):
            found = np.array(
                [np.nanquantile(autocorrelation(values, k), (0.1, 0.5, 0.9)) for k in ACF_LAGS]
            )
            ax.plot(hours, found[:, 1], label=name, **STYLES[name])
            if name != "July":
                ax.fill_between(
                    hours, found[:, 0], found[:, 2], alpha=0.13, lw=0, color=STYLES[name]["color"]
                )
    for ax, what in zip(axes, ("active memory", "CPU"), strict=True):
        ax.set(xlabel="lag, hours", title=what, xticks=range(0, 49, 12))
        ax.axhline(0, color="0.6", lw=0.6)
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("autocorrelation (median, p10 to p90)")
    axes[1].legend(frameon=False)
    _save(figure, path)


def draw_durations(path: Path, loads: dict[str, NDArray[np.float64]]) -> None:
    """How long overloads of hosts last, and the chance that they go on."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    inset = ax.inset_axes((0.64, 0.6, 0.36, 0.38))
    lasted = tuple(range(1, 37))
    for name, load in loads.items():
        runs = overload_runs(load)
        length = np.sort(runs.length[runs.complete])
        minutes = np.unique(length)
        longer = 1.0 - np.searchsorted(length, minutes, side="left") / length.size
        ax.loglog(5 * minutes, longer, label=name, **STYLES[name])
        inset.plot([5 * k for k in lasted], chance_of_more(length, lasted, 3), **STYLES[name])
    ax.set(
        xlabel="duration, minutes",
        ylabel="share of episodes at least this long",
        ylim=(1e-5, 1.3),
    )
    inset.set_title("P(15 min more | lasted x min)", fontsize=8)
    inset.tick_params(labelsize=8)
    inset.set(ylim=(0, 1), xticks=range(0, 181, 60))
    ax.grid(alpha=0.25)
    inset.grid(alpha=0.25)
    ax.legend(frameon=False, loc="lower left")
    _save(figure, path)


def draw_onsets(path: Path, loads: dict[str, NDArray[np.float64]]) -> None:
    """Load one sample before an overload, and how far it then jumps."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for name, load in loads.items():
        runs = overload_runs(load)
        before, onset = runs.before[runs.complete], runs.onset[runs.complete]
        share = np.linspace(0.0, 1.0, before.size)
        axes[0].plot(np.sort(before), share, label=name, **STYLES[name])
        axes[1].plot(np.sort(onset - before), share, label=name, **STYLES[name])
    axes[0].set(xlabel="load five minutes before the onset", xlim=(0, 1), ylabel="share of onsets")
    axes[1].set(xlabel="jump into the onset, share of host memory", xlim=(0, 2))
    for ax in axes:
        ax.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    _save(figure, path)


def draw_weeks(path: Path, traces: dict[str, Trace]) -> None:
    """One week of six VMs of each side, one at random from each sixth of the fleet by demand."""
    sides = [name for name in ("August", "synthetic") if name in traces]
    figure = Figure(figsize=(5.5 * len(sides), 8.4), layout="constrained")
    axes = figure.subplots(6, len(sides), squeeze=False)
    days = np.arange(WEEK) / 288.0
    for column, name in enumerate(sides):
        trace = traces[name]
        for row, vm in enumerate(_one_per_sixth(trace, seed=0)):
            ax = axes[row, column]
            ax.plot(days, trace.cpu_frac[vm, :WEEK], color="0.72", lw=0.6, label="CPU")
            memory = trace.active_frac[vm, :WEEK]
            ax.plot(days, memory, lw=0.7, color=STYLES[name]["color"], label="active memory")
            gib = trace.memory_bytes[vm] / 2**30
            ax.set_title(
                f"{gib:.3g} GiB, {trace.cores[vm]:.0f} vCPU", fontsize=8, loc="right", pad=2
            )
            top = max(0.1, 1.15 * float(np.quantile(memory, 0.9995)))
            ax.set(ylim=(0, min(1.02, top)), xlim=(0, 7), xticks=range(8))
            ax.tick_params(labelsize=8)
        axes[0, column].set_title(name, loc="left", fontsize=11)
        axes[0, column].legend(
            frameon=False, fontsize=8, loc="upper left", ncols=2, bbox_to_anchor=(0.2, 1.3)
        )
        axes[-1, column].set_xlabel("day")
    figure.supylabel("fraction of what is provisioned", fontsize=10)
    _save(figure, path)


def _one_per_sixth(trace: Trace, seed: int) -> list[int]:
    """One random VM from each sixth of the fleet, by mean active bytes."""
    rng = np.random.default_rng(seed)
    demand = trace.memory_bytes * trace.active_frac.mean(axis=1)
    return [int(rng.choice(sixth)) for sixth in np.array_split(np.argsort(demand), 6)]


def _host_load(traces: Sequence[Trace]) -> NDArray[np.float64]:
    """Load of random hosts, demand over host memory, (H, T), as many hosts from each trace."""
    loads = []
    for trace in traces:
        demand, provisioned = host_demand(trace, VMS_PER_HOST, NUM_HOSTS // len(traces), seed=0)
        loads.append(demand / (provisioned / OVERCOMMIT)[:, None])
    return np.concatenate(loads)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=130)
    print(f"wrote {path}")
