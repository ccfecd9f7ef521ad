"""Records of moves between sites, plain ones and random ones."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.sites.telemetry import (
    NUM_PHASES,
    NUM_RESIDUALS,
    SitesTelemetry,
    empty_sites,
)

GB = 1e9


def plain_record(num_worlds: int = 1, num_vms: int = 2, **changes: Any) -> SitesTelemetry:
    """Equal VMs of 2 GB and 8 GB of disk at the source, on 100 MB/s; scalars count for each VM."""
    record = empty_sites(num_worlds, num_vms)
    values: dict[str, Any] = {
        "present": True,
        "deadline_s": 6000.0,
        "late_cost": 1.0,
        "wan_bytes_s": 100e6,
        "wan_free_bytes_s": 100e6,
        "flow_limit_bytes_s": 100e6,
        "rtt_s": 0.02,
        "commit_s": 0.02,
        "hand_over_s": 0.36,
        "hash_core_s_per_byte": 4e-9,
        "hash_bytes_s": 200e6,
        "shares": 1000.0,
        "away_cost": 0.02,
        "vcpus": 2.0,
        "memory_bytes": 2 * GB,
        "memory_left_bytes": 2 * GB,
        "disk_bytes": 8 * GB,
        "disk_left_bytes": 8 * GB,
        "disk_new_bytes": 8 * GB,
        "redundancy_memory": 0.3,
        "redundancy_disk": 0.4,
        "activity": 0.5,
    }
    filled = {}
    for name, value in (values | changes).items():
        frame = getattr(record, name)
        filled[name] = np.empty_like(frame)
        filled[name][...] = value
    return replace(record, **filled)


def random_record(seed: int, num_worlds: int = 5, num_vms: int = 6) -> SitesTelemetry:
    """Anything that a record may hold."""
    rng = np.random.default_rng(seed)
    record = plain_record(num_worlds, num_vms)
    rows = (num_worlds, num_vms)
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    changes = {
        name: np.abs(value) * rng.lognormal(0.0, 1.0, value.shape)
        for name, value in values.items()
        if value.dtype == np.float64 and name != "residuals"
    }
    for name in ("redundancy_memory", "redundancy_disk", "activity"):
        changes[name] = rng.uniform(0.0, 0.95, rows)
    changes["write_bytes_s"] = rng.lognormal(15.0, 2.0, rows)
    changes["dirty_bytes_s"] = rng.lognormal(17.0, 2.0, rows)
    changes["commit_rate"] = rng.lognormal(1.0, 1.0, rows)
    changes["phase_s"] = rng.uniform(0.0, 1000.0, rows)
    changes["round"] = rng.integers(0, 40, rows).astype(float)
    residuals = rng.lognormal(18.0, 1.0, (*rows, NUM_RESIDUALS))
    residuals[rng.random(rows) < 0.3, 2:] = np.nan
    changes |= {
        "present": rng.random(rows) < 0.8,
        "phase": rng.integers(0, NUM_PHASES, rows),
        "suspended": rng.random(rows) < 0.2,
        "reduced": rng.random(rows) < 0.5,
        "residuals": residuals,
    }
    return replace(record, **changes)


@pytest.fixture
def plain():
    return plain_record


@pytest.fixture
def wild():
    return random_record
