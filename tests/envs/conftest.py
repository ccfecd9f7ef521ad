"""Hosts at random, tighter and wilder than any that training draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator.params import GIB, MIB, TIERS

NUM_KNOTS = 7  # a minute of demand at a knot every 10 s


def random_scenario(seed: int, num_vms: int = 6, **changes: Any) -> Scenario:
    """A host whose VMs' demand jumps every few seconds; ``changes`` replace any field."""
    rng = np.random.default_rng(seed)
    tier = TIERS[sorted(TIERS)[int(rng.integers(len(TIERS)))]]
    tier = changes.pop("tier", tier)
    present = rng.random(num_vms) < 0.8
    present[rng.integers(num_vms)] = True
    provisioned = np.exp(rng.uniform(np.log(256 * MIB), np.log(16 * GIB), num_vms))
    kernel = rng.uniform(0.01, 0.05, num_vms) * provisioned
    least = kernel + rng.uniform(0.0, 0.05, num_vms) * provisioned
    room = provisioned - kernel
    footprint = rng.uniform(0.05, 1.0, (NUM_KNOTS, num_vms)) * room
    working_set = rng.uniform(0.0, 1.0, (NUM_KNOTS, num_vms)) ** 2 * footprint
    wanted = np.where(present, provisioned, 0.0).sum()
    floor = np.where(present, least, 0.0).sum()
    capacity = floor + rng.uniform(0.05, 0.8) * (wanted - floor)
    # The kernel and a full zswap pool fit from the start, as wherever a guest really ran before.
    start = np.maximum(least, 1.3 * kernel) * present
    capacity = max(capacity, 1.01 * start.sum())
    start += 0.9 * (capacity - start.sum()) * rng.dirichlet(np.ones(num_vms))
    columns = {
        "capacity_bytes": float(capacity),
        "cpu_cores": float(rng.uniform(1.0, 2.0 * num_vms)),
        "shares": rng.choice([250.0, 500.0, 1000.0, 4000.0], num_vms),
        "memory_max_bytes": provisioned,
        "memory_min_bytes": least,
        "kernel_bytes": kernel,
        "unswappable_frac": rng.uniform(0.0, 0.1, num_vms),
        "vcpus": rng.integers(1, 9, num_vms).astype(np.float64),
        "monitor": rng.integers(0, 3, num_vms).astype(np.float64),
        "touch_rate": np.exp(rng.uniform(np.log(1e2), np.log(1e6), num_vms)),
        "dirty_frac": rng.uniform(0.0, 1.0, num_vms),
        "overlap": rng.uniform(1.0, 8.0, num_vms),
        "curve": random_curves(rng, num_vms),
        "working_set_bytes": working_set.astype(np.float32),
        "footprint_bytes": footprint.astype(np.float32),
        "cores": rng.uniform(0.0, 8.0, (NUM_KNOTS, num_vms)).astype(np.float32),
        "initial_bytes": np.minimum(start, provisioned),
    }
    return Scenario(
        name=f"random/{seed}", tier=tier, present=present, seed=seed, **(columns | changes)
    )


def random_curves(rng: np.random.Generator, num_vms: int) -> np.ndarray:
    """Falling miss-ratio curves from 1 to 0 with steps anywhere, (V, K + 1)."""
    steps = rng.exponential(1.0, (num_vms, NUM_CURVE_SEGMENTS)) ** 3
    falls = np.cumsum(steps, axis=1) / steps.sum(axis=1, keepdims=True)
    curve = np.concatenate([np.ones((num_vms, 1)), 1.0 - falls], axis=1)
    curve[:, -1] = 0.0
    return np.maximum(curve, 0.0)


@pytest.fixture(scope="session", name="random_scenario")
def _random_scenario() -> Callable[..., Scenario]:
    return random_scenario
