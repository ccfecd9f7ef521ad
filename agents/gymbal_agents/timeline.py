"""One scenario over time, two agents side by side: who holds what, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gymbal_agents.charts import new_figure
from gymbal_agents.evaluate import AgentFactory, Evaluation, play
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.panels import vm_colors
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.tasks import CACHE

Floats = NDArray[np.float64]

TYPICAL_GOOD_QUANTILE = 0.75
"""The picture shows the scenario at this quantile of the gains: a good one, not the best one."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What happened to the n VMs of one host in T decisions.

    Attributes:
        agent: who decided.
        scenario: name of the scenario.
        time_s: (T,) seconds, at the end of each interval.
        resource: what is shown of it, ``memory`` or ``cache``.
        capacity_bytes: of that the host has.
        shares: (n,) weights of the VMs.
        held_bytes: (T, n) what each VM holds of it.
        needed_bytes: (T, n) of memory: kernel and working set of each VM; of cache: its own part.
        lost_frac: (T, n) progress lost in the interval.
        cost: (T,) minus the reward.
    """

    agent: str
    scenario: str
    time_s: Floats
    resource: str
    capacity_bytes: float
    shares: Floats
    held_bytes: Floats
    needed_bytes: Floats
    lost_frac: Floats
    cost: Floats


def record(
    name: str, make: AgentFactory, scenario: Scenario, shape: WorldShape, config: TaskConfig
) -> Timeline:
    """Let an agent play one scenario and write down what happens."""
    here = np.flatnonzero(scenario.present)
    interval = config.physics.clock.control_interval_s
    time_s: list[float] = []
    held, needed, lost, cost = [], [], [], []
    of_cache = config.id == CACHE
    capacity = scenario.capacity_bytes
    for played, transition in play(make, [scenario], shape, config):
        worlds = cast(HostWorlds, played)
        time_s.append(interval * (1 + len(time_s)))
        vm, host = worlds.engine.vm[0][:, here], worlds.engine.world_host[0]
        if of_cache:
            capacity = float(host[at.LLC_BYTES])
            held.append(vm[at.OCCUPANCY].copy())
            needed.append(vm[at.ENTITLED] * capacity / max(host[at.LLC_UNITS], 1.0))
        else:
            held.append(vm[at.ACTUAL].copy())
            needed.append(vm[at.WORKING_SET] + scenario.kernel_bytes[here])
        lost.append(worlds.engine.outcome[0, at.LOST, here] / interval)
        cost.append(-float(transition.reward[0]))
    return Timeline(
        agent=name,
        scenario=scenario.name,
        time_s=np.array(time_s),
        resource="cache" if of_cache else "memory",
        capacity_bytes=capacity,
        shares=scenario.shares[here],
        held_bytes=np.array(held),
        needed_bytes=np.array(needed),
        lost_frac=np.array(lost),
        cost=np.array(cost),
    )


def telling_scenario(evaluation: Evaluation, agent: str, reference: str) -> int:
    """Number of the scenario at the stated quantile of the agent's gains."""
    ours = evaluation.gains(agent, reference)
    return int(np.argsort(ours, kind="stable")[round(TYPICAL_GOOD_QUANTILE * (ours.size - 1))])


def draw(timelines: Sequence[Timeline]) -> Figure:
    """Columns: agents. Rows: stacked memory or cache, progress lost per VM, cost."""
    figure = new_figure(6.6)
    grid = figure.subplots(
        3, len(timelines), sharex=True, sharey="row", squeeze=False,
        gridspec_kw={"height_ratios": [5.0, 3.0, 1.6]},
    )  # fmt: skip
    highest = max(float(timeline.cost.max()) for timeline in timelines)
    for column, timeline in enumerate(timelines):
        held, strip, cost = grid[:, column]
        _draw_bands(held, timeline)
        _draw_lost(strip, timeline)
        minutes = timeline.time_s / 60.0
        cost.fill_between(minutes, 100.0 * timeline.cost, step="pre", color="#555555", alpha=0.35)
        cost.set_ylim(0.0, 105.0 * max(highest, 0.01))
        cost.set_xlabel("minutes")
        title = f"{timeline.agent}: mean cost {100.0 * timeline.cost.mean():.1f} %"
        held.set_title(title, loc="left", fontsize=11)
        for axes in (held, strip, cost):
            axes.spines[["top", "right"]].set_visible(False)
    resource = timelines[0].resource
    grid[0, 0].set_ylabel(f"{resource}, {'MiB' if resource == 'cache' else 'GiB'}")
    grid[1, 0].set_ylabel("progress lost\n(VMs by their shares)")
    grid[2, 0].set_ylabel("cost, %")
    bar = figure.colorbar(grid[1, -1].collections[0], ax=list(grid[1]), aspect=12, pad=0.01)
    bar.set_ticks([0.0, 0.5, 1.0], labels=["0", "half", "all"])
    caption = _CAPTIONS[resource].format(name=timelines[0].scenario)
    figure.text(0.01, -0.035, caption, fontsize=8, va="bottom", color="#444444")
    return figure


_CAPTIONS = {
    "memory": (
        "{name}. Full colour: working set that the VM holds; pale: spare memory it holds. "
        "Line: host memory; dashes: all that is wanted."
    ),
    "cache": (
        "{name}. Full colour: lines in the VM's own part; pale: lines outside of it. "
        "Line: the whole cache."
    ),
}


def _draw_bands(axes: Axes, timeline: Timeline) -> None:
    """Stacked bands; what a VM needs of what it holds is in full colour."""
    of_memory = timeline.resource == "memory"
    scale = GIB if of_memory else MIB
    minutes = timeline.time_s / 60.0
    base = np.zeros(minutes.size)
    held = timeline.held_bytes / scale
    useful = np.minimum(timeline.needed_bytes, timeline.held_bytes) / scale
    for column, color in enumerate(vm_colors(held.shape[1])):
        axes.fill_between(minutes, base, base + useful[:, column], color=color, linewidth=0)
        top = base + held[:, column]
        axes.fill_between(
            minutes, base + useful[:, column], top, color=color, alpha=0.28, linewidth=0
        )
        axes.plot(minutes, top, color="white", linewidth=0.5)
        base = top
    capacity = highest = timeline.capacity_bytes / scale
    if of_memory:
        wanted = timeline.needed_bytes.sum(axis=1) / scale
        highest = max(capacity, float(wanted.max()))
        axes.plot(minutes, wanted, color="black", linestyle=(0, (3, 2)), linewidth=1.1)
    axes.axhline(capacity, color="black", linewidth=1.5)
    axes.set_ylim(0.0, 1.06 * highest)
    axes.set_xlim(0.0, float(minutes[-1]))


def _draw_lost(axes: Axes, timeline: Timeline) -> None:
    """A row per VM, darker the more of its progress is lost; labels carry its shares."""
    num_vms = timeline.shares.size
    edges = np.concatenate([[0.0], timeline.time_s]) / 60.0
    axes.pcolormesh(
        edges, np.arange(num_vms + 1) - 0.5, np.clip(timeline.lost_frac.T, 0.0, 1.0),
        cmap="magma_r", vmin=0.0, vmax=1.0, rasterized=True,
    )  # fmt: skip
    labels = [f"■ {shares:g}" for shares in timeline.shares]
    axes.set_yticks(range(num_vms), labels=labels, fontsize=7)
    axes.set_ylim(num_vms - 0.5, -0.5)
    for color, text in zip(vm_colors(num_vms), axes.get_yticklabels(), strict=False):
        text.set_color(color)
