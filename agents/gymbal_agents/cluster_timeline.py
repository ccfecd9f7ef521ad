"""One cluster over time, two agents side by side: who holds what where, who moves, who suffers."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from gymbal_envs.tasks.cluster_marks import KEY_PAD, draw_key, draw_legend
from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_envs.tasks.cluster_viewer import (
    describe,
    draw_color_bar,
    draw_episode,
    height_inches,
)

_WIDTH_INCHES, _DPI = 12.0, 130
_TITLE_INCHES, _MEAN_PART = 0.3, 1.0


def draw(episodes: Mapping[str, ClusterEpisode], costs: Mapping[str, float]) -> Figure:
    """Columns: agents. Rows: the hosts, and the progress lost in the whole cluster.

    Args:
        episodes: of the same scenario, by agent.
        costs: mean cost of each agent in it, percent.
    """
    first = next(iter(episodes.values()))
    height = height_inches(first.hosts.size) + _TITLE_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, layout="constrained")
    grid = figure.subplots(
        2, len(episodes), sharex=True, sharey="row", squeeze=False,
        gridspec_kw={"height_ratios": [height - 2.5, _MEAN_PART]},
    )  # fmt: skip
    highest = max(float(episode.mean_lost_frac.max()) for episode in episodes.values())
    mesh = None
    for (name, episode), (lanes, mean) in zip(episodes.items(), grid.T, strict=True):
        mesh = draw_episode(lanes, mean, episode, float(episode.time_s[-1]))
        lanes.set_title(
            f"{name}: mean cost {costs[name]:.1f} %", loc="left", fontsize=11, pad=KEY_PAD
        )
    grid[1, 0].set_ylim(0.0, max(0.1, 1.15 * highest))
    draw_key(grid[0, 0])
    draw_color_bar(figure, mesh, list(grid[0]))
    draw_legend(figure)
    figure.suptitle(describe(first.scenario), x=0.01, ha="left", fontsize=9, color="#444444")
    return figure
