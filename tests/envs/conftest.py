"""Hosts for the tests: plain ones to reason about, and wilder ones than any that training draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB, MIB, TIERS, PhysicsParams

NUM_KNOTS = 7  # a minute of demand at a knot every 10 s; after that demand stays as it is


def plain_scenario(num_vms: int = 2, **changes: Any) -> Scenario:
    """Equal VMs with 1 GiB of working set in 2 GiB of footprint; scalars count for each VM."""
    per_vm = {
        "shares": 1.0,
        "memory_max_bytes": 4 * GIB,
        "memory_min_bytes": 128 * MIB,
        "kernel_bytes": 64 * MIB,
        "unswappable_frac": 0.02,
        "vcpus": 2.0,
        "monitor": 2.0,
        "touch_rate": 20_000.0,
        "dirty_frac": 1.0,
        "overlap": 1.0,
        "initial_bytes": 2 * GIB,
    }
    demand = {"working_set_bytes": 1 * GIB, "footprint_bytes": 2 * GIB, "cores": 1.0}
    columns: dict[str, Any] = {
        "name": "plain",
        "capacity_bytes": 2.0 * GIB * num_vms,
        "cpu_cores": 2.0 * num_vms,
        "tier": TIERS["nvme"],
        "present": np.ones(num_vms, dtype=np.bool_),
        "curve": np.tile(np.linspace(1.0, 0.0, NUM_CURVE_SEGMENTS + 1), (num_vms, 1)),
        "seed": 1,
    }
    for name, value in per_vm.items():
        columns[name] = np.ones(num_vms) * np.asarray(changes.pop(name, value), dtype=float)
    for name, value in demand.items():
        wanted = np.asarray(changes.pop(name, value), dtype=np.float32)
        columns[name] = np.ones((NUM_KNOTS, num_vms), dtype=np.float32) * wanted
    return Scenario(**(columns | changes))


def random_scenario(seed: int, num_vms: int = 6, **changes: Any) -> Scenario:
    """A host whose VMs' demand jumps every few seconds; ``changes`` replace any field."""
    rng = np.random.default_rng(seed)
    present = rng.random(num_vms) < 0.8
    present[rng.integers(num_vms)] = True
    provisioned = np.exp(rng.uniform(np.log(256 * MIB), np.log(16 * GIB), num_vms))
    kernel = rng.uniform(0.01, 0.05, num_vms) * provisioned
    least = kernel + rng.uniform(0.0, 0.05, num_vms) * provisioned
    footprint = rng.uniform(0.05, 1.0, (NUM_KNOTS, num_vms)) * (provisioned - kernel)
    working_set = rng.uniform(0.0, 1.0, (NUM_KNOTS, num_vms)) ** 2 * footprint
    # The kernel and a full zswap pool fit from the start, as wherever a guest really ran before.
    start = np.maximum(least, 1.3 * kernel) * present
    spare = (provisioned * present).sum() - start.sum()
    capacity = float(1.01 * start.sum() + rng.uniform(0.05, 0.8) * spare)
    start += 0.9 * (capacity - start.sum()) * rng.dirichlet(np.ones(num_vms))
    columns = {
        "tier": TIERS[sorted(TIERS)[int(rng.integers(len(TIERS)))]],
        "capacity_bytes": capacity,
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
    return Scenario(name=f"random/{seed}", present=present, seed=seed, **(columns | changes))


def random_curves(rng: np.random.Generator, num_vms: int) -> np.ndarray:
    """Falling miss-ratio curves from 1 to 0 with steps anywhere, (V, K + 1)."""
    steps = rng.exponential(1.0, (num_vms, NUM_CURVE_SEGMENTS)) ** 3
    falls = np.cumsum(steps, axis=1) / steps.sum(axis=1, keepdims=True)
    falls[:, -1] = 1.0
    return np.concatenate([np.ones((num_vms, 1)), 1.0 - falls], axis=1)


def engine_of(
    scenarios: Sequence[Scenario], params: PhysicsParams | None = None, num_threads: int = 1
) -> Engine:
    """An engine that plays the given scenarios, one world each."""
    num_vms = max(s.num_vms for s in scenarios)
    num_knots = max(s.num_knots for s in scenarios)
    engine = Engine(len(scenarios), num_vms, num_knots, params, num_threads)
    engine.load(range(len(scenarios)), scenarios)
    return engine


def random_targets(engine: Engine, rng: np.random.Generator) -> np.ndarray:
    """Balloon targets without any sense, also infeasible ones; most VMs are left alone."""
    most = engine.world_vm[:, at.MEMORY_MAX]
    told = rng.random(most.shape) < 0.15
    return np.where(told, rng.uniform(0.0, 1.3, most.shape) * most, np.nan)


@pytest.fixture(scope="session", name="plain_scenario")
def _plain_scenario() -> Callable[..., Scenario]:
    return plain_scenario


@pytest.fixture(scope="session", name="random_scenario")
def _random_scenario() -> Callable[..., Scenario]:
    return random_scenario


@pytest.fixture(scope="session", name="engine_of")
def _engine_of() -> Callable[..., Engine]:
    return engine_of


@pytest.fixture(scope="session", name="random_targets")
def _random_targets() -> Callable[..., np.ndarray]:
    return random_targets
