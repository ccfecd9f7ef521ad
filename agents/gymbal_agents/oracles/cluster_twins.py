"""Exact copies of clusters with their local agents, to try orders in.

A copy lives through the same demand and the same sensors' noise as its origin, and its local agent
remembers the same: what orders lead to there is what they lead to here.
"""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_runtime.agent import Agent
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry

AgentT = TypeVar("AgentT")
Floats = NDArray[np.float64]
Places = NDArray[np.int64]

ENDLESS = 1 << 40
"""Decisions; more than any episode has."""


class ClusterTwins:
    """N copies of clusters.

    Args:
        like: clusters of the same shape and task.
        count: N.
        num_threads: of the engine.
    """

    def __init__(self, like: ClusterWorlds, count: int, num_threads: int = 2) -> None:
        engine = like.engine
        shape = WorldShape(engine.num_vms, engine.hosts.num_knots, ENDLESS, engine.num_hosts)
        self._worlds = ClusterWorlds(
            _no_scenario, count, shape, like.config, num_threads, encode=False, propose=False
        )
        self.engine = self._worlds.engine
        self.count = count

    @property
    def telemetry(self) -> ClusterTelemetry:
        """What the copies report now."""
        return self._worlds.telemetry

    def follow(self, source: ClusterWorlds | ClusterTwins, origin: Places) -> None:
        """Make copy i the exact twin of the source's cluster ``origin[i]``, (N,)."""
        worlds = source._worlds if isinstance(source, ClusterTwins) else source
        h = self.engine.num_hosts
        rows = (origin[:, None] * h + np.arange(h)).ravel()
        self.engine.copy_clusters(worlds.engine, origin)
        self._worlds.local = branch(worlds.local, rows, worlds.num_worlds * h)
        self._worlds.telemetry = self.engine.telemetry()

    def step(self, orders: Orders) -> Floats:
        """Carry out orders until the next decision; the reward of each copy, (N,)."""
        return self._worlds.apply(orders).reward

    def avoidable_s(self) -> Floats:
        """Progress that each VM lost in the last interval beyond what monitors took, (N, H, V) s.

        Weighted by shares such that a cluster's sum is what its VMs lost on average.
        """
        outcome = self.engine.hosts.outcome
        return self._weighted(outcome[:, host_at.LOST] - outcome[:, host_at.LOST_MONITOR])

    def monitored(self) -> Floats:
        """Part of the last interval's wanted progress that monitors took, (N,)."""
        taken = self._weighted(self.engine.hosts.outcome[:, host_at.LOST_MONITOR])
        part: Floats = taken.sum(axis=(1, 2)) / self.engine.interval_s
        return part

    def _weighted(self, seconds: Floats) -> Floats:
        n, h, v = self.count, self.engine.num_hosts, self.engine.num_vms
        shares = self.engine.hosts.world_vm[:, host_at.SHARES].reshape(n, h, v)
        total = np.maximum(shares.sum(axis=(1, 2), keepdims=True), 1e-12)
        weighted: Floats = seconds.reshape(n, h, v) * shares / total
        return weighted


def branch(agent: AgentT, rows: Places, count: int) -> AgentT:
    """A copy of an agent whose host (or cluster) i remembers what the agent's ``rows[i]`` does.

    What does not belong to single hosts, a policy for example, is shared.

    Args:
        agent: of ``count`` hosts.
        rows: (M,) hosts.
        count: H.
    """
    twin: AgentT = _taken(agent, rows, count)
    return twin


def _taken(value: Any, rows: Places, count: int) -> Any:
    """The part of some memory that belongs to the given hosts."""
    if isinstance(value, np.ndarray):
        return value[rows] if value.ndim and value.shape[0] == count else value
    if isinstance(value, dict):
        return {name: _taken(one, rows, count) for name, one in value.items()}
    if isinstance(value, tuple) and value and isinstance(value[0], int) and value[0] == count:
        return (rows.size, *value[1:])  # the shape that the agent was told to expect
    if _are_arrays(value):
        return tuple(_taken(one, rows, count) for one in value)
    if isinstance(value, Agent) or _is_memory(value):
        twin = copy.copy(value)
        names = [f.name for f in fields(value)] if is_dataclass(value) else list(vars(value))
        for name in names:
            object.__setattr__(twin, name, _taken(getattr(value, name), rows, count))
        return twin
    return value


def _is_memory(value: Any) -> bool:
    """Whether it is a record of arrays."""
    if not is_dataclass(value) or isinstance(value, type):
        return False
    held = [getattr(value, field.name) for field in fields(value)]
    return any(isinstance(one, np.ndarray) or _are_arrays(one) for one in held)


def _are_arrays(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(one, np.ndarray) for one in value)


def _no_scenario(index: int) -> ClusterScenario:
    raise AssertionError("copies play nothing of their own")
