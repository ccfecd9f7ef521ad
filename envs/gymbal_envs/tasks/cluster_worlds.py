"""A task on several hosts, for C clusters at once: orders over them, local balancing underneath."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as of
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.tasks.balanced_clusters import BalancedClusters
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.cluster.history import ClusterHistory
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.tasks import OVERLOAD

Floats = NDArray[np.float64]


class ClusterWorlds(BalancedClusters[ClusterTelemetry]):
    """C clusters whose overloads are answered by actions (one order a decision) or by `Orders`.

    Every decision, the local agent first divides each host's memory by what that host reports; the
    orders come on top.

    Its arguments are those of `Worlds`.
    """

    TASK = OVERLOAD

    codec: ClusterCodec
    history: ClusterHistory

    @staticmethod
    def spaces_of(config: TaskConfig, shape: WorldShape) -> tuple[spaces.Dict, spaces.Discrete]:
        """Observation and action space of one cluster."""
        codec: ClusterCodec = config.codec
        hosts, candidates = shape.num_hosts, codec.candidates
        actions = codec.actions_of(hosts)
        bounds = codec.bounds()

        def box(name: str, *axes: int) -> spaces.Box:
            low, high = bounds[name]
            return spaces.Box(
                np.broadcast_to(low, (*axes, low.size)), np.broadcast_to(high, (*axes, low.size))
            )

        flags = {
            "vm_present": (hosts, candidates),
            "host_present": (hosts,),
            "mask": (actions,),
        }
        return spaces.Dict(
            {
                "vms": box("vms", hosts, candidates),
                "hosts": box("hosts", hosts),
                "cluster": box("cluster"),
                "proposed": spaces.Box(0.0, float(actions - 1), (1,)),
                **{name: spaces.Box(0.0, 1.0, axes) for name, axes in flags.items()},
            }
        ), spaces.Discrete(actions)

    def action_masks(self) -> NDArray[np.bool_]:
        """Legal actions in the present state, (C, A)."""
        return self.codec.mask(self.telemetry, self.base if self.propose else None)

    def decision(self, action: NDArray[Any]) -> Orders:
        """Orders by their number, (C,)."""
        base = self.base if self.propose else None
        return self.codec.decode(action, self.telemetry, base)

    def measured(self) -> dict[str, Floats]:
        """What the reward does not say about the last interval; see `MEASURES`."""
        return cluster_measures(self.engine)

    def _carry_out(self, decision: Orders) -> None:
        self.engine.step(decision, self.local_command(decision))

    def _terms(self) -> dict[str, Floats]:
        return cluster_terms(self.engine)

    def _new_history(self) -> ClusterHistory:
        return self.codec.initial_history(self.num_worlds, self.num_hosts, self.num_vms)


def cluster_terms(engine: ClusterEngine) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (C,) and not negative.

    ``progress_lost`` is a fraction in [0, 1], weighted by the VMs' shares; the rest in units of the
    memory of all hosts (``memory_set_aside`` is a mean over the interval), ``processes_killed`` a
    share-weighted fraction of VMs.
    """
    memory = memory_bytes(engine)
    seen = engine.measured(("network_bytes", "set_aside_byte_s"))
    return {
        "progress_lost": share_weighted(engine, host_at.LOST) / engine.interval_s,
        "balloon_traffic": over_hosts(engine, engine.hosts.outcome[:, host_at.MOVED].sum(axis=1))
        / memory,
        "processes_killed": share_weighted(engine, host_at.KILLED),
        "network_traffic": seen["network_bytes"] / memory,
        "memory_set_aside": seen["set_aside_byte_s"] / (engine.interval_s * memory),
    }


def cluster_measures(engine: ClusterEngine) -> dict[str, Floats]:
    """What the reward does not say about the last interval, (C,) each; names in `MEASURES`."""
    memory, seen = memory_bytes(engine), engine.measured()
    return {
        "lost_to_memory": share_weighted(engine, host_at.LOST_MEMORY) / engine.interval_s,
        "move_downtime_s": seen["move_downtime_s"],
        "far_traffic": seen["far_bytes"] / memory,
        "move_traffic": (seen["move_bytes"] + seen["clone_bytes"]) / memory,
        "memory_lent": seen["lent_byte_s"] / (engine.interval_s * memory),
        "moves_begun": seen["moves_begun"] + seen["cloned"],
        "orders_refused": seen["orders_refused"],
    }


MEASURES = (
    "lost_to_memory",
    "move_downtime_s",
    "far_traffic",
    "move_traffic",
    "memory_lent",
    "moves_begun",
    "orders_refused",
)
"""Lost progress by cause, downtime in s, traffic and lent memory in units of the memory of all
hosts, orders."""


def memory_bytes(engine: ClusterEngine) -> Floats:
    """Memory for guests of all hosts of each cluster, (C,)."""
    return np.maximum(over_hosts(engine, engine.member[:, of.PHYSICAL]), 1.0)


def over_hosts(engine: ClusterEngine, values: Floats) -> Floats:
    """Sum of (C * H,) values over each cluster's hosts, (C,)."""
    total: Floats = values.reshape(engine.num_clusters, engine.num_hosts).sum(axis=1)
    return total


def share_weighted(engine: ClusterEngine, row: int) -> Floats:
    """Mean of a row of the hosts' outcome over a cluster's VMs, weighted by their shares, (C,)."""
    shares = engine.hosts.world_vm[:, host_at.SHARES]
    weighted = over_hosts(engine, (shares * engine.hosts.outcome[:, row]).sum(axis=1))
    mean: Floats = weighted / np.maximum(over_hosts(engine, shares.sum(axis=1)), 1e-12)
    return mean
