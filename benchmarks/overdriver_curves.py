"""Memory wasted against progress lost: the curves of rules over a knob for space (bar B10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from overdriver_play import Played, played
from overdriver_setting import (
    Clusters,
    FixedAllotments,
    Ordered,
    ordered,
    setting,
    shape_of_setting,
    task_of,
    with_allotments,
    with_floors,
)

from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.tasks.config import LocalBalancing, TaskConfig, default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.tasks import OVERLOAD
from gymbal_runtime.telemetry import Floats

FINE = 1 / 256
"""Watermark of elastic lending, part of a host's memory; `ClusterParams` has 1/16."""
RESAMPLES = 1000
OVERDRIVER, PROPOSED = "Overdriver", "balance first"
FIXED, BALANCED = f"{OVERDRIVER}, fixed allotments", f"{OVERDRIVER}, balanced, fixed pool"
POOL_AND_ROOM = f"{OVERDRIVER}, balanced, pool and room"
SHIPPED = f"{PROPOSED}, as shipped"
FINELY = f"{PROPOSED}, far swap standing, fine watermark"
REFERENCE = 0.05
"""Knob of Overdriver at which it is compared: 5 % of a host, the rule's own default pool."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A rule played at several values of its knob, in the same N clusters.

    Attributes:
        knobs: K values.
        idle: (K, N) mean part of the hosts' memory that nobody holds.
        lost: (K, N) share-weighted part of the progress that is lost.
        bad: (K, N) share-weighted part of the VMs' time with more than a tenth lost.
    """

    knobs: tuple[float, ...]
    idle: Floats
    lost: Floats
    bad: Floats

    def at(self, knob: float) -> int:
        """Number of a knob's value."""
        return self.knobs.index(knob)


Point = Callable[[float], Played]


def curve(knobs: Sequence[float], play: Point) -> Curve:
    """Play a rule at every value of its knob."""
    all_played = [play(knob) for knob in knobs]
    idle, lost, bad = (
        np.stack([np.asarray(getattr(each, name)) for each in all_played])
        for name in ("idle", "slo", "bad")
    )
    return Curve(tuple(knobs), idle, lost, bad)


def least_waste(idle: Floats, lost: Floats, level: float) -> float:
    """Least idle memory on a curve (K,) in the order of its knob where no more than that is lost.

    Linear between the points; 1, all memory, where the curve never gets there.
    """
    found = [float(idle[k]) for k in range(idle.size) if lost[k] <= level]
    for k in range(idle.size - 1):
        first, second = lost[k], lost[k + 1]
        if (first - level) * (second - level) < 0:
            part = (level - first) / (second - first)
            found.append(float(idle[k] + part * (idle[k + 1] - idle[k])))
    return min(found, default=1.0)


@dataclass(frozen=True)
class Difference:
    """Waste of one rule minus that of another at the other's loss.

    Attributes:
        value: part of the hosts' memory.
        low: lower end of the 95 % interval over scenarios.
        high: upper end.
        better_at: knobs of the other at which the rule wastes less.
        knobs: of so many.
    """

    value: float
    low: float
    high: float
    better_at: int
    knobs: int


def compare(ours: Curve, theirs: Curve, measure: str = "lost") -> Difference:
    """Waste at equal loss, theirs at the knob `REFERENCE`, with a bootstrap over the scenarios."""
    mine, other = getattr(ours, measure), getattr(theirs, measure)
    n, at = mine.shape[1], theirs.at(REFERENCE)

    def difference(chosen: Any, k: int) -> float:
        level, waste = float(other[k, chosen].mean()), float(theirs.idle[k, chosen].mean())
        idle, lost = ours.idle[:, chosen].mean(axis=1), mine[:, chosen].mean(axis=1)
        return least_waste(idle, lost, level) - waste

    rng, everybody = np.random.default_rng(0), np.arange(n)
    drawn = [difference(rng.integers(n, size=n), at) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    each = [difference(everybody, k) for k in range(len(theirs.knobs))]
    better = sum(value < 0 for value in each)
    return Difference(each[at], float(low), float(high), better, len(each))


def _with_watermark(task: TaskConfig, high: float) -> TaskConfig:
    assert task.cluster is not None
    params = replace(task.cluster.params, low_free_frac=high / 2, high_free_frac=high)
    return replace(task, cluster=replace(task.cluster, params=params))


def _kept(task: TaskConfig, kept_frac: float) -> TaskConfig:
    assert task.cluster is not None
    local = replace(task.cluster.local, kept_frac=kept_frac)
    return replace(task, cluster=replace(task.cluster, local=local))


def _proposal() -> Any:
    """`balance_first` with the options that the task has for it."""
    task = default_task(OVERLOAD)
    options = task.options if task.heuristic == "balance_first" else {}
    return make_heuristic("balance_first", **options)


def _pooled(pool: float, balance: bool) -> Any:
    """Overdriver with a pool of one size."""
    return make_heuristic("overdriver", balance=balance, least_pool_frac=pool, most_pool_frac=pool)


def original_curves(num_clusters: int, coarse: bool = False) -> dict[str, Curve]:
    """The clusters of B9: hosts have as much memory as their VMs' allotments.

    Overdriver takes what it reserves from the allotments, all of them by the same factor.
    """
    config = setting()
    source, shape = Clusters(config), shape_of_setting(config)
    drawn = [source(index) for index in range(num_clusters)]
    floors = [with_floors(each, 1.0) for each in drawn]

    def fixed(reserve: float) -> Played:
        part = reserve / (1.0 + reserve)
        options = {"least_pool_frac": min(0.05, part), "most_pool_frac": min(0.25, part)}
        scenarios = [with_allotments(each, reserve, 1.0) for each in drawn]
        make = lambda _: ordered("overdriver", standing=True, **options)  # noqa: E731
        return played(make, scenarios, shape, task_of(FixedAllotments()))

    def balanced(pool: float) -> Played:
        make = lambda _: Ordered(_pooled(pool, True), standing=True)  # noqa: E731
        return played(make, floors, shape, task_of(LocalBalancing(kept_frac=0.0)))

    def proposed(standing: bool, high: float) -> Point:
        def point(kept: float) -> Played:
            task = _with_watermark(task_of(LocalBalancing(kept_frac=kept)), high)
            make = lambda _: Ordered(_proposal(), standing=standing)  # noqa: E731
            return played(make, floors, shape, task)

        return point

    space = (0.02, 0.05, 0.2) if coarse else (0.01, 0.02, 0.05, 0.1, 0.2)
    kept = (0.0, 0.05, 0.15) if coarse else (0.0, 0.02, 0.05, 0.1, 0.15, 0.3)
    return {
        FIXED: curve(space, fixed),
        BALANCED: curve((0.0, *space), balanced),
        SHIPPED: curve(kept, proposed(False, 1 / 16)),
        FINELY: curve(kept, proposed(True, FINE)),
    }


def default_curves(num_clusters: int, coarse: bool = False) -> dict[str, Curve]:
    """The test scenarios of gymbal/Overload-v0, as they are drawn.

    Fixed allotments are the task's own static division by shares, a tenth of a host kept free.
    """
    task, config = default_task(OVERLOAD), default_scenario(OVERLOAD)
    source, shape = make_source(config, "test", 0), shape_of(config, task)
    drawn = [source(index) for index in range(num_clusters)]
    assert task.cluster is not None
    room = task.cluster.local.kept_frac

    def overdriver(balance: bool, kept: float) -> Point:
        return lambda pool: played(
            lambda _: _pooled(pool, balance), drawn, shape, _kept(task, kept)
        )

    def shipped(kept: float) -> Played:
        return played(lambda _: _proposal(), drawn, shape, _kept(task, kept))

    def finely(kept: float) -> Played:
        make = lambda _: Ordered(_proposal(), standing=True)  # noqa: E731
        return played(make, drawn, shape, _with_watermark(_kept(task, kept), FINE))

    space = (0.0, 0.05, 0.2) if coarse else (0.0, 0.02, 0.05, 0.1, 0.2)
    kept = (0.0, 0.05, 0.15) if coarse else (0.0, 0.02, 0.05, 0.15, 0.3, 0.6)
    found = {
        FIXED: curve(space, overdriver(False, 0.0)),
        BALANCED: curve(space, overdriver(True, 0.0)),
        SHIPPED: curve(kept, shipped),
        FINELY: curve(kept, finely),
    }
    return found if coarse else found | {POOL_AND_ROOM: curve(space, overdriver(True, room))}
