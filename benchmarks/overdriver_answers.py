"""B9 of `overdriver`: rules that answer overloads, over the space that hosts have to spare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from overdriver_curves import OVERDRIVER
from overdriver_play import Played, played
from overdriver_setting import (
    CALM_S,
    QUANTILE,
    Clusters,
    Drawn,
    FixedAllotments,
    Ordered,
    ordered,
    shape_of_setting,
    task_of,
    well_provisioned,
    with_allotments,
)

from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_runtime.telemetry import Bools, Floats

EXCESS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
QUICK_EXCESS = (0.02, 0.05, 0.2, 0.4)
AMPLE = 0.4
"""Excess at which performance and traffic are compared: migration alone is near its best."""
MANY = 96
WITHIN, POINT = 0.08, 0.01
MIGRATION = "migration alone"
LATE = f"{OVERDRIVER}, borrows late"
NEVER = "far memory alone"


@dataclass(frozen=True, eq=False)
class Answers:
    """Rules over excess space, in C clusters.

    Attributes:
        excess: E values.
        progress: rule -> (E, C) progress of overloaded VMs' intervals, summed.
        twin: (C,) the same of the well-provisioned twin.
        network: rule -> (E, C) bytes.
        taken: rule -> (E, C) memory in use of the excess at the peak, in units of the allotments.
        moves: rule -> (E,) moves begun per VM and hour.
        share: part of the VMs' time that is overloaded.
    """

    excess: tuple[float, ...]
    progress: dict[str, Floats]
    twin: Floats
    network: dict[str, Floats]
    taken: dict[str, Floats]
    moves: dict[str, Floats]
    share: float

    def performance(self, rule: str, chosen: Any = slice(None)) -> Floats:
        """(E,) relative to the twin, of the chosen clusters."""
        part: Floats = self.progress[rule][:, chosen].sum(axis=1) / self.twin[chosen].sum()
        return part


def overloaded(drawn: Sequence[Drawn], steps: int) -> Bools:
    """(T, C, H * V) intervals in which a VM's demand exceeds its allotment at some knot."""
    over = np.stack([each.over for each in drawn], axis=1)
    over = over.reshape(*over.shape[:2], -1)
    some: Bools = (over[:-1] | over[1:])[:steps]
    return some


def answers(
    config: ClusterConfig,
    num_clusters: int,
    excess: Sequence[float],
    rules: Sequence[str] = (MIGRATION, OVERDRIVER, LATE, NEVER),
    quantile: float = QUANTILE,
    calm_s: float = CALM_S,
) -> Answers:
    """Play the rules at every excess."""
    source, shape = Clusters(config, quantile=quantile), shape_of_setting(config)
    drawn = [source(index) for index in range(num_clusters)]
    over, task = overloaded(drawn, shape.episode_steps), task_of(FixedAllotments(calm_s=calm_s))
    allotted = np.array([each.allotted.sum() for each in drawn])
    num_vms = sum(int((each.allotted > 0).sum()) for each in drawn)

    def progress(result: Played) -> Floats:
        total: Floats = np.where(over, 1.0 - result.lost, 0.0).sum(axis=(0, 2))
        return total

    ample = [well_provisioned(each) for each in drawn]
    twin = played(lambda _: ordered("never_migrate", pool_frac=0.0), ample, shape, task)
    found: dict[str, list[Played]] = {rule: [] for rule in rules}
    for each in excess:
        scenarios = [with_allotments(one, each) for one in drawn]
        for rule in rules:
            make = partial(_agent, rule, each)
            found[rule].append(played(make, scenarios, shape, task))
    return Answers(
        excess=tuple(excess),
        progress={rule: np.stack([progress(p) for p in some]) for rule, some in found.items()},
        twin=progress(twin),
        network={rule: np.stack([p.network_bytes for p in some]) for rule, some in found.items()},
        taken={
            rule: np.stack([p.taken.max(axis=0) / allotted for p in some])
            for rule, some in found.items()
        },
        moves={
            rule: np.array([p.moves.sum() / num_vms for p in some]) for rule, some in found.items()
        },
        share=float(over.sum() / (num_vms * over.shape[0])),
    )


def _agent(rule: str, excess: float, _: Any) -> Ordered:
    """A rule with what it sets aside of hosts that have this excess."""
    part = excess / (1.0 + excess)
    if rule == MIGRATION:
        return ordered("always_migrate", pool_frac=0.0)
    if rule == NEVER:
        return ordered("never_migrate", pool_frac=part, standing=True)
    options = {"least_pool_frac": min(0.05, part), "most_pool_frac": min(0.25, part)}
    return ordered("overdriver", standing=rule == OVERDRIVER, **options)


def needed(excess: Sequence[float], performance: Floats, level: float) -> float:
    """Least excess at which performance reaches a level; infinite: at none that was played.

    Linear between the points; the first point where that is enough.
    """
    for k, value in enumerate(performance):
        if value >= level:
            if k == 0:
                return float(excess[0])
            before = performance[k - 1]
            part = (level - before) / (value - before)
            return float(excess[k - 1] + part * (excess[k] - excess[k - 1]))
    return float("inf")


def ratio_of(above: Floats, below: Floats, axis: int = -1) -> Any:
    return above.sum(axis=axis) / below.sum(axis=axis)
