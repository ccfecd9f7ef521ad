"""The search for good plans: the best of a portfolio, then changes, part by part of the episode.

Every plan is judged by what the rest of the episode costs in an exact copy of the cluster. What
comes out is a plan that can be carried out and does exactly what the search saw, so it is at least
as good as every agent of the portfolio in every single scenario. It is a strong bound, not a proven
optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.clairvoyant import clairvoyant_plan
from gymbal_agents.oracles.cluster_changes import Change, Luck, draw_changes
from gymbal_agents.oracles.cluster_foresight import foresee
from gymbal_agents.oracles.cluster_plans import Plan
from gymbal_agents.oracles.cluster_scenes import scene_of
from gymbal_agents.oracles.cluster_trials import Moment, Rival, Trial, play_agents, try_plans
from gymbal_agents.oracles.cluster_twins import ClusterTwins, Places
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.heuristics import OVERLOAD_HEURISTICS, make_cluster_heuristic
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools

Floats = NDArray[np.float64]

BETTER = 1e-9
"""Reward; less is rounding."""


@dataclass(frozen=True)
class SearchSettings:
    """How much is tried.

    Attributes:
        part_steps: decisions whose orders are changed before the search goes on.
        window_steps: decisions from the beginning of a part on in which losses are looked at.
        tries: changes of a cluster that are tried side by side, at most.
        rounds: how often in each part.
        cost_per_try: avoidable cost within the window that is worth one try.
        lead: reward by which a trial may be behind after the window without being given up.
        usable_frac: part of a host's memory that local agents bring to use.
        seed: of the changes.
    """

    part_steps: int = 30
    window_steps: int = 60
    tries: int = 12
    rounds: int = 2
    cost_per_try: float = 0.01
    lead: float = 0.03
    usable_frac: float = 0.9
    seed: int = 0


class Passive(ClusterAgent):
    """Gives no orders; hosts balance their memory locally, or have it divided statically."""

    def __init__(self, balance: bool = True) -> None:
        self.name = "nothing" if balance else "static"
        self.balance = balance

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """It remembers nothing."""

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """Nothing."""
        quiet = Orders.none(*telemetry.shape)
        return replace(quiet, balance=np.full(telemetry.num_clusters, self.balance))


def portfolio() -> list[ClusterAgent]:
    """The agents whose plans the search may start from."""
    rules = [make_cluster_heuristic(name) for name in OVERLOAD_HEURISTICS]
    return [Passive(), Passive(balance=False), *rules]


class PlanSearch:
    """Searches plans for clusters.

    Args:
        worlds: the clusters; they are looked at and left alone.
        settings: how much is tried.
        agents: the portfolio.
    """

    def __init__(
        self,
        worlds: ClusterWorlds,
        settings: SearchSettings | None = None,
        agents: Callable[[], Sequence[ClusterAgent]] = portfolio,
    ) -> None:
        self.worlds, self.agents = worlds, agents
        self.settings = settings or SearchSettings()
        self.kinds: dict[str, list[float]] = {}  # of a change: tries, successes, what they brought
        self.start: dict[str, Floats] = {}  # reward of each agent of the portfolio

    def __call__(self, which: Places) -> tuple[list[Plan], Floats]:
        """Plans for the rest of the episodes of clusters ``which`` (N,), and their rewards."""
        present = ClusterTwins(self.worlds, which.size)
        present.follow(self.worlds, which)
        steps = steps_left(present)
        plans, value = self._start(present, steps)
        chance = [
            (np.random.default_rng([self.settings.seed, seed]), Luck()) for seed in _seeds(present)
        ]
        if self.settings.tries == 0 or self.settings.rounds == 0:
            return plans, value
        now, passed = Moment(present, 0, [[] for _ in which]), np.zeros(which.size)
        while now.step < steps:
            last = min(now.step + self.settings.part_steps, steps)
            self._improve(now, plans, last, chance)
            passed += now.go_on(plans, last)
        return plans, passed

    def _start(self, present: ClusterTwins, steps: int) -> tuple[list[Plan], Floats]:
        """The best plans of the portfolio."""
        agents = self.agents()
        plans, rewards = play_agents(present, agents, steps, self.worlds)
        num_hosts, usable_frac = present.engine.num_hosts, self.settings.usable_frac
        plans.append(
            [
                clairvoyant_plan(foresee(present.engine, n, usable_frac), steps, num_hosts)
                for n in range(present.count)
            ]
        )
        now = Moment(present, 0, [[] for _ in range(present.count)])
        own = try_plans(now, np.arange(present.count), plans[-1], 1, self.worlds).value
        rewards = np.concatenate([rewards, own[None]])
        self.start = dict(zip([*(one.name for one in agents), "clairvoyant"], rewards, strict=True))
        best = rewards.argmax(axis=0)
        return [plans[int(a)][n] for n, a in enumerate(best)], rewards.max(axis=0)

    def _improve(
        self,
        now: Moment,
        plans: list[Plan],
        last: int,
        chance: Sequence[tuple[np.random.Generator, Luck]],
    ) -> None:
        """Change the orders of one part, in place."""
        settings, everyone = self.settings, np.arange(len(plans))
        best = try_plans(now, everyone, plans, settings.window_steps, self.worlds)
        cost = best.avoidable[: settings.window_steps].sum(axis=0)
        tries = np.clip(np.ceil(cost / settings.cost_per_try) - 1, 0, settings.tries).astype(int)
        ahead = {
            int(n): foresee(now.twins.engine, int(n), settings.usable_frac)
            for n in np.flatnonzero(tries)
        }
        more: dict[int, list[Change]] = {}
        for turn in range(settings.rounds):
            drawn: list[tuple[int, Change]] = []
            for n, foresight in ahead.items():
                mine = more.get(n, [])
                scene = scene_of(foresight, plans[n], best, n, now.step, last, turn == 0)
                mine += draw_changes(scene, int(tries[n]) - len(mine), *chance[n])
                drawn += [(n, change) for change in mine]
            if not drawn:
                return
            more = self._try(now, plans, best, drawn, chance)

    def _try(
        self,
        now: Moment,
        plans: list[Plan],
        best: Trial,
        drawn: list[tuple[int, Change]],
        chance: Sequence[tuple[np.random.Generator, Luck]],
    ) -> dict[int, list[Change]]:
        """Keep the best change of each cluster.

        Returns:
            For each cluster that something helped, the next best that did: to be tried on top.
        """
        settings, origin = self.settings, np.array([n for n, _ in drawn])
        changed = [change.apply(plans[n]) for n, change in drawn]
        rival = Rival(best.reward[:, origin], settings.window_steps, settings.lead)
        found = try_plans(now, origin, changed, settings.window_steps, self.worlds, rival)
        gain = found.value - best.value[origin]
        for (n, change), one in zip(drawn, gain, strict=True):
            chance[n][1].note(change, bool(one > BETTER))
            self._count(change, float(one))
        order = np.argsort(-gain, kind="stable")
        helped: dict[int, list[int]] = {}
        for k in order[gain[order] > BETTER]:
            helped.setdefault(int(origin[k]), []).append(int(k))
        for n, mine in helped.items():
            plans[n] = changed[mine[0]]
            best.put(np.array([n]), found, np.array([mine[0]]))
        return {n: [drawn[k][1] for k in mine[1:3]] for n, mine in helped.items()}

    def _count(self, change: Change, gain: float) -> None:
        seen = self.kinds.setdefault(change.kind, [0.0, 0.0, 0.0])
        seen[0] += 1.0
        seen[1] += gain > BETTER
        seen[2] += max(gain, 0.0)


def steps_left(twins: ClusterTwins) -> int:
    """Decisions until the last knot of demand, at least one."""
    engine = twins.engine
    seconds = (engine.hosts.num_knots - 1) * engine.params.knot_s
    seconds -= float(twins.telemetry.time_s.min(initial=seconds))
    return max(round(seconds / engine.params.clock.control_interval_s), 1)


def _seeds(twins: ClusterTwins) -> list[int]:
    """A number of each cluster that depends on its scenario alone, not on its place."""
    streams = twins.engine.hosts.streams.reshape(twins.count, -1)
    return [int(np.bitwise_xor.reduce(row)) for row in streams]
