"""What a cluster reports about itself."""

import numpy as np
import pytest

from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.cluster.orders import BORROW, CLONE, MIGRATE
from gymbal_runtime.cluster.telemetry import NOBODY, empty_cluster
from gymbal_runtime.telemetry import implausible


@pytest.fixture
def engine(plain_host, starved, plain_cluster, cluster_engine):
    """A starved VM on host 0, a VM on host 1, an absent host, two clusters of that."""
    clonable = np.zeros((3, 4), dtype=bool)
    clonable[1, 0] = True
    writes = {
        "dirty_set_frac": np.full((3, 4, 3), (0.1, 0.2, 0.0)),
        "dirty_tau_s": np.full((3, 4, 3), (0.5, 10.0, np.inf)),
        "dirty_kind": np.full((3, 4, 3), (0, 1, 0)),
    }
    cluster = plain_cluster(starved(), plain_host(2), None, clonable=clonable, **writes)
    return cluster_engine([cluster, cluster])


def test_shapes_and_types_are_those_of_the_record(engine, tell):
    tell(engine, ticks=10)
    telemetry, frame = engine.telemetry(), empty_cluster(2, 3, 4)
    for name in type(frame).__slots__:
        expected = getattr(frame, name)
        if isinstance(expected, np.ndarray):
            got = getattr(telemetry, name)
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype), name
    assert implausible(telemetry.hosts) == []
    assert telemetry.time_s.tolist() == [10, 10]


def test_a_record_is_a_copy(engine, tell):
    telemetry = engine.telemetry()
    room, present = telemetry.room_bytes.copy(), telemetry.hosts.present.copy()
    tell(engine, (1, 1, MIGRATE, 0), ticks=30)
    np.testing.assert_array_equal(telemetry.room_bytes, room)
    np.testing.assert_array_equal(telemetry.hosts.present, present)


def test_the_books_are_of_now(engine, tell):
    telemetry = engine.telemetry()
    assert telemetry.exists.tolist() == [[True, True, False]] * 2
    assert telemetry.vm_id[0].tolist() == [[0, -1, -1, -1], [4, 5, -1, -1], [-1] * 4]
    np.testing.assert_allclose(telemetry.room_bytes[0], [6.5 * GIB, 4 * GIB, 0])
    np.testing.assert_allclose(telemetry.lendable_bytes[0], [6 * GIB, 3.5 * GIB, 0])
    np.testing.assert_allclose(telemetry.size_bytes[0, :, 0], [1.5 * GIB, 2 * GIB, 0])
    assert np.isnan(telemetry.far_latency_s).all()
    tell(engine, (0, 0, MIGRATE, 1), (1, 0, CLONE, 0))
    telemetry = engine.telemetry()
    clone = engine.hosts.vm[0, 4, 1]
    np.testing.assert_allclose(telemetry.room_bytes[0], [6.5 * GIB - clone, 2.5 * GIB, 0])
    np.testing.assert_allclose(telemetry.hosts.budget_bytes[:2], [8 * GIB, 6.5 * GIB])
    assert telemetry.vm_id[0, 0].tolist() == [0, 4 + 12, -1, -1]
    assert telemetry.arriving[0, 1].tolist() == [False, False, True, False]
    assert telemetry.move_target[0, 0].tolist() == [1, NOBODY, NOBODY, NOBODY]
    assert telemetry.move_s[0, 0, 0] == 1.0
    assert telemetry.twin[0, :2, :2].tolist() == [[-1, 1], [0, -1]]


def test_writes_are_seen_as_a_log_of_a_second_shows_them(engine, tell):
    tell(engine, ticks=10)
    telemetry = engine.telemetry()
    hot = 1 * GIB  # of the VMs on host 1, which run at full speed
    np.testing.assert_allclose(telemetry.dirty_set_bytes[0, 1, :2], 0.3 * hot)
    part = 0.1 * (1 - np.exp(-1 / 0.5)) + 0.2 * 1 / 10
    np.testing.assert_allclose(telemetry.dirty_rate_bytes_s[0, 1, :2], part * hot, rtol=1e-4)
    assert np.isnan(telemetry.dirty_set_bytes[0, 2]).all()
    starved = telemetry.dirty_rate_bytes_s[0, 0, 0]
    assert 0 < starved < part * 1.5 * GIB


def test_traffic_is_a_mean_over_the_interval(engine, tell):
    tell(engine, (1, 0, MIGRATE, 0), (0, 0, BORROW), ticks=10)
    telemetry, told = engine.telemetry(), engine.measured()
    np.testing.assert_allclose(telemetry.sent_bytes_s.sum(axis=1) * 10, told["network_bytes"])
    np.testing.assert_allclose(
        telemetry.sent_bytes_s.sum(axis=1), telemetry.received_bytes_s.sum(axis=1)
    )
    parts = told["move_bytes"] + told["far_bytes"] + told["clone_bytes"]
    waiting = engine.pages[:, at.QUEUE].sum(axis=(1, 2))
    np.testing.assert_allclose(parts, told["network_bytes"] + waiting, rtol=1e-9)
