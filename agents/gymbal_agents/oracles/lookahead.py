"""Oracles: the best division for the true present, and a receding horizon over the true future."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.plan import Planner
from gymbal_agents.oracles.plans import PLANNERS, plan_now
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.tasks.reward import RewardWeights, reward_terms, total_reward
from gymbal_runtime.command import Command
from gymbal_runtime.tasks import BALLOON, CACHE, HOST
from gymbal_runtime.telemetry import Telemetry

HORIZON_STEPS = {BALLOON: 18, CACHE: 3, HOST: 12}
"""Decisions looked ahead: three minutes of balloons, a quarter of one of a divided cache."""


class PresentOracle:
    """The exact optimum for the true demand of this moment; knows no future.

    Args:
        engine: the worlds to look into.
        task: whose resources it divides.
    """

    def __init__(self, engine: Engine, task: str = BALLOON) -> None:
        self.engine, self.task = engine, task
        self.name = "oracle_now"

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """It remembers nothing."""

    def act(self, telemetry: Telemetry) -> Command:
        """The optimal division; telemetry is not needed."""
        return _of_present(plan_now(self.engine, self.task), telemetry)


class HorizonOracle:
    """Receding horizon with the true future: tries plans in exact copies of the world.

    Each plan (see `gymbal_agents.oracles.plans`) is simulated with the true future, noise included,
    for ``horizon_steps`` decisions; the first move of the best is made. This is the rollout
    algorithm (Bertsekas): at each decision at least as good as the best of its plans over the
    horizon. It is a strong bound, not a proven optimum.

    Args:
        engine: the worlds to look into.
        task: whose resources it divides, and whose reward counts.
        weights: of the reward.
        horizon_steps: decisions looked ahead; by default the task's.
        planner: the plans; by default the task's.
    """

    def __init__(
        self,
        engine: Engine,
        task: str = BALLOON,
        weights: RewardWeights | None = None,
        horizon_steps: int | None = None,
        planner: Planner | None = None,
    ) -> None:
        self.engine, self.task = engine, task
        self.planner = planner = planner or PLANNERS[task]()
        self.weights = weights or RewardWeights()
        self.horizon_steps = horizon_steps or HORIZON_STEPS[task]
        self.name = "oracle"
        b = engine.num_worlds
        self._twin = Engine(
            b * planner.num_plans, engine.num_vms, engine.num_knots, engine.params, num_threads=2
        )
        self._origin = np.tile(np.arange(b), planner.num_plans)

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """It remembers nothing."""

    def act(self, telemetry: Telemetry) -> Command:
        """First move of the best plan; telemetry is not needed."""
        b, plans = self.engine.num_worlds, self.planner.num_plans
        self._twin.copy_worlds(self.engine, self._origin)
        gained = np.zeros(b * plans)
        first: Command | None = None
        for step in range(self.horizon_steps):
            command = self.planner(self._twin, b, step)
            first = first or command
            self._twin.step(command)
            gained += total_reward(reward_terms(self._twin, self.task), self.weights)
        best = np.argmax(gained.reshape(plans, b), axis=0)
        assert first is not None
        return _of_present(_rows(first, best * b + np.arange(b)), telemetry)


def _rows(command: Command, rows: NDArray[np.int64]) -> Command:
    return Command(**{name: values[rows] for name, values in command.given.items()})


def _of_present(command: Command, telemetry: Telemetry) -> Command:
    said = command.given.items()
    return Command(**{n: np.where(telemetry.present, values, np.nan) for n, values in said})
