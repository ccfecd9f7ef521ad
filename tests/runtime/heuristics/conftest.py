"""Records of one small host, written the way the worked cases are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.telemetry import NUM_LRU_SLICES, Telemetry, empty_telemetry

MIB = 2.0**20


def one_host(
    budget_mib: float,
    actual_mib: list[float],
    *,
    min_mib: float | list[float] = 0.0,
    max_mib: float | list[float] = 1e6,
    used_mib: list[float] | None = None,
    time_s: float = 0.0,
    **measured: Any,
) -> Telemetry:
    """A record of one host; memory in MiB, other fields as in Telemetry, one value per VM."""
    num_vms = len(actual_mib)
    row = np.ones((1, num_vms))
    actual = row * np.asarray(actual_mib) * MIB
    values: dict[str, Any] = {name: row * np.asarray(value) for name, value in measured.items()}
    if used_mib is not None:
        values["usable_bytes"] = actual - row * np.asarray(used_mib) * MIB
    return replace(
        empty_telemetry(1, num_vms),
        present=row.astype(np.bool_),
        time_s=np.array([time_s]),
        budget_bytes=np.array([budget_mib * MIB]),
        actual_bytes=actual,
        memory_min_bytes=row * np.asarray(min_mib) * MIB,
        memory_max_bytes=row * np.asarray(max_mib) * MIB,
        **values,
    )


def random_hosts(
    seed: int, num_hosts: int, num_vms: int, *, missing_frac: float = 0.0
) -> Telemetry:
    """Plausible records of hosts that differ in everything; absent slots hold garbage."""
    rng = np.random.default_rng(seed)
    shape = (num_hosts, num_vms)
    most = rng.uniform(1.0, 16.0, shape) * 1024 * MIB
    least = most * rng.uniform(0.0, 0.4, shape)
    actual = rng.uniform(least, most)
    swapping = rng.random(shape) < 0.4
    present = rng.random(shape) < 0.8
    measured = {
        "usable_bytes": actual * rng.uniform(0.0, 0.9, shape),
        "swap_in_rate": swapping * rng.exponential(1e6, shape),
        "swap_out_rate": swapping * rng.exponential(1e6, shape),
        "swap_used_bytes": swapping * actual * rng.uniform(0.0, 0.5, shape),
        "major_fault_rate": swapping * rng.exponential(200.0, shape),
        "cpu_cores": rng.uniform(0.0, 4.0, shape),
        "steal_frac": rng.uniform(0.0, 0.2, shape),
        "psi_some_frac": swapping * rng.uniform(0.0, 0.2, shape),
        "active_bytes": actual * rng.uniform(0.0, 1.0, shape),
        "lru_hit_rate": rng.exponential(300.0, (*shape, NUM_LRU_SLICES)),
    }
    for name, values in measured.items():
        values[rng.random(values.shape) < missing_frac] = np.nan
        values[~present] = np.inf if name == "usable_bytes" else np.nan
    actual[~present] = np.nan
    return replace(
        empty_telemetry(num_hosts, num_vms),
        time_s=rng.uniform(0.0, 1e4, num_hosts),
        age_s=np.zeros(num_hosts),
        budget_bytes=most.sum(axis=-1) * rng.uniform(0.05, 1.1, num_hosts),
        swap_latency_s=np.full(num_hosts, 1e-3),
        present=present,
        shares=rng.choice([500.0, 1000.0, 2000.0], shape),
        memory_max_bytes=most,
        memory_min_bytes=least,
        actual_bytes=actual,
        **measured,
    )


def later(telemetry: Telemetry, seconds: float, told_bytes: np.ndarray | None = None) -> Telemetry:
    """The same record some time later, every guest holding what it was told to."""
    actual = telemetry.actual_bytes
    if told_bytes is not None:
        actual = np.where(np.isnan(told_bytes), actual, told_bytes)
    return replace(telemetry, time_s=telemetry.time_s + seconds, actual_bytes=actual)


@pytest.fixture(scope="session", name="one_host")
def _one_host() -> Callable[..., Telemetry]:
    return one_host


@pytest.fixture(scope="session", name="random_hosts")
def _random_hosts() -> Callable[..., Telemetry]:
    return random_hosts


@pytest.fixture(scope="session", name="later")
def _later() -> Callable[..., Telemetry]:
    return later
