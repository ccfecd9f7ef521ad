"""Clusters for the tests: random ones that make sense, and one that is written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.centre.rules.power import NUM_LEVELS
from gymbal_runtime.centre.telemetry import ON
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry, empty_cluster
from gymbal_runtime.telemetry import NUM_LRU_SLICES, Telemetry

GIB = 2.0**30

MakeCluster = Callable[..., ClusterTelemetry]


def random_cluster(
    seed: int,
    num_clusters: int = 3,
    num_hosts: int = 4,
    num_vms: int = 5,
    *,
    time_s: float = 0.0,
    missing_frac: float = 0.0,
) -> ClusterTelemetry:
    """Clusters with everything under way at once; slots without a VM hold garbage."""
    rng = np.random.default_rng(seed)
    host, shape = (num_clusters, num_hosts), (num_clusters, num_hosts, num_vms)
    exists = rng.random(host) < 0.85
    exists[:, 0] = True
    present = (rng.random(shape) < 0.7) & exists[:, :, None]
    arriving = ~present & exists[:, :, None] & (rng.random(shape) < 0.2)
    elsewhere = (np.arange(num_hosts)[:, None] + rng.integers(1, max(num_hosts, 2), shape)) % (
        num_hosts
    )
    special = rng.random(shape)  # a VM either moves, or has a twin, or neither
    moving = present & (special < 0.15) & (num_hosts > 1)
    paired = present & (special > 0.9) & (num_hosts > 1)
    hosts = _hosts(rng, present, time_s, missing_frac)
    actual = np.where(present, hosts.actual_bytes.reshape(shape), 0.0)
    capacity = actual.sum(axis=2) * rng.uniform(1.02, 1.6, host) + GIB
    lent, reserved = (rng.uniform(0.0, 0.05, host) * capacity for _ in range(2))
    room = np.maximum(capacity - actual.sum(axis=2) - lent - reserved, 0.0) * exists
    lends = exists & (rng.random(host) < 0.9)
    size = hosts.actual_bytes.reshape(shape)
    far = np.where(rng.random(shape) < 0.3, rng.exponential(GIB / 4, shape), 0.0)
    ids = rng.permuted(np.tile(np.arange(num_hosts * num_vms), (num_clusters, 1)), axis=1)
    nic = rng.choice([1.25e8, 1.25e9, 1.25e10], host)
    values: dict[str, Any] = {
        "exists": exists,
        "lends": lends,
        "site": rng.integers(0, 2, host),
        "capacity_bytes": capacity,
        "lent_bytes": lent,
        "reserved_bytes": reserved,
        "pool_bytes": np.zeros(host),
        "room_bytes": room,
        "lendable_bytes": np.where(lends & (rng.random(host) < 0.6), room, 0.0),
        "nic_bytes_s": nic,
        "sent_bytes_s": nic * rng.uniform(0.0, 1.0, host),
        "received_bytes_s": nic * rng.uniform(0.0, 1.0, host),
        "far_latency_s": np.where(rng.random(host) < 0.5, np.nan, 2e-4),
        "vm_id": np.where(present, ids.reshape(shape), NOBODY),
        "size_bytes": size,
        "clone_bytes": 0.25 * size,
        "far_bytes": np.where(present, far, np.nan),
        "borrowing": present & (rng.random(shape) < 0.3),
        "boosted": present & (rng.random(shape) < 0.2),
        "dirty_rate_bytes_s": rng.exponential(5e7, shape),
        "dirty_set_bytes": size * rng.uniform(0.0, 0.4, shape),
        "move_phase": np.where(moving, rng.integers(1, 5, shape), 0),
        "move_target": np.where(moving, elsewhere, NOBODY),
        "move_progress": np.where(moving, rng.random(shape), 0.0),
        "move_s": np.where(moving, rng.uniform(0.0, 300.0, shape), 0.0),
        "arriving": arriving,
        "clonable": rng.random(shape) < 0.4,
        "twin": np.where(paired, elsewhere, NOBODY),
        "pinned": rng.random(shape) < 0.2,
    }
    budget = np.where(exists, capacity - lent - reserved, 0.0).reshape(-1)
    return ClusterTelemetry(hosts=replace(hosts, budget_bytes=budget), **values)


def _hosts(
    rng: np.random.Generator, present: np.ndarray, time_s: float, missing_frac: float
) -> Telemetry:
    frame = empty_cluster(*present.shape).hosts
    flat = present.reshape(frame.present.shape)
    shape = flat.shape
    most = rng.uniform(1.0, 8.0, shape) * GIB
    actual = most * rng.uniform(0.3, 1.0, shape)
    short = rng.random(shape) < 0.4
    measured = {
        "usable_bytes": actual * np.where(short, 0.0, rng.uniform(0.0, 0.6, shape)),
        "swap_in_rate": np.where(short, rng.exponential(2e7, shape), 0.0),
        "swap_out_rate": np.where(short, rng.exponential(2e7, shape), 0.0),
        "swap_used_bytes": np.where(short, most * rng.uniform(0.0, 0.4, shape), 0.0),
        "major_fault_rate": np.where(short, rng.exponential(2e3, shape), 0.0),
        "cpu_cores": rng.uniform(0.0, 4.0, shape),
        "steal_frac": rng.uniform(0.0, 0.2, shape),
        "psi_some_frac": np.where(short, rng.uniform(0.0, 0.8, shape), 0.0),
        "active_bytes": actual * rng.uniform(0.1, 0.9, shape),
        "lru_hit_rate": rng.exponential(300.0, (*shape, NUM_LRU_SLICES)),
    }
    for values in measured.values():
        values[rng.random(values.shape) < missing_frac] = np.nan
        values[~flat] = np.nan
    actual[~flat] = np.nan
    return replace(
        frame,
        present=flat,
        time_s=np.full(len(flat), time_s),
        swap_latency_s=np.full(len(flat), 5e-3),
        memory_max_bytes=most,
        memory_min_bytes=0.1 * most,
        actual_bytes=actual,
        **measured,
    )


def two_hosts(num_hosts: int = 2, num_vms: int = 3, **changes: Any) -> ClusterTelemetry:
    """One cluster by hand: hosts of 8 GiB; host 0 holds two VMs of 3 GiB, host 1 one of 2 GiB.

    Everything is calm: no VM swaps, every VM could move and be cloned. Keyword arguments replace
    columns: of a VM (C, H, V) or of a host, by name; of the hosts' own record also by name.
    """
    frame = empty_cluster(1, num_hosts, num_vms)
    present = np.zeros((num_hosts, num_vms), dtype=np.bool_)
    present[0, :2] = present[1, 0] = True
    actual = np.where(present, 3.0 * GIB, np.nan)
    actual[1, 0] = 2.0 * GIB
    ids = np.where(present, np.arange(present.size).reshape(present.shape), NOBODY)
    held = np.nan_to_num(actual).sum(axis=1)
    hosts = replace(
        frame.hosts,
        present=present,
        time_s=np.zeros(num_hosts),
        budget_bytes=np.full(num_hosts, 8.0 * GIB),
        memory_max_bytes=np.where(present, 6.0 * GIB, 0.0),
        memory_min_bytes=np.where(present, 0.5 * GIB, 0.0),
        actual_bytes=actual,
        usable_bytes=np.where(present, 1.0 * GIB, np.nan),
        **{
            name: np.where(present, 0.0, np.nan)
            for name in ("swap_in_rate", "swap_out_rate", "swap_used_bytes", "psi_some_frac")
        },
    )
    values: dict[str, Any] = {
        "capacity_bytes": np.full((1, num_hosts), 8.0 * GIB),
        "room_bytes": 8.0 * GIB - held[None],
        "lendable_bytes": 8.0 * GIB - held[None],
        "nic_bytes_s": np.full((1, num_hosts), 1.25e9),
        "vm_id": ids[None],
        "size_bytes": actual[None],
        "clone_bytes": 0.25 * actual[None],
        "dirty_rate_bytes_s": np.where(present, 1e7, np.nan)[None],
        "dirty_set_bytes": np.where(present, 2e8, np.nan)[None],
        "clonable": present[None],
    }
    own = {f.name for f in fields(Telemetry)}
    hosts = replace(hosts, **{name: v for name, v in changes.items() if name in own})
    values |= {name: v for name, v in changes.items() if name not in own}
    return replace(frame, hosts=hosts, **values)


def with_vm(record: ClusterTelemetry, host: int, slot: int, **changes: Any) -> ClusterTelemetry:
    """The record of one cluster with some values of one VM replaced."""
    own = {f.name for f in fields(Telemetry)}
    hosts: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in changes.items():
        column = getattr(record.hosts if name in own else record, name).copy()
        column[(host, slot) if name in own else (0, host, slot)] = value
        (hosts if name in own else rest)[name] = column
    return replace(record, hosts=replace(record.hosts, **hosts), **rest)


def at_time(record: ClusterTelemetry, time_s: float) -> ClusterTelemetry:
    """The same record at another time."""
    clock = np.full(record.hosts.num_hosts, time_s)
    return replace(record, hosts=replace(record.hosts, time_s=clock))


def powered(record: ClusterTelemetry, seed: int | None = None, **changes: Any) -> PoweredTelemetry:
    """The record of hosts that can sleep: all on, 16 cores, 100 to 200 W; nobody waits.

    With a seed, hosts without a VM may be in any state, others may drain, and VMs wait in places
    without a host. Keyword arguments replace columns.
    """
    host, shape = record.exists.shape, record.shape
    columns: dict[str, Any] = {f.name: getattr(record, f.name) for f in fields(ClusterTelemetry)}
    values: dict[str, Any] = {
        "state": np.full(host, ON),
        "state_s": np.full(host, 1e4),
        "draining": np.zeros(host, dtype=np.bool_),
        "cores": np.full(host, 16.0),
        "watts": np.full(host, 120.0),
        "power_w": np.tile(np.linspace(100.0, 200.0, NUM_LEVELS), (*host, 1)),
        "sleep_w": np.full(host, 10.0),
        "wake_s": np.full(host, 100.0),
        "wake_w": np.full(host, 250.0),
        "waiting": np.zeros(shape, dtype=np.bool_),
        "waited_s": np.zeros(shape),
    }
    if seed is not None:
        rng = np.random.default_rng(seed)
        empty = record.exists & ~record.present.any(axis=2) & ~record.arriving.any(axis=2)
        values["state"] = np.where(empty, rng.integers(0, 4, host), ON)
        columns["room_bytes"] = np.where(values["state"] == ON, columns["room_bytes"], 0.0)
        columns["lendable_bytes"] = np.where(values["state"] == ON, columns["lendable_bytes"], 0.0)
        values["draining"] = record.exists & ~empty & (rng.random(host) < 0.2)
        values["state_s"] = rng.exponential(600.0, host)
        values["waiting"] = ~record.exists[:, :, None] & (rng.random(shape) < 0.3)
        values["waited_s"] = np.where(values["waiting"], rng.exponential(100.0, shape), 0.0)
        asked = rng.exponential(GIB, shape)
        columns["size_bytes"] = np.where(values["waiting"], asked, columns["size_bytes"])
    return PoweredTelemetry(**columns | values | changes)


_DEMAND = ("usable_bytes", "swap_in_rate", "swap_used_bytes", "psi_some_frac")


def later(record: ClusterTelemetry, seed: int, seconds: float) -> ClusterTelemetry:
    """The same VMs some time later, with other demands."""
    rng = np.random.default_rng(seed)
    time_s = float(record.time_s[0]) + seconds
    hosts = record.hosts
    other = _hosts(rng, record.present, time_s, 0.0)
    # Half of the VMs stay as they are, so that some overloads last.
    stays = rng.random(hosts.present.shape) < 0.5
    demand = {name: np.where(stays, getattr(hosts, name), getattr(other, name)) for name in _DEMAND}
    return replace(record, hosts=replace(hosts, time_s=other.time_s, **demand))


def with_hosts_permuted(record: ClusterTelemetry, order: np.ndarray) -> ClusterTelemetry:
    """The record with host ``order[i]`` in place i of every cluster."""
    num_clusters, num_hosts, _ = record.shape
    place = np.append(np.argsort(order), NOBODY)  # of each old host; -1 stays -1
    rows = (np.arange(num_clusters)[:, None] * num_hosts + order).ravel()
    columns = {
        f.name: getattr(record, f.name)[:, order]
        for f in fields(ClusterTelemetry)
        if f.name != "hosts"
    }
    columns |= {name: place[columns[name]] for name in ("move_target", "twin")}
    return ClusterTelemetry(hosts=record.hosts.take_hosts(rows), **columns)


def with_vms_permuted(record: ClusterTelemetry, order: np.ndarray) -> ClusterTelemetry:
    """The record with slot ``order[i]`` in place i of every host."""
    columns = {
        f.name: getattr(record, f.name) for f in fields(ClusterTelemetry) if f.name != "hosts"
    }
    columns = {name: v[:, :, order] if v.ndim == 3 else v for name, v in columns.items()}
    return ClusterTelemetry(hosts=record.hosts.take_vms(order), **columns)


@pytest.fixture(scope="session", name="powered")
def _powered() -> Callable[..., PoweredTelemetry]:
    return powered


@pytest.fixture(scope="session", name="later")
def _later() -> MakeCluster:
    return later


@pytest.fixture(scope="session", name="with_hosts_permuted")
def _with_hosts_permuted() -> MakeCluster:
    return with_hosts_permuted


@pytest.fixture(scope="session", name="with_vms_permuted")
def _with_vms_permuted() -> MakeCluster:
    return with_vms_permuted


@pytest.fixture(scope="session", name="random_cluster")
def _random_cluster() -> MakeCluster:
    return random_cluster


@pytest.fixture(scope="session", name="two_hosts")
def _two_hosts() -> MakeCluster:
    return two_hosts


@pytest.fixture(scope="session", name="with_vm")
def _with_vm() -> MakeCluster:
    return with_vm


@pytest.fixture(scope="session", name="at_time")
def _at_time() -> MakeCluster:
    return at_time
