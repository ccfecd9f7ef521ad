"""What a decision was worth: named terms, each 0 at best, their weights in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.tasks import (
    BALLOON,
    CACHE,
    CLUSTER,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    SITES,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the terms; the reward is minus the weighted sum of those that a task has.

    Attributes:
        progress_lost: per unit of wanted progress lost, weighted by the VMs' shares. 1 means: an
            interval in which nobody got anything done costs 1.
        balloon_traffic: per host memory moved in or out of balloons. Moving pages costs guests CPU
            and cache; 0.02 makes moving the whole host cost what losing 2 % of an interval does.
        processes_killed: per share-weighted fraction of VMs in which a process was killed because
            the balloon went below what cannot be paged out. The lost work of the restart counts as
            lost progress on top.
        cache_moved: per last-level cache that changed its owner. What the change does to the VMs
            counts as lost progress already; 0.01 keeps a policy from moving parts to no purpose.
        network_traffic: per memory of all hosts that crossed the network: far pages, moves, clones.
            At 0.2, moving a VM of 5 % of the cluster's memory costs what losing 1 % of an interval
            does, on top of what the move does to VMs and links.
        memory_set_aside: per memory of all hosts that is reserved for arrivals or for lending and
            holds nothing. 0.05: having a fifth of the memory idle costs 1 % of the progress.
        downtime: per share-weighted part of the interval in which moves between sites paused VMs.
            10: a second without answers hurts as ten seconds without progress; users go away,
            connections break.
        degradation: per share-weighted part of the progress that running VMs lost to replicated
            writes, copying and redundancy elimination.
        wan_traffic: per part of the line's capacity that copies between sites used. 0.01: using the
            line for an hour costs what half a minute's work of everybody does.
        away: per share-weighted part of the VMs' worth lost at the wrong site (all of it after the
            deadline).
        energy: per energy that all hosts of a data centre would take at peak power. 0.1: a host
            with a dozen small VMs earns some ten times what its electricity costs (0.5 $/h against
            250 W at 0.15 $/kWh and a PUE of 1.4: 0.05 $/h; assumed), so drawing peak power
            everywhere costs what losing a tenth of all progress does.
        migration_traffic: per memory of all hosts that moves put on the wire. What a move does to
            VMs and hosts counts as lost progress and energy already; 0.02 keeps a policy from
            moving VMs to no purpose.
        hosts_full: per part of the time of hosts with VMs in which all their MIPS were used
            (SLATAH of the interval). Its product with the next is what the literature calls a
            violation of service levels. Together they are a tenth of what a tuned rule costs.
        moving_loss: per part of the wanted CPU time that moves took (PDM of the interval). 10: it
            is a hundredth of SLATAH, and counts as much in their product.
        slowdown: per share-weighted part of what VMs with a host wanted to get done and did not.
        waiting: per share-weighted part of what VMs wanted that was lost for want of a host.
        hosts_on: per part of a data centre's hosts that is on. 0.2: what a host earns is some five
            times what it costs while it is on, with its part of the building (assumed). At 0.1
            tuned rules spread VMs over all hosts, which leaves nothing to decide.
    """

    progress_lost: float = 1.0
    balloon_traffic: float = 0.02
    processes_killed: float = 1.0
    cache_moved: float = 0.01
    network_traffic: float = 0.2
    memory_set_aside: float = 0.05
    downtime: float = 10.0
    degradation: float = 1.0
    wan_traffic: float = 0.01
    away: float = 1.0
    energy: float = 0.1
    migration_traffic: float = 0.02
    hosts_full: float = 0.1
    moving_loss: float = 10.0
    slowdown: float = 1.0
    waiting: float = 1.0
    hosts_on: float = 0.2


def share_weighted(engine: Engine, row: int) -> Floats:
    """Mean of a row of the outcome over the VMs, weighted by their shares, (B,)."""
    shares = engine.world_vm[:, at.SHARES]
    weight = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    mean: Floats = (weight * engine.outcome[:, row]).sum(axis=1)
    return mean


def _progress_lost(engine: Engine) -> Floats:
    return share_weighted(engine, at.LOST) / engine.params.clock.control_interval_s


def _balloon_traffic(engine: Engine) -> Floats:
    capacity = engine.world_host[:, at.CAPACITY]
    moved: Floats = engine.outcome[:, at.MOVED].sum(axis=1) / np.maximum(capacity, 1.0)
    return moved


def _processes_killed(engine: Engine) -> Floats:
    return share_weighted(engine, at.KILLED)


def _cache_moved(engine: Engine) -> Floats:
    units = engine.world_host[:, at.LLC_UNITS]
    moved: Floats = engine.outcome[:, at.UNITS_MOVED].sum(axis=1) / np.maximum(units, 1.0)
    return moved


_TERMS: dict[str, Callable[[Engine], Floats]] = {
    "progress_lost": _progress_lost,
    "balloon_traffic": _balloon_traffic,
    "processes_killed": _processes_killed,
    "cache_moved": _cache_moved,
}
_TERMS_OF = {
    BALLOON: ("progress_lost", "balloon_traffic", "processes_killed"),
    CACHE: ("progress_lost", "cache_moved"),
    HOST: ("progress_lost", "balloon_traffic", "processes_killed", "cache_moved"),
    OVERLOAD: (
        "progress_lost",
        "balloon_traffic",
        "processes_killed",
        "network_traffic",
        "memory_set_aside",
    ),
    CLUSTER: ("energy", "progress_lost", "processes_killed", "network_traffic"),
    SITES: ("downtime", "degradation", "wan_traffic", "away"),
    PLACEMENT: ("slowdown", "waiting", "hosts_on"),
    CONSOLIDATION: ("energy", "progress_lost", "migration_traffic", "hosts_full", "moving_loss"),
}


def terms_of(task: str) -> tuple[str, ...]:
    """Names of the terms of a task's reward."""
    return _TERMS_OF[task]


def reward_terms(engine: Engine, task: str) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (B,) and not negative.

    ``progress_lost`` is a fraction in [0, 1], ``balloon_traffic`` in units of the host's memory,
    ``processes_killed`` a share-weighted fraction of VMs (can exceed 1 only if killed twice),
    ``cache_moved`` the fraction of the last-level cache that came to another VM.
    """
    return {name: _TERMS[name](engine) for name in terms_of(task)}


def total_reward(terms: dict[str, Floats], weights: RewardWeights) -> Floats:
    """Minus the weighted sum of the terms, (B,)."""
    return -sum((getattr(weights, name) * terms[name] for name in terms), start=np.zeros(()))
