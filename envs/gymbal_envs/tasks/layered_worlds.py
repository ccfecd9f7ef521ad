"""Whole clusters at two speeds: hosts balance themselves, and more seldom all layers decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as of
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.cluster.readings import host_energy_j, power_measured
from gymbal_envs.tasks.balanced_clusters import BalancedClusters
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.centre_terms import JOULES_PER_KWH
from gymbal_envs.tasks.cluster_worlds import memory_bytes, over_hosts, share_weighted
from gymbal_envs.tasks.config import ClusterSettings, TaskConfig
from gymbal_envs.tasks.row_spaces import row_spaces
from gymbal_runtime.cluster.heuristics.layered import Layered
from gymbal_runtime.cluster.layers.codec import LayersCodec
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.row_layout import RowHistory
from gymbal_runtime.tasks import CLUSTER

Floats = NDArray[np.float64]


class LayeredWorlds(BalancedClusters[PoweredTelemetry]):
    """C clusters whose overloads, hosts and arrivals are dealt with by corrections of a stack.

    A decision holds for ``physics.clock.control_interval_s``. Meanwhile local agents divide each
    host's memory anew every ``cluster.local.interval_s``.

    Its arguments are those of `Worlds`.
    """

    TASK = CLUSTER

    codec: LayersCodec
    history: RowHistory
    base_agent: Layered

    @staticmethod
    def spaces_of(config: TaskConfig, shape: WorldShape) -> tuple[spaces.Dict, spaces.Box]:
        """Observation and action space of one cluster; what absent hosts ask for is ignored."""
        codec: LayersCodec = config.codec
        places = shape.num_hosts
        observed = row_spaces(codec.bounds(), "hosts", "cluster", places)
        return observed, spaces.Box(-1.0, 1.0, (places, len(codec.actions)), np.float32)

    @property
    def ticks_per_part(self) -> tuple[int, int]:
        """Physics steps between two local decisions, and local decisions in an interval."""
        clock = self.config.physics.clock
        local = (self.config.cluster or ClusterSettings()).local.interval_s
        ticks = clock.ticks_per_decision if local is None else round(local / clock.tick_s)
        return ticks, clock.ticks_per_decision // ticks

    def decision(self, action: NDArray[Any]) -> Orders:
        """Corrections (C, H, A) in [-1, 1] of the stack, as orders."""
        base = self.base if self.propose else None
        return self.codec.decode(action, self.telemetry, base, self.base_agent)

    def measured(self) -> dict[str, Floats]:
        """What the reward does not say about the last interval; see `layered_counts`."""
        return layered_counts(self.engine)

    def host_energy_j(self) -> Floats:
        """J that each host took in the last interval, (C, H)."""
        return host_energy_j(self.engine)

    def _read(self) -> PoweredTelemetry:
        return self.engine.powered_telemetry()

    def _carry_out(self, decision: Orders) -> None:
        ticks, parts = self.ticks_per_part
        orders = decision
        for part in range(parts):
            if part:
                self.telemetry, orders = self._read(), decision.lasting
            self.engine.step(orders, self.local_command(orders), ticks, goes_on=part > 0)

    def _terms(self) -> dict[str, Floats]:
        return layered_terms(self.engine)

    def _new_history(self) -> RowHistory:
        return self.codec.initial_history(self.num_worlds, self.num_hosts)


def layered_terms(engine: ClusterEngine) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (C,) and not negative.

    ``energy``: of what all hosts would take at peak power. ``progress_lost``: a fraction in [0, 1],
    weighted by the VMs' shares; who waits for a host makes none. ``processes_killed``: a
    share-weighted fraction of VMs. ``network_traffic``: in units of the memory of all hosts.
    """
    peak_w = np.where(engine.member[:, of.EXISTS] > 0, engine.watts.max(axis=1), 0.0)
    most_j = over_hosts(engine, peak_w) * engine.interval_s
    sent = engine.measured(("network_bytes",))["network_bytes"]
    return {
        "energy": power_measured(engine)["energy_j"] / np.maximum(most_j, 1e-12),
        "progress_lost": share_weighted(engine, host_at.LOST) / engine.interval_s,
        "processes_killed": share_weighted(engine, host_at.KILLED),
        "network_traffic": sent / memory_bytes(engine),
    }


def layered_counts(engine: ClusterEngine) -> dict[str, Floats]:
    """What the reward does not say about the last interval, (C,) each; keys: `LAYERED_COUNTS`."""
    memory, power = memory_bytes(engine), power_measured(engine)
    seen = engine.measured(
        ("move_downtime_s", "far_bytes", "moves_begun", "cloned", "orders_refused")
    )
    hosts = np.maximum(over_hosts(engine, engine.member[:, of.EXISTS]), 1.0)
    return {
        "lost_to_memory": share_weighted(engine, host_at.LOST_MEMORY) / engine.interval_s,
        "hosts_on": power["on_s"] / engine.interval_s / hosts,
        "far_traffic": seen["far_bytes"] / memory,
        "energy_j": power["energy_j"],
        "moves_begun": seen["moves_begun"] + seen["cloned"],
        "move_downtime_s": seen["move_downtime_s"],
        "wakes": power["wakes"],
        "waited_s": power["waited_s"],
        "orders_refused": seen["orders_refused"] + power["power_orders_refused"],
    }


LAYERED_COUNTS = (
    "lost_to_memory", "hosts_on", "far_traffic", "energy_j", "moves_begun", "move_downtime_s",
    "wakes", "waited_s", "orders_refused",
)  # fmt: skip
"""Progress lost to memory, part of the hosts that is on, far pages in units of the memory of all
hosts; J, moves and clones, s of VMs paused by them, hosts woken, s without a host, orders."""

LAYERED_MEASURES = (
    "lost_to_memory", "hosts_on", "far_traffic", "energy_kwh", "migrations", "downtime_s", "wakes",
    "waited_s", "orders_refused",
)  # fmt: skip
"""What `layered_measures` makes of them for an episode: means of the first three, else totals."""


def layered_measures(means: Mapping[str, Floats], steps: int) -> dict[str, Floats]:
    """Measures of whole episodes, from the mean per decision of each of `LAYERED_COUNTS`.

    Args:
        means: (N,) each, of N episodes.
        steps: decisions of an episode.
    """
    return {
        **{name: means[name] for name in ("lost_to_memory", "hosts_on", "far_traffic")},
        "energy_kwh": means["energy_j"] * steps / JOULES_PER_KWH,
        "migrations": means["moves_begun"] * steps,
        "downtime_s": means["move_downtime_s"] * steps,
        **{name: means[name] * steps for name in ("wakes", "waited_s", "orders_refused")},
    }
