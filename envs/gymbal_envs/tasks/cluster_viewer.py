"""Pictures of an episode of a cluster: who holds what where, who moves, who suffers, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymbal_envs.scenarios.cluster_scenario import GIGABIT, ClusterScenario
from gymbal_envs.tasks.cluster_arrows import draw_moves
from gymbal_envs.tasks.cluster_events import moves_of, orders_of
from gymbal_envs.tasks.cluster_marks import KEY_PAD, draw_key, draw_legend, draw_orders
from gymbal_envs.tasks.cluster_panels import MOST_IN_FULL, MOST_LOST, draw_lanes, lanes_of
from gymbal_envs.tasks.cluster_record import ClusterEpisode, ClusterRecorder
from gymbal_envs.tasks.recording import Viewer

if TYPE_CHECKING:
    from gymbal_envs.tasks.balanced_clusters import BalancedClusters

_WIDTH_INCHES, _DPI = 12.0, 100
_LANE_INCHES, _SIMPLE_LANE_INCHES, _REST_INCHES = 1.4, 0.42, 2.4
_LEAST_INCHES = 6.0


class ClusterViewer(ClusterRecorder, Viewer):
    """Writes down cluster 0 and draws it, 1200 pixels wide; the height goes by hosts.

    Args:
        worlds: just reset; the first instant is written down now.
    """

    def __init__(self, worlds: BalancedClusters[Any]) -> None:
        super().__init__(worlds)
        self._until_s = worlds.episode_steps * self._interval_s

    def _figure(self) -> Any:
        from matplotlib.figure import Figure

        episode = self.episode()
        size = (_WIDTH_INCHES, height_inches(episode.hosts.size))
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        lanes, mean = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [size[1] - _REST_INCHES, 1.0]}
        )
        # The whole episode from the first frame on: in a film nothing jumps.
        mesh = draw_episode(lanes, mean, episode, self._until_s)
        in_full = episode.hosts.size <= MOST_IN_FULL
        pad = KEY_PAD if in_full else 6.0
        lanes.set_title(describe(episode.scenario), loc="left", fontsize=11, pad=pad)
        if in_full:
            draw_key(lanes)
        draw_color_bar(figure, mesh, lanes)
        draw_legend(figure, bool(episode.sleeps.any()))
        return figure


def height_inches(num_hosts: int) -> float:
    """Of a picture of so many hosts."""
    each = _LANE_INCHES if num_hosts <= MOST_IN_FULL else _SIMPLE_LANE_INCHES
    return max(_LEAST_INCHES, _REST_INCHES + each * num_hosts)


def draw_episode(lanes: Any, mean: Any, episode: ClusterEpisode, until_s: float) -> Any:
    """Draw an episode so far.

    Args:
        lanes: axes for the hosts.
        mean: axes for the progress lost in the whole cluster, with the same time.
        episode: what was written down.
        until_s: the end of the time that the axes show.

    Returns:
        What `draw_lanes` returns.
    """
    places = lanes_of(episode)
    mesh = draw_lanes(lanes, episode, places)
    moves = moves_of(episode)
    orders = orders_of(episode, moves)
    draw_moves(lanes, episode, places, moves, orders, until_s)
    draw_orders(lanes, episode, places, orders, until_s)
    _draw_mean(mean, episode)
    lanes.set_xlim(0.0, until_s / 60.0)
    mean.set_xlim(0.0, until_s / 60.0)
    mean.set_xlabel("minutes")
    return mesh


def draw_color_bar(figure: Any, mesh: Any, axes: Any) -> None:
    """What the strips below the lanes say."""
    if mesh is None:
        return
    bar = figure.colorbar(mesh, ax=axes, pad=0.005, aspect=30, fraction=0.02)
    bar.set_ticks([0.0, MOST_LOST / 2, MOST_LOST])
    bar.ax.set_yticklabels(["0", f"{MOST_LOST / 2:.0%}", f"{MOST_LOST:.0%}"], fontsize=8)
    bar.set_label("strip below each host: progress lost by its VMs", fontsize=8)


def describe(scenario: ClusterScenario) -> str:
    """What distinguishes a cluster, in a line."""
    hosts, vms = int(scenario.exists.sum()), int(scenario.present.sum())
    port = float(scenario.nic_bytes_s[scenario.exists].max()) / GIGABIT
    return (
        f"{hosts} hosts, {vms} VMs; swap on {scenario.first_host.tier.name}, network "
        f"{port:g} Gb/s, far memory over {scenario.far.name}, moves by {scenario.migration.name}"
    )


def _draw_mean(axes: Any, episode: ClusterEpisode) -> None:
    """The part of the reward that counts most: share-weighted progress lost."""
    mean, minutes = episode.mean_lost_frac[1:], episode.time_s / 60.0
    if mean.size:
        axes.stairs(mean, minutes, color="black", fill=True, alpha=0.15)
        axes.stairs(mean, minutes, color="black", linewidth=1.0, baseline=None)
        axes.set_title(
            f"Share-weighted mean of all VMs: {float(mean.mean()):.1%} lost so far",
            loc="left", fontsize=10,
        )  # fmt: skip
    axes.set_ylim(0.0, max(0.1, 1.15 * float(mean.max(initial=0.0))))
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
