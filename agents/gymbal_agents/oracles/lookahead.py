"""Oracles: the best split for the true present, and a receding horizon over the true future."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.optimal_split import optimal_splits
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.tasks.balloon.reward import RewardWeights, reward_terms, total_reward
from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]


def best_split(engine: Engine, start_s: Floats, end_s: Floats) -> Floats:
    """Optimal split for the true demand of a window, for the engine's first worlds.

    Args:
        engine: the worlds.
        start_s: (N,) seconds from now where each world's window begins, N <= B.
        end_s: (N,) seconds from now where it ends.

    Returns:
        (N, V) bytes.
    """
    n = start_s.shape[0]
    knot = engine.host[:n, at.TICK] * engine.params.clock.tick_s / engine.params.knot_s
    first = (knot + start_s / engine.params.knot_s).astype(np.int64)
    last = np.maximum((knot + end_s / engine.params.knot_s).astype(np.int64), first + 1)
    wait = np.maximum(engine.host[:n, at.WAIT], engine.world_host[:n, at.TIER_LATENCY])
    targets = np.zeros((n, engine.num_vms))
    optimal_splits(
        engine.world_vm, engine.world_host, engine.curve, engine.demand, wait, first, last, targets
    )
    return targets


class PresentOracle:
    """The exact optimum for the true demand of this moment; knows no future.

    Args:
        engine: the worlds to look into.
        window_s: seconds from now that the split is best for.
    """

    def __init__(self, engine: Engine, window_s: tuple[float, float] = (0.0, 10.0)) -> None:
        self.engine, self.window_s = engine, window_s
        self.name = "oracle_now"

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """It remembers nothing."""

    def act(self, telemetry: Telemetry) -> Command:
        """The optimal split; telemetry is not needed."""
        whole = np.ones(self.engine.num_worlds)
        split = best_split(self.engine, whole * self.window_s[0], whole * self.window_s[1])
        return Command(balloon_bytes=np.where(telemetry.present, split, np.nan))


DEFAULT_WINDOWS = ((0.0, 10.0), (10.0, 20.0), (0.0, 30.0), (0.0, 60.0), (0.0, 180.0), (0.0, 600.0))


class HorizonOracle:
    """Receding horizon with the true future: tries plans in exact copies of the world.

    A *plan* follows the optimal split for a moving window of future demand (six windows, from the
    next 10 s to the next 10 min), fully or half-way from what the VMs hold, or changes nothing.
    Each is simulated with the true future, noise included, for ``horizon_steps`` decisions; the
    first move of the best is made. This is the rollout algorithm (Bertsekas): at each decision at
    least as good as the best of its plans over the horizon. It is a strong bound, not a proven
    optimum.

    Args:
        engine: the worlds to look into.
        weights: of the reward.
        horizon_steps: decisions looked ahead.
        windows: (start, end) in seconds from each decision.
    """

    def __init__(
        self,
        engine: Engine,
        weights: RewardWeights | None = None,
        horizon_steps: int = 18,
        windows: tuple[tuple[float, float], ...] = DEFAULT_WINDOWS,
    ) -> None:
        self.engine = engine
        self.weights = weights or RewardWeights()
        self.horizon_steps, self.windows = horizon_steps, windows
        self.name = "oracle"
        self.num_plans = 2 * len(windows) + 1
        b = engine.num_worlds
        self._twin = Engine(
            b * self.num_plans, engine.num_vms, engine.num_knots, engine.params, num_threads=2
        )
        self._origin = np.tile(np.arange(b), self.num_plans)

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """It remembers nothing."""

    def act(self, telemetry: Telemetry) -> Command:
        """First move of the best plan; telemetry is not needed."""
        b, v = self.engine.num_worlds, self.engine.num_vms
        self._twin.copy_worlds(self.engine, self._origin)
        gained = np.zeros(b * self.num_plans)
        first = np.zeros((b * self.num_plans, v))
        for step in range(self.horizon_steps):
            targets = self._plans()
            if step == 0:
                first = targets
            self._twin.step(targets)
            gained += total_reward(reward_terms(self._twin), self.weights)
        best = np.argmax(gained.reshape(self.num_plans, b), axis=0)
        chosen = first.reshape(self.num_plans, b, v)[best, np.arange(b)]
        return Command(balloon_bytes=np.where(telemetry.present, chosen, np.nan))

    def _plans(self) -> Floats:
        """Targets of every plan for every world, (num_plans * B, V)."""
        b = self.engine.num_worlds
        actual = self._twin.vm[:, at.ACTUAL]
        starts, ends = np.array(self.windows).T
        halves = len(self.windows) * b
        whole = best_split(self._twin, np.repeat(starts, b), np.repeat(ends, b))
        half = 0.5 * (whole + actual[halves : 2 * halves])
        return np.concatenate([whole, half, actual[2 * halves :]])
