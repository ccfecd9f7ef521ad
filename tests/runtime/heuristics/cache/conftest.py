"""Records of hosts whose cache can be divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.telemetry import NUM_LLC_POINTS, Telemetry, empty_telemetry


def cache_host(
    num_vms: int,
    *,
    units: float = 12.0,
    classes: float = 16.0,
    min_units: float = 1.0,
    recolours: float = 0.0,
    time_s: float = 0.0,
    curves: list[list[float]] | None = None,
    **measured: Any,
) -> Telemetry:
    """One host; ``curves`` are misses/s at 0, 1/12, ..., 12/12, other fields one value per VM."""
    row = np.ones((1, num_vms))
    values = {name: row * np.asarray(value, dtype=float) for name, value in measured.items()}
    if curves is not None:
        points = np.asarray(curves, dtype=float)
        values["llc_reference_rate"] = points[None, :, 0]
        values["llc_miss_curve"] = points[None, :, 1:]
    return replace(
        empty_telemetry(1, num_vms),
        present=row.astype(np.bool_),
        time_s=np.array([time_s]),
        budget_bytes=np.ones(1),
        host_cores=np.array([16.0]),
        llc_bytes=np.array([12e6]),
        llc_units=np.array([units]),
        llc_classes=np.array([classes]),
        llc_min_units=np.array([min_units]),
        llc_recolours=np.array([recolours]),
        bandwidth_limit_bytes_s=np.array([4e10]),
        **values,
    )


_RATES = {
    "llc_reference_rate": 1e8,
    "llc_miss_rate": 1e7,
    "instruction_rate": 4e9,
    "cycle_rate": 3e9,
    "stall_frac": 0.6,
    "memory_bandwidth_bytes_s": 1e10,
    "cpu_cores": 4.0,
    "active_bytes": 4e9,
    "hint_footprint_bytes": 8e9,
    "llc_occupancy_bytes": 4e6,
}


def random_cache_hosts(
    seed: int, num_hosts: int, num_vms: int, *, missing_frac: float = 0.0
) -> Telemetry:
    """Plausible records of hosts that differ in everything; absent slots hold garbage."""
    rng = np.random.default_rng(seed)
    shape = (num_hosts, num_vms)
    present = rng.random(shape) < 0.8
    measured = {name: rng.uniform(0.0, high, shape) for name, high in _RATES.items()}
    steps = rng.random((*shape, NUM_LLC_POINTS)) ** 4
    falling = 1.0 - np.cumsum(steps, axis=-1) / steps.sum(axis=-1, keepdims=True)
    measured["llc_miss_curve"] = measured["llc_reference_rate"][..., None] * (
        falling + rng.normal(0.0, 0.02, falling.shape)
    ).clip(0.0)
    host = {
        "llc_units": rng.choice([11.0, 16.0, 20.0, 32.0, 64.0], num_hosts),
        "llc_classes": rng.choice([1.0, 2.0, 4.0, 16.0], num_hosts),
        "llc_min_units": rng.choice([1.0, 2.0], num_hosts),
        "llc_recolours": rng.choice([0.0, 1.0], num_hosts),
        "bandwidth_limit_bytes_s": np.full(num_hosts, 4e10),
        "host_cores": np.full(num_hosts, 16.0),
        "llc_bytes": np.full(num_hosts, 3e7),
    }
    for name, values in (*measured.items(), *host.items()):
        share = missing_frac if name in measured else 0.3 * missing_frac
        values[rng.random(values.shape) < share] = np.nan
        if name in measured:
            values[~present] = np.inf if name == "stall_frac" else np.nan
    return replace(
        empty_telemetry(num_hosts, num_vms),
        time_s=rng.uniform(0.0, 1e4, num_hosts),
        budget_bytes=np.ones(num_hosts),
        present=present,
        shares=rng.choice([500.0, 1000.0, 2000.0], shape),
        **host,
        **measured,
    )


@pytest.fixture(scope="session", name="cache_host")
def _cache_host() -> Callable[..., Telemetry]:
    return cache_host


@pytest.fixture(scope="session", name="random_cache_hosts")
def _random_cache_hosts() -> Callable[..., Telemetry]:
    return random_cache_hosts
