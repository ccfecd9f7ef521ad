"""The oracle of data centres: it knows what VMs will want, and tries how far to look and to fill.

Finding the best consolidation of even one moment is bin packing, and moves tie the moments
together. This bound is from below: rules that see the true demand of the next minutes to hours are
played to the end in copies of each centre, and the best is followed. What a policy gains against
the best heuristic is read as a share of what this one gains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.tasks.batch import Worlds
from gymbal_envs.tasks.centre_terms import centre_terms
from gymbal_envs.tasks.reward import total_reward
from gymbal_runtime.centre.agent import CentreAgent
from gymbal_runtime.centre.heuristics.cloudsim import LrMmt, ThrMmt
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats

AHEAD_S = (600.0, 1800.0, 3600.0)
"""How far plans look: as long as moves of a round take, as a break of load, as a hill of it."""
FILLED = (0.9, 1.0)
"""Part of a host's MIPS that the largest demand ahead may take."""
CALM = ((0.0, 0.0), (900.0, 0.5))
"""Seconds that a host stays awake and VMs stay where they are, and patience before it sleeps."""


@dataclass(frozen=True)
class Plan:
    """A rule that sees what is coming.

    Attributes:
        ahead_s: VMs count with the most that they want until then; 0: with what they want now.
        rule: decides.
    """

    ahead_s: float
    rule: CentreAgent

    def orders(self, engine: CentreEngine) -> CentreOrders:
        """What it says now."""
        return self.rule.act(foreseen(engine, self.ahead_s))


def plans() -> list[Plan]:
    """All that are tried."""
    return [Plan(0.0, LrMmt())] + [
        Plan(
            ahead, ThrMmt(parameter=filled, ceiling=filled, dwell_s=calm, awake_s=calm, patience=p)
        )
        for ahead in AHEAD_S
        for filled in FILLED
        for calm, p in CALM
    ]


def foreseen(engine: CentreEngine, ahead_s: float) -> CentreTelemetry:
    """The engine's record, in which VMs ask now for the most that they will want for a while."""
    record = engine.telemetry()
    knot_s = engine.physics.knot_s
    now = (record.time_s / knot_s).astype(np.int64)
    last = engine.demand.shape[1] - 1
    most = record.wanted_frac.copy()
    for k in range(1, round(ahead_s / knot_s) + 1):
        knot = np.minimum(now + k, last)
        np.maximum(most, engine.demand[np.arange(now.size), knot], out=most)
    return replace(record, wanted_frac=np.where(record.present, most, record.wanted_frac))


class CentreOracle:
    """Follows in each centre the plan that was best in its copies.

    Args:
        worlds: just reset; their scenarios are played in copies at the first decision.
    """

    name = "oracle"

    def __init__(self, worlds: Worlds[Any, Any]) -> None:
        self._worlds = worlds
        self._plans = plans()
        self._best = np.zeros(0, dtype=np.int64)

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Choose anew at the next decision."""
        self._best = np.zeros(0, dtype=np.int64)
        for plan in self._plans:
            plan.rule.reset(num_worlds, num_vms, worlds)

    def act(self, telemetry: CentreTelemetry) -> CentreOrders:
        """What the best plan of each centre says."""
        engine: CentreEngine = self._worlds.engine
        if self._best.size != engine.num_centres:
            self._best = np.argmax(self._rewards(engine), axis=0)
        orders = CentreOrders.none(engine.num_centres, engine.num_hosts, engine.num_vms)
        for number in np.unique(self._best):
            mine, said = self._best == number, self._plans[number].orders(engine)
            orders.target[mine], orders.power[mine] = said.target[mine], said.power[mine]
        return orders

    def _rewards(self, engine: CentreEngine) -> Floats:
        """Reward of each plan from now to the end, (plans, C)."""
        twin = CentreEngine(
            engine.num_centres, engine.num_hosts, engine.num_vms, engine.num_knots, engine.physics,
            engine.params, engine.work.num_threads,
        )  # fmt: skip
        steps = int(self._worlds.episode_steps - self._worlds.steps.max())
        return np.stack([self._played(twin, plan, steps) for plan in self._plans])

    def _played(self, twin: CentreEngine, plan: Plan, steps: int) -> Floats:
        twin.copy_centres(self._worlds.engine, np.arange(twin.num_centres))
        reward = np.zeros(twin.num_centres)
        for _ in range(steps):
            twin.step(plan.orders(twin))
            reward += total_reward(centre_terms(twin), self._worlds.config.weights)
        plan.rule.reset(twin.num_centres, twin.num_vms)
        return reward
