"""Records of data centres, by hand and at random."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.centre.orders import SLEEP
from gymbal_runtime.centre.telemetry import (
    ASLEEP,
    CURVE_POINTS,
    HISTORY,
    NOWHERE,
    ON,
    SUSPENDING,
    WAKING,
    CentreTelemetry,
)

GIB = 2**30


def _empty(centres, hosts, vms):
    """Plain hosts of one core of 1000 MIPS, 4 GiB and 1 Gb/s, all on; no VMs."""

    def host(value):
        return np.full((centres, hosts), float(value))

    def vm(value):
        return np.full((centres, vms), float(value))

    return {
        "time_s": np.zeros(centres),
        "interval_s": np.full(centres, 300.0),
        "exists": np.ones((centres, hosts), dtype=bool),
        "state": np.full((centres, hosts), ON),
        "state_s": host(1e6),
        "cpu_mips": host(1000),
        "core_mips": host(1000),
        "memory_bytes": host(4 * GIB),
        "nic_bytes_s": host(125e6),
        "power_w": np.broadcast_to(
            np.linspace(100.0, 200.0, CURVE_POINTS), (centres, hosts, CURVE_POINTS)
        ).copy(),
        "sleep_w": host(10),
        "wake_s": host(200),
        "wake_w": host(200),
        "used_mips": host(0),
        "held_bytes": host(0),
        "draining": np.zeros((centres, hosts), dtype=bool),
        "present": np.zeros((centres, vms), dtype=bool),
        "host_of": np.full((centres, vms), NOWHERE),
        "moving_to": np.full((centres, vms), NOWHERE),
        "vm_mips": vm(1000),
        "vcpus": vm(1),
        "shares": vm(1),
        "vm_memory_bytes": vm(GIB),
        "dirty_bytes_s": vm(0),
        "wanted_frac": vm(0),
        "got_frac": vm(1),
        "history": np.full((centres, vms, HISTORY), np.nan),
        "hosted_s": vm(1e6),
    }


def _hold(columns):
    """Fill in what hosts hold and use."""
    columns["held_bytes"][:] = 0.0
    for c, v in np.argwhere(columns["present"]):
        for name in ("host_of", "moving_to"):
            if columns[name][c, v] != NOWHERE:
                columns["held_bytes"][c, columns[name][c, v]] += columns["vm_memory_bytes"][c, v]
    columns["host_of"] = columns["host_of"].astype(np.int64)
    columns["moving_to"] = columns["moving_to"].astype(np.int64)
    columns["state"] = columns["state"].astype(np.int64)


@pytest.fixture(scope="session")
def centre():
    """One centre: ``wants`` lists the wanted fractions of the VMs of each host, in order.

    ``waiting`` are those of VMs without a host, which come last; ``past`` holds the history (V, n)
    before now, newest first, else it was always as it is now. Other fields by name.
    """

    def build(wants, waiting=(), past=None, **changes):
        flat = [w for host in wants for w in host] + list(waiting)
        columns = _empty(1, len(wants), max(len(flat), 1))
        columns["present"][0, : len(flat)] = True
        columns["wanted_frac"][0, : len(flat)] = flat
        places = [h for h, host in enumerate(wants) for _ in host]
        columns["host_of"][0, : len(places)] = places
        for name, value in changes.items():
            columns[name][0] = value
        columns["history"][0] = columns["wanted_frac"][0][:, None]
        if past is not None:
            columns["history"][0, :, 1:] = np.nan
            columns["history"][0, :, 1 : 1 + np.shape(past)[1]] = past
        _hold(columns)
        return CentreTelemetry(**columns)

    return build


@pytest.fixture(scope="session")
def random_centres():
    """Records of C centres in which everything that can be is."""

    def build(seed, centres=3, hosts=5, vms=9, time_s=3000.0):
        rng = np.random.default_rng(seed)
        columns = _empty(centres, hosts, vms)
        columns["time_s"][:] = time_s
        columns["exists"] = rng.random((centres, hosts)) < 0.9
        states = rng.choice(
            [ON, SUSPENDING, ASLEEP, WAKING], (centres, hosts), p=[0.6, 0.1, 0.2, 0.1]
        )
        columns["state"] = states
        columns["state_s"] = 300.0 * rng.integers(0, 20, (centres, hosts))
        columns["cpu_mips"] = rng.choice([1000.0, 3720.0, 5320.0], (centres, hosts))
        columns["core_mips"] = columns["cpu_mips"] / rng.choice([1, 2], (centres, hosts))
        columns["memory_bytes"] = GIB * rng.integers(2, 9, (centres, hosts)).astype(float)
        scale = rng.uniform(0.5, 2.0, (centres, hosts))
        columns["power_w"] *= scale[..., None]
        columns["draining"] = (states == ON) & (rng.random((centres, hosts)) < 0.2)
        columns["vm_mips"] = rng.choice([500.0, 1000.0, 2500.0], (centres, vms))
        columns["vcpus"] = rng.choice([1.0, 2.0], (centres, vms))
        columns["shares"] = rng.choice([1.0, 2.0], (centres, vms))
        columns["vm_memory_bytes"] = GIB / 4 * rng.integers(1, 9, (centres, vms))
        columns["wanted_frac"] = rng.random((centres, vms)) ** rng.choice([1, 4])
        columns["history"] = rng.random((centres, vms, HISTORY))
        columns["history"][..., 0] = columns["wanted_frac"]
        known = rng.integers(1, HISTORY + 1, (centres, vms))
        columns["history"][np.arange(HISTORY) >= known[..., None]] = np.nan
        columns["hosted_s"] = 300.0 * rng.integers(0, 20, (centres, vms))
        columns["present"] = rng.random((centres, vms)) < 0.9
        _settle(columns, rng)
        _hold(columns)
        return CentreTelemetry(**columns)

    return build


def _settle(columns, rng):
    """Put VMs on hosts that are on, as far as memory goes; let a few move."""
    centres, vms = columns["present"].shape
    for c in range(centres):
        free = columns["memory_bytes"][c].copy()
        on = np.flatnonzero(columns["exists"][c] & (columns["state"][c] == ON))
        for v in range(vms):
            if not columns["present"][c, v]:
                columns["host_of"][c, v] = rng.integers(-1, free.size)  # means nothing
                continue
            size = columns["vm_memory_bytes"][c, v]
            steps = (("host_of", 0.85), ("moving_to", 0.1))
            for name, chance in steps:
                fits = on[free[on] >= size]
                fits = fits[fits != columns["host_of"][c, v]]
                if rng.random() >= chance or not fits.size:
                    break
                columns[name][c, v] = rng.choice(fits)
                free[columns[name][c, v]] -= size


@pytest.fixture(scope="session")
def assert_legal():
    """Nothing is told that an engine would refuse, and nothing twice."""

    def check(record, orders):
        orders.check(record.shape)
        asleep = (record.state == ASLEEP) | (record.state == SUSPENDING)
        told = orders.power != 0
        assert not (told & ~record.exists).any()
        assert not ((orders.power == SLEEP) & (record.state != ON)).any()
        assert not (told & (orders.power != SLEEP) & ~asleep & ~record.draining).any()
        for c in range(record.num_centres):
            held = record.held_bytes[c].copy()
            for v in np.flatnonzero(orders.target[c] != NOWHERE):
                host = orders.target[c, v]
                assert record.present[c, v]
                if host == record.host_of[c, v]:
                    continue
                assert record.moving_to[c, v] == NOWHERE
                assert record.exists[c, host]
                assert record.state[c, host] == ON
                assert orders.power[c, host] != SLEEP
                held[host] += record.vm_memory_bytes[c, v]
            assert (held <= record.memory_bytes[c])[record.exists[c]].all()

    return check
