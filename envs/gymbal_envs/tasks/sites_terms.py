"""What the moves of an interval were worth: terms and measures of ``gymbal/Sites-v0``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_runtime.sites.telemetry import ARRIVED

Floats = NDArray[np.float64]


_CAUSES = {
    "lost_to_replication": at.LOST_SYNC,
    "lost_to_copying": at.LOST_COPY,
    "lost_to_hashing": at.LOST_HASH,
}
SITES_MEASURES = (*_CAUSES, "arrived", "disk_bytes_s", "memory_bytes_s", "refused")
"""What `sites_measures` gives beside the terms."""


def sites_terms(engine: SitesEngine) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (B,) and not negative.

    ``downtime`` and ``degradation`` are parts of the interval in [0, 1], weighted by the VMs'
    shares, ``wan_traffic`` a part of the line's capacity in [0, 1], ``away`` the part of the VMs'
    worth that was lost because they were not where they should be.
    """
    interval = engine.physics.clock.control_interval_s
    outcome, away_cost = engine.outcome, engine.world_vm[:, at.AWAY_COST]
    wire = (outcome[:, at.DISK_WIRE] + outcome[:, at.MEMORY_WIRE]).sum(axis=1)
    late = outcome[:, at.AWAY_LATE]
    away = away_cost * (outcome[:, at.AWAY] - late) + engine.params.late_cost * late
    return {
        "downtime": _weighted(engine, outcome[:, at.PAUSED]) / interval,
        "degradation": _weighted(engine, outcome[:, at.LOST]) / interval,
        "wan_traffic": wire / (engine.world[:, at.WAN] * interval),
        "away": _weighted(engine, away) / interval,
    }


def sites_measures(engine: SitesEngine) -> dict[str, Floats]:
    """What the reward does not say about the last interval, (B,) each."""
    interval, outcome = engine.physics.clock.control_interval_s, engine.outcome
    present = engine.world_vm[:, at.PRESENT] > 0
    arrived = (engine.vm[:, at.PHASE] == ARRIVED) & present
    return {
        **{name: _weighted(engine, outcome[:, row]) / interval for name, row in _CAUSES.items()},
        "arrived": arrived.sum(axis=1) / present.sum(axis=1),
        "disk_bytes_s": outcome[:, at.DISK_WIRE].sum(axis=1) / interval,
        "memory_bytes_s": outcome[:, at.MEMORY_WIRE].sum(axis=1) / interval,
        "refused": outcome[:, at.REFUSED].sum(axis=1),
    }


def _weighted(engine: SitesEngine, values: Floats) -> Floats:
    """Mean over the VMs (B, V), weighted by their shares, (B,)."""
    shares = engine.world_vm[:, at.SHARES]
    mean: Floats = (shares * values).sum(axis=1) / np.maximum(shares.sum(axis=1), 1e-12)
    return mean
