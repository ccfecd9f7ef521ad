"""Plans tried out in copies of clusters, to the end of the episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.cluster_plans import Item, Plan, Player, put_orders, recorded
from gymbal_agents.oracles.cluster_twins import ClusterTwins, Places
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry

Floats = NDArray[np.float64]

MOST_HOSTS = 2048
"""Hosts of copies that live at a time: memory is finite."""


@dataclass(eq=False)
class Moment:
    """Clusters in the middle of their plans.

    Attributes:
        twins: N copies.
        step: decision that comes next.
        waiting: for each, orders that are due already and were not legal yet.
    """

    twins: ClusterTwins
    step: int
    waiting: list[list[Item]]

    def go_on(self, plans: Sequence[Plan], until: int) -> Floats:
        """Carry plans out up to decision ``until``; the reward of each cluster, summed."""
        player = Player(plans, self.step, self.waiting)
        reward = np.zeros(len(plans))
        for _ in range(self.step, until):
            reward += self.twins.step(player.orders(self.twins.telemetry))
        self.step, self.waiting = until, player.waiting
        return reward


@dataclass(frozen=True, eq=False)
class Trial:
    """What N copies lived through, from some decision to the end of the episode, S decisions.

    Attributes:
        value: (N,) the reward, summed; -inf where the trial was given up.
        reward: (S, N) of each decision.
        avoidable: (S, N) cost of each decision, beyond what monitors take.
        vm_id: (S, N, H, V) who was where when each decision was made.
        lost: (W, N, H, V) what each VM lost in the first decisions, beyond what monitors take.
        size: (W, N, H, V) bytes that a move of each would have needed.
        away: (W, N, H, V) VMs that borrowed, or had pages elsewhere.
        room: (W, N, H) bytes that arrivals could have had; -1 where no slot was vacant.
        lendable: (W, N, H) bytes that hosts would have lent.
    """

    value: Floats
    reward: Floats
    avoidable: Floats
    vm_id: NDArray[np.int16]
    lost: NDArray[np.float32]
    size: NDArray[np.float32]
    away: NDArray[np.bool_]
    room: NDArray[np.float32]
    lendable: NDArray[np.float32]

    @classmethod
    def empty(cls, count: int, steps: int, window: int, num_hosts: int, num_vms: int) -> Trial:
        """Nothing lived through yet."""
        host = (min(window, steps), count, num_hosts)
        return cls(
            value=np.full(count, -np.inf),
            reward=np.zeros((steps, count)),
            avoidable=np.zeros((steps, count)),
            vm_id=np.full((steps, count, num_hosts, num_vms), NOBODY, dtype=np.int16),
            lost=np.zeros((*host, num_vms), dtype=np.float32),
            size=np.zeros((*host, num_vms), dtype=np.float32),
            away=np.zeros((*host, num_vms), dtype=np.bool_),
            room=np.zeros(host, dtype=np.float32),
            lendable=np.zeros(host, dtype=np.float32),
        )

    @property
    def window(self) -> int:
        """Decisions of which more is known, W."""
        return int(self.lost.shape[0])

    def put(self, places: Places, other: Trial, chosen: Places) -> None:
        """Copies ``places`` of this trial are what ``chosen`` of the other were."""
        self.value[places] = other.value[chosen]
        for one in fields(self)[1:]:
            getattr(self, one.name)[:, places] = getattr(other, one.name)[:, chosen]

    def see(self, step: int, alive: Places, telemetry: ClusterTelemetry) -> None:
        """Take note of what the copies ``alive`` report before decision ``step``."""
        self.vm_id[step, alive] = telemetry.vm_id
        if step < self.window:
            self.size[step, alive] = telemetry.size_bytes
            self.away[step, alive] = telemetry.borrowing | (telemetry.far_bytes > 0.0)
            vacant = telemetry.vacant.any(axis=2)
            self.room[step, alive] = np.where(vacant, telemetry.room_bytes, -1.0)
            self.lendable[step, alive] = telemetry.lendable_bytes


@dataclass(frozen=True, eq=False)
class Rival:
    """What a plan has to beat.

    Attributes:
        reward: (S, N) of each decision.
        step: decision after which a trial that is behind by more than ``lead`` is given up, and one
            in which nothing has changed.
        lead: reward, summed.
    """

    reward: Floats
    step: int
    lead: float


def try_plans(
    now: Moment,
    origin: Places,
    plans: Sequence[Plan],
    window: int,
    like: ClusterWorlds,
    rival: Rival | None = None,
) -> Trial:
    """Play a plan in a copy of each of the clusters ``origin`` (N,), to the end.

    Args:
        now: clusters.
        origin: which of them.
        plans: N of them, all of the same length.
        window: decisions of which more is written down.
        like: clusters of the same shape and task.
        rival: of each of the N; None: every trial goes on to the end.
    """
    steps = plans[0].balance.size - now.step
    engine = now.twins.engine
    trial = Trial.empty(len(plans), steps, window, engine.num_hosts, engine.num_vms)
    at_once = max(MOST_HOSTS // engine.num_hosts, 1)
    for first in range(0, len(plans), at_once):
        some = np.arange(first, min(first + at_once, len(plans)))
        _play(now, origin, plans, trial, some, like, rival)
    return trial


def _play(
    now: Moment,
    origin: Places,
    plans: Sequence[Plan],
    trial: Trial,
    alive: Places,
    like: ClusterWorlds,
    rival: Rival | None,
) -> None:
    """Play plans ``alive`` and write down what happens."""
    twins = ClusterTwins(like, alive.size)
    twins.follow(now.twins, origin[alive])
    waiting = [now.waiting[origin[n]] for n in alive]
    player = Player([plans[n] for n in alive], now.step, waiting)
    for step in range(trial.reward.shape[0]):
        if rival is not None and step == rival.step:
            ahead = (trial.reward[:step, alive] - rival.reward[:step, alive]).sum(axis=0)
            kept = np.flatnonzero((ahead != 0.0) & (ahead > -rival.lead))
            if not kept.size:
                return
            alive, player, before = alive[kept], player.only(kept), twins
            twins = ClusterTwins(like, alive.size)
            twins.follow(before, kept)
        trial.see(step, alive, twins.telemetry)
        reward = twins.step(player.orders(twins.telemetry))
        trial.reward[step, alive] = reward
        trial.avoidable[step, alive] = -reward - twins.monitored()
        if step < trial.window:
            trial.lost[step, alive] = twins.avoidable_s()
    trial.value[alive] = trial.reward[:, alive].sum(axis=0)


def play_agents(
    source: ClusterTwins, agents: Sequence[ClusterAgent], steps: int, like: ClusterWorlds
) -> tuple[list[list[Plan]], Floats]:
    """What agents do in copies of all the source's clusters, as plans.

    Returns:
        For each agent the plan of each cluster, and the rewards (A, N).
    """
    at_once = max(MOST_HOSTS // (source.count * source.engine.num_hosts), 1)
    plans: list[list[Plan]] = []
    values = [np.zeros((0, source.count))]
    for first in range(0, len(agents), at_once):
        some, value = _play_some(source, agents[first : first + at_once], steps, like)
        plans += some
        values.append(value)
    return plans, np.concatenate(values)


def _play_some(
    source: ClusterTwins, agents: Sequence[ClusterAgent], steps: int, like: ClusterWorlds
) -> tuple[list[list[Plan]], Floats]:
    n, count, engine = source.count, len(agents), source.engine
    twins = ClusterTwins(like, n * count)
    twins.follow(source, np.tile(np.arange(n), count))
    rows = np.arange(n * count).reshape(count, n)
    for agent in agents:
        agent.reset(n, engine.num_vms)
    items: list[list[Item]] = [[] for _ in range(n * count)]
    balance = np.ones((n * count, steps), dtype=np.bool_)
    pool = np.full((n * count, steps, engine.num_hosts), np.nan)
    value = np.zeros(n * count)
    for step in range(steps):
        orders = Orders.none(n * count, engine.num_hosts, engine.num_vms)
        for agent, mine in zip(agents, rows, strict=True):
            put_orders(orders, mine, agent.act(twins.telemetry.take_clusters(mine)))
        for known, more in zip(items, recorded(orders, twins.telemetry, step), strict=True):
            known.extend(more)
        balance[:, step], pool[:, step] = orders.balance, orders.pool_bytes
        value += twins.step(orders)
    plans = [Plan(tuple(i), b, p) for i, b, p in zip(items, balance, pool, strict=True)]
    return [plans[k * n : (k + 1) * n] for k in range(count)], value.reshape(count, n)
