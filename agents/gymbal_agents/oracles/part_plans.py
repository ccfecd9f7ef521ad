"""Plans for the last-level cache: divide it once, between VMs or groups, and leave it so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from gymbal_agents.oracles.optimal_clusters import optimal_clusters
from gymbal_agents.oracles.optimal_parts import optimal_parts
from gymbal_agents.oracles.plan import Floats, Window, window_knots
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command

PART_WINDOWS = ((0.0, 5.0), (0.0, 20.0), (0.0, 60.0), (0.0, 180.0), (0.0, 600.0))
"""Seconds of future demand, from each decision, that a division is the best for."""


def best_parts(engine: Engine, start_s: Floats, end_s: Floats) -> tuple[Floats, Floats]:
    """Optimal division of the cache for the true demand of a window, for the first N worlds.

    Args:
        engine: the worlds.
        start_s: (N,) seconds from now where each world's window begins, N <= B.
        end_s: (N,) seconds from now where it ends.

    Returns:
        (N, V) classes and (N, V) units.
    """
    first, last = window_knots(engine, start_s, end_s)
    n = first.size
    classes, units = np.zeros((n, engine.num_vms)), np.zeros((n, engine.num_vms))
    optimal_parts(
        engine.world_vm, engine.world_host, engine.programs, engine.demand,
        np.ascontiguousarray(engine.host[:, at.LATENCY_FACTOR]), first, last, classes, units,
    )  # fmt: skip
    return classes, units


def best_clusters(engine: Engine, ahead_s: Floats) -> tuple[Floats, Floats]:
    """Best division found between groups of VMs, for the programs that run in some seconds.

    Args:
        engine: the worlds; the first N are divided, and all of them are in the same state.
        ahead_s: (N,) seconds from now.

    Returns:
        (N, V) classes and (N, V) units.
    """
    knot, _ = window_knots(engine, ahead_s, ahead_s)
    n = knot.size
    classes, units = np.zeros((n, engine.num_vms)), np.zeros((n, engine.num_vms))
    latency = np.ascontiguousarray(engine.host[:, at.LATENCY_FACTOR])

    def divide(edges: tuple[int, int]) -> None:
        optimal_clusters(
            edges[0], edges[1], engine.world_vm, engine.world_host, engine.programs, engine.demand,
            engine.vm, latency, knot, classes, units,
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(divide, [(0, n // 2), (n // 2, n)]))
    return classes, units


@dataclass(frozen=True)
class PartPlans:
    """Divide the cache once and leave it so; or share all of it, or stay.

    Divided optimally between single VMs for some windows of future demand, and between groups of
    VMs (`optimal_clusters`) for the programs of some instants to come.
    """

    windows: tuple[Window, ...] = PART_WINDOWS
    instants_s: tuple[float, ...] = (0.0, 10.0, 30.0)

    @property
    def num_plans(self) -> int:
        """One plan a window and an instant, one that shares and one that stays."""
        return len(self.windows) + len(self.instants_s) + 2

    def __call__(self, engine: Engine, num_worlds: int, step: int = 0) -> Command:
        """Classes and units of every plan for every world."""
        b, v = num_worlds, engine.num_vms
        command = Command.no_change(self.num_plans * b, v)
        if step > 0:
            return command
        starts, ends = np.array(self.windows).T
        classes, units = best_parts(engine, np.repeat(starts, b), np.repeat(ends, b))
        grouped, shared = best_clusters(engine, np.repeat(np.array(self.instants_s), b))
        present = engine.world_vm[:b, at.PRESENT] > 0
        together = np.where(present, 0.0, np.nan)
        everything = np.where(present, engine.world_host[:b, at.LLC_UNITS, None], np.nan)
        leave = np.full((b, v), np.nan)
        return replace(
            command,
            llc_class=np.concatenate([classes, grouped, together, leave]),
            llc_units=np.concatenate([units, shared, everything, leave]),
        )
