"""What a decision was worth: named terms, each 0 at best, their weights in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine

Floats = NDArray[np.float64]

TERMS = ("progress_lost", "balloon_traffic", "processes_killed")


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the terms; the reward is minus their weighted sum.

    Attributes:
        progress_lost: per unit of wanted progress lost, weighted by the VMs' shares. 1 means: an
            interval in which nobody got anything done costs 1.
        balloon_traffic: per host memory moved in or out of balloons. Moving pages costs guests CPU
            and cache; 0.02 makes moving the whole host cost what losing 2 % of an interval does.
        processes_killed: per share-weighted fraction of VMs in which a process was killed because
            the balloon went below what cannot be paged out. The lost work of the restart counts as
            lost progress on top.
    """

    progress_lost: float = 1.0
    balloon_traffic: float = 0.02
    processes_killed: float = 1.0


def reward_terms(engine: Engine) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (B,) and not negative.

    ``progress_lost`` is a fraction in [0, 1], ``balloon_traffic`` in units of the host's memory,
    ``processes_killed`` a share-weighted fraction of VMs (can exceed 1 only if killed twice).
    """
    outcome = engine.outcome
    shares = engine.world_vm[:, at.SHARES]
    weight = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    interval = engine.params.clock.control_interval_s
    capacity = engine.world_host[:, at.CAPACITY]
    return {
        "progress_lost": (weight * outcome[:, at.LOST]).sum(axis=1) / interval,
        "balloon_traffic": outcome[:, at.MOVED].sum(axis=1) / np.maximum(capacity, 1.0),
        "processes_killed": (weight * outcome[:, at.KILLED]).sum(axis=1),
    }


def total_reward(terms: dict[str, Floats], weights: RewardWeights) -> Floats:
    """Minus the weighted sum of the terms, (B,)."""
    return -sum((getattr(weights, name) * terms[name] for name in TERMS), start=np.zeros(()))
