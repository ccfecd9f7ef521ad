"""The oracle of moves between sites: plans tried out in copies of the world, to the very end.

It knows every VM's activity and the line's other users for the whole episode, since copies live
through the same. A plan says in which order VMs move, how many at a time, what is reduced, how long
each waits and how long its pre-copy lasts. The best of the heuristics' plans is improved by local
search: one thing is changed, the whole episode played in a copy, and the change kept if it pays.
What comes out is a plan that can be carried out, so its cost bounds the optimum from above; it is a
strong bound, not a proven optimum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gymbal_agents.oracles.sites_changes import mutate
from gymbal_agents.oracles.sites_plan import (
    Bools,
    Floats,
    Places,
    Plan,
    all_arrived,
    empty_plan,
    plan_of,
)
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_envs.tasks.reward import RewardWeights, total_reward
from gymbal_envs.tasks.sites_terms import sites_terms
from gymbal_runtime.sites.agent import SitesAgent
from gymbal_runtime.sites.orders import SitesOrders
from gymbal_runtime.sites.telemetry import SitesTelemetry

PORTFOLIO: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        ("smart_stop_cbr", {"concurrency": at_once, "order": order})
        for at_once in (1.0, 2.0, 3.0)
        for order in ("worth", "smallest")
    ),
    ("smart_stop_cbr", {"least_redundancy": 0.25}),
    ("smart_stop_cbr", {"quiet_activity": 0.15}),
    ("smart_stop_cbr", {"most_rounds": 300.0, "slack_frac": 0.0, "window": 6.0}),
    ("smart_stop", {}),
    ("smart_stop", {"concurrency": 2.0}),
    ("xen_30_rounds", {}),
)
"""Heuristics and options whose plans the search may start from."""

PAUSE_HURTS = 10.0
"""A paused second against one without progress, when it is decided which VM's plan to change."""


class SitesOracle(SitesAgent):
    """Plans each world's episode when it begins, with the true future, and carries the plan out.

    Args:
        engine: the worlds to look into.
        weights: of the reward.
        tries: changes tried side by side.
        rounds: how often.
        seed: of the changes.
        num_threads: of the copies' engine.
    """

    def __init__(
        self,
        engine: SitesEngine,
        weights: RewardWeights | None = None,
        tries: int = 16,
        rounds: int = 24,
        seed: int = 0,
        num_threads: int = 2,
    ) -> None:
        self.name = "oracle"
        self.engine, self.weights = engine, weights or RewardWeights()
        self.tries, self.rounds, self.seed = tries, rounds, seed
        self.num_threads = num_threads
        b, v = engine.num_worlds, engine.num_vms
        self.plan = empty_plan(b, v)
        self.expected = np.zeros(b)  # (B,) rest of the episode's reward under the plan
        self._unplanned = np.ones(b, dtype=np.bool_)

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Plan the marked worlds (B,), or all of them, at the next decision."""
        self._unplanned |= True if worlds is None else worlds

    def act(self, telemetry: SitesTelemetry) -> SitesOrders:
        """What the plan says; telemetry is not needed."""
        which = np.flatnonzero(self._unplanned | (self.engine.link[:, at.TICK] == 0.0))
        if which.size:
            plan, value = self._search(which)
            self.plan.put(which, plan)
            self.expected[which] = value
            self._unplanned[which] = False
        return self.plan.orders(self.engine)

    def _search(self, which: Places) -> tuple[Plan, Floats]:
        """The best plan found for each of the worlds, and its reward."""
        best, value, cost = self._best_of_portfolio(which)
        rng = np.random.default_rng(self.seed)
        twin = self._twin(which.size * self.tries)
        columns = np.arange(which.size)
        for _ in range(self.rounds):
            rows = np.tile(columns, self.tries)
            candidates = mutate(best.take(rows), cost[rows], rng)
            twin.copy_worlds(self.engine, which[rows])
            found, costs = self._play(twin, candidates)
            winner = found.reshape(self.tries, -1).argmax(axis=0) * which.size + columns
            better = found[winner] > value
            best.put(columns[better], candidates.take(winner[better]))
            value[better], cost[better] = found[winner[better]], costs[winner[better]]
        return best, value

    def _best_of_portfolio(self, which: Places) -> tuple[Plan, Floats, Floats]:
        """The best of the heuristics' plans, its reward (N,) and each VM's part of it (N, V)."""
        v = self.engine.num_vms
        best, value = empty_plan(which.size, v), np.full(which.size, -np.inf)
        cost = np.zeros((which.size, v))
        twin = self._twin(which.size)
        for name, options in PORTFOLIO:
            twin.copy_worlds(self.engine, which)
            plan = plan_of(name, options, twin, self._steps_left(twin))
            twin.copy_worlds(self.engine, which)
            found, costs = self._play(twin, plan)
            better = np.flatnonzero(found > value)
            best.put(better, plan.take(better))
            value[better], cost[better] = found[better], costs[better]
        return best, value, cost

    def _play(self, twin: SitesEngine, plan: Plan) -> tuple[Floats, Floats]:
        """Reward of the rest of the episode, (N,), and what each VM suffered in it, (N, V) s."""
        total, suffered = np.zeros(twin.num_worlds), np.zeros(plan.turn.shape)
        for _ in range(self._steps_left(twin)):
            if all_arrived(twin):
                break
            twin.step(plan.orders(twin))
            total += total_reward(sites_terms(twin), self.weights)
            suffered += PAUSE_HURTS * twin.outcome[:, at.PAUSED] + twin.outcome[:, at.LOST]
        return total, suffered * twin.world_vm[:, at.SHARES]

    def _steps_left(self, twin: SitesEngine) -> int:
        """Decisions until the last knot of demand, at least one."""
        physics = twin.physics
        seconds = (twin.num_knots - 1) * physics.knot_s
        seconds -= float(twin.link[:, at.TICK].min()) * physics.clock.tick_s
        return max(round(seconds / physics.clock.control_interval_s), 1)

    def _twin(self, num_worlds: int) -> SitesEngine:
        source = self.engine
        return SitesEngine(
            num_worlds, source.num_vms, source.num_knots, source.physics, source.params,
            self.num_threads,
        )  # fmt: skip
