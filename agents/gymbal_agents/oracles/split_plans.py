"""Plans for memory: the optimal split for some window of future demand, followed as it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_agents.oracles.optimal_split import optimal_splits
from gymbal_agents.oracles.plan import Floats, Window, window_knots
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command

SPLIT_WINDOWS = ((0.0, 10.0), (10.0, 20.0), (0.0, 30.0), (0.0, 60.0), (0.0, 180.0), (0.0, 600.0))
"""Seconds of future demand, from each decision, that a split is the best for."""

_ALL = slice(None)


def best_split(engine: Engine, start_s: Floats, end_s: Floats, worlds: slice = _ALL) -> Floats:
    """Optimal memory split for the true demand of a window.

    Args:
        engine: the worlds.
        start_s: (N,) seconds from now where each world's window begins.
        end_s: (N,) seconds from now where it ends.
        worlds: of the engine, the first N of which are split.

    Returns:
        (N, V) bytes.
    """
    first, last = window_knots(engine, start_s, end_s)
    n = first.size
    host, world_host = engine.host[worlds], engine.world_host[worlds]
    wait = np.maximum(host[:n, at.WAIT], world_host[:n, at.TIER_LATENCY])
    targets = np.zeros((n, engine.num_vms))
    optimal_splits(
        engine.world_vm[worlds], world_host, engine.curve[worlds], engine.demand[worlds], wait,
        first, last, targets,
    )  # fmt: skip
    return targets


@dataclass(frozen=True)
class SplitPlans:
    """Follow the optimal split for a moving window, fully or half-way, or change nothing."""

    windows: tuple[Window, ...] = SPLIT_WINDOWS

    @property
    def num_plans(self) -> int:
        """Two plans a window and one that stays."""
        return 2 * len(self.windows) + 1

    def __call__(self, engine: Engine, num_worlds: int, step: int = 0) -> Command:
        """Targets of every plan for every world."""
        return Command(balloon_bytes=self.targets(engine, num_worlds))

    def targets(self, engine: Engine, num_worlds: int, worlds: slice = _ALL) -> Floats:
        """(P * B, V) bytes of every plan.

        Args:
            engine: the worlds.
            num_worlds: B.
            worlds: the P * B of the engine that follow the plans.
        """
        b = num_worlds
        actual = engine.vm[worlds, at.ACTUAL]
        starts, ends = np.array(self.windows).T
        halves = len(self.windows) * b
        whole = best_split(engine, np.repeat(starts, b), np.repeat(ends, b), worlds)
        half = 0.5 * (whole + actual[halves : 2 * halves])
        return np.concatenate([whole, half, actual[2 * halves :]])
