"""Hosts for the tests: plain ones to reason about, and wilder ones than any that training draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB, MIB, TIERS, PhysicsParams
from gymbal_runtime.command import Command

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


def plain_resources(num_vms: int = 2, **changes: Any) -> Resources:
    """A 16 MiB cache in 16 ways, 2 devices to hand through; scalars count for each VM.

    Every program misses 20 of 1000 instructions without a cache and 4 with all of it, falling in a
    straight line, at 50 cycles each. Nobody wants I/O or waits for cores unless told.
    """
    columns: dict[str, Any] = {
        "llc_bytes": 16 * MIB,
        "llc_units": 16,
        "llc_classes": 8,
        "llc_min_units": 1,
        "llc_recolours": False,
        "memory_bandwidth_bytes_s": 60e9,
        "frequency_hz": 2e9,
        "device_bytes_s": 3e9,
        "device_slots": 2,
        "cpu_slice_s": 0.03,
    }
    line = np.linspace(0.02, 0.004, at.NUM_LLC_SEGMENTS + 1)
    phases = {"mpi": (line, 2), "cpi_base": (0.5, 1), "penalty_cycles": (50.0, 1)}
    for name, (value, ndim) in phases.items():
        shape = (num_vms, at.NUM_PHASES, at.NUM_LLC_SEGMENTS + 1)[: ndim + 1]
        told = np.asarray(changes.pop(name, value), dtype=float)
        columns[name] = np.array(np.broadcast_to(told, shape))
    for name in ("phase", "io_bytes_s"):
        told = np.asarray(changes.pop(name, 0.0), dtype=np.float32)
        columns[name] = np.array(np.broadcast_to(told, (NUM_KNOTS, num_vms)))
    per_vm = {
        "cap_cores": 2.0,
        "wakeups": 0.0,
        "io_weight": 0.0,
        "recolour_frac": 0.1,
        "hint_slowdown": np.nan,
        "hint_footprint_bytes": np.nan,
    }
    for name, value in per_vm.items():
        columns[name] = np.ones(num_vms) * np.asarray(changes.pop(name, value), dtype=float)
    return Resources(**(columns | changes))


def random_resources(seed: int, num_vms: int = 6, **changes: Any) -> Resources:
    """Programs from all-hit to all-miss, with cliffs; ways or colours; every part is scarce."""
    rng = np.random.default_rng(seed)
    phases = (num_vms, at.NUM_PHASES)
    falls = random_curves(rng, num_vms * at.NUM_PHASES)
    falls = falls.reshape(*phases, -1)[:, :, :: NUM_CURVE_SEGMENTS // at.NUM_LLC_SEGMENTS]
    floor = rng.choice([0.0, 1.0, 0.3], phases)[:, :, None]  # never misses again, streams, between
    height = np.exp(rng.uniform(np.log(1e-6), np.log(0.05), phases)) * (rng.random(phases) < 0.95)
    units = int(rng.choice([1, 2, 11, 20, 64]))
    columns: dict[str, Any] = {
        "llc_bytes": float(rng.uniform(1, 64)) * MIB,
        "llc_units": units,
        "llc_classes": int(rng.integers(1, 17)),
        "llc_min_units": int(rng.integers(1, min(units, 2) + 1)),
        "llc_recolours": bool(rng.random() < 0.5),
        "memory_bandwidth_bytes_s": float(np.exp(rng.uniform(np.log(1e9), np.log(1e11)))),
        "frequency_hz": float(rng.uniform(1e9, 4e9)),
        "device_bytes_s": float(rng.choice([0.0, 1e8, 3e9])),
        "device_slots": int(rng.integers(0, 4)),
        "cpu_slice_s": float(rng.choice([0.0, 0.03])),
        "mpi": height[:, :, None] * (floor + (1.0 - floor) * falls),
        "cpi_base": rng.uniform(0.2, 4.0, phases),
        "penalty_cycles": rng.uniform(0.0, 200.0, phases) * (rng.random(phases) < 0.9),
        "phase": rng.integers(0, at.NUM_PHASES, (NUM_KNOTS, num_vms)).astype(np.float32),
        "io_bytes_s": np.exp(rng.uniform(0.0, 22.0, (NUM_KNOTS, num_vms))).astype(np.float32),
        "cap_cores": rng.choice([0.5, 2.0, 8.0], num_vms),
        "wakeups": rng.choice([0.0, 0.5, 5.0], num_vms),
        "io_weight": rng.uniform(0.0, 1.0, num_vms),
        "recolour_frac": rng.uniform(0.0, 1.0, num_vms),
        "hint_slowdown": np.where(rng.random(num_vms) < 0.5, np.nan, 1.3),
        "hint_footprint_bytes": np.where(rng.random(num_vms) < 0.5, np.nan, GIB),
    }
    return Resources(**(columns | changes))


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


def random_command(engine: Engine, rng: np.random.Generator) -> Command:
    """Anything that can be said, sensible or not; what the hardware does not have, too."""
    shape = (engine.num_worlds, engine.num_vms)
    parts = [_random_parts(engine.world_host[w], shape[1], rng) for w in range(shape[0])]
    classes, units = np.moveaxis(np.array(parts), 1, 0)
    return Command(
        balloon_bytes=random_targets(engine, rng),
        llc_class=classes,
        llc_units=units,
        cpu_weight=rng.choice([np.nan, -1.0, 0.0, 1.0, 100.0, 1e4, 1e30, np.inf], shape),
        device_mode=rng.choice([np.nan, np.nan, 0.0, 1.0, 0.5], shape),
        monitor_level=rng.choice([np.nan, np.nan, 0.0, 1.0, 2.0, 3.0], shape),
        cpu_cap_cores=rng.choice([np.nan, -1.0, 0.0, 0.5, 8.0, np.inf], shape),
    )


def _random_parts(
    host: np.ndarray, num_vms: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Class and units of each VM: mostly what the host has, sometimes nothing or nonsense."""
    kind = rng.random()
    if kind < 0.3:
        return np.full(num_vms, np.nan), np.full(num_vms, np.nan)
    if kind < 0.5:
        units = rng.choice([np.nan, -1.0, 0.0, 1.0, 2.5, 4.0, 1e9, np.inf], num_vms)
        return rng.choice([np.nan, -1.0, 0.0, 0.5, 1.0, 2.0, 99.0], num_vms), units
    units, least = int(host[at.LLC_UNITS]), int(max(host[at.LLC_MIN_UNITS], 1))
    most = max(min(num_vms, units // least, int(host[at.LLC_CLASSES])), 1)
    classes = rng.integers(rng.integers(1, most + 1), size=num_vms)
    sizes = np.full(num_vms, least)
    spare = max(units - least * (int(classes.max()) + 1), 0)
    np.add.at(sizes, rng.integers(classes.max() + 1, size=rng.integers(spare + 1)), 1)
    return classes.astype(float), sizes[classes].astype(float)


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


@pytest.fixture(scope="session", name="plain_resources")
def _plain_resources() -> Callable[..., Resources]:
    return plain_resources


@pytest.fixture(scope="session", name="random_resources")
def _random_resources() -> Callable[..., Resources]:
    return random_resources


@pytest.fixture(scope="session", name="random_command")
def _random_command() -> Callable[..., Command]:
    return random_command
