"""Clones: fork, page-in, divided load, merging, and what goes wrong."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.cluster.orders import BORROW, CLONE, MERGE, MIGRATE, RECALL, SQUEEZE, legal
from gymbal_runtime.command import Command

FIXED = 150e6


@pytest.fixture
def cloning(plain_host, plain_cluster, cluster_engine):
    """An engine of three hosts with one clonable VM each."""

    def make(hosts=None, **changes):
        hosts = hosts or (plain_host(), plain_host(), plain_host())
        clonable = np.zeros((len(hosts), 4), dtype=bool)
        clonable[:, 0] = True
        return cluster_engine([plain_cluster(*hosts, clonable=clonable, **changes)])

    return make


def test_a_clone_takes_half_of_the_load(cloning, tell, check_books):
    engine = cloning()
    demand = engine.hosts.demand[0, :, :, 0].copy()
    tell(engine, (0, 0, CLONE, 2))
    check_books(engine)
    telemetry = engine.telemetry()
    assert telemetry.twin[0, 0, 0] == 2
    assert telemetry.twin[0, 2, 1] == 0
    assert telemetry.present[0, 2, 1]
    halves = engine.hosts.demand[[0, 2], :, :, [0, 1]]
    np.testing.assert_array_equal(halves[0], halves[1])
    for row in (host_at.WANT_WORKING_SET, host_at.WANT_FOOTPRINT):
        np.testing.assert_allclose(halves[0][:, row], FIXED + (demand[:, row] - FIXED) / 2)
    np.testing.assert_allclose(halves[0][:, host_at.WANT_CORES], demand[:, 2] / 2 * 1.03)
    shares = engine.hosts.world_vm[[0, 2], host_at.SHARES, [0, 1]]
    assert shares.tolist() == [0.5, 0.5]
    held = engine.hosts.vm[2, host_at.ACTUAL, 1]
    kernel = engine.hosts.world_vm[0, host_at.KERNEL, 0]
    stuck = 0.02 * FIXED / 2
    assert held == pytest.approx(kernel + (2 * GIB - kernel) / 2 + stuck)


def test_the_fork_pauses_both(cloning, tell):
    engine = cloning()
    tell(engine, (0, 0, CLONE, 1))
    assert engine.guest[0, at.DOWN_S, 0] == 0.8
    assert engine.guest[1, at.DOWN_S, 1] == 0.8
    assert engine.hosts.outcome[0, host_at.LOST, 0] == pytest.approx(0.8, abs=0.02)
    tell(engine)
    assert engine.measured()["move_downtime_s"] == [0]
    assert engine.hosts.outcome[0, host_at.LOST, 0] < 0.05


def test_a_clone_fetches_its_pages_when_it_faults(cloning, tell, check_books):
    engine = cloning()
    tell(engine, (0, 0, CLONE, 1))
    working_set = engine.hosts.vm[1, host_at.WORKING_SET, 1]
    fetched, moved = 0.0, 0.0
    for _ in range(60):
        tell(engine)
        check_books(engine)
        fetched += engine.hosts.outcome[1, host_at.READ, 1]
        moved += engine.measured()["clone_bytes"][0]
    assert engine.hosts.vm[1, host_at.HOT, 1] == pytest.approx(working_set, rel=0.01)
    assert fetched == pytest.approx(0.25 * working_set, rel=0.05)
    assert moved >= fetched, "read-ahead comes too"
    assert engine.telemetry().lent_bytes.sum() == 0


def test_merging_gives_everything_back(cloning, tell, check_books):
    engine = cloning()
    demand = engine.hosts.demand[0, :, :, 0].copy()
    for teller in ((0, 0), (1, 1)):  # origin or clone may be told
        tell(engine, (0, 0, CLONE, 1), ticks=30)
        tell(engine, (*teller, MERGE))
        check_books(engine)
        assert engine.measured()["merged"] == [1]
        assert engine.telemetry().present.sum() == 3
        assert (engine.telemetry().twin == -1).all()
        assert engine.hosts.world_vm[0, host_at.SHARES, 0] == 1.0
        np.testing.assert_allclose(engine.hosts.demand[0, :, :, 0], demand, rtol=1e-5)
        assert engine.telemetry().room_bytes[0, 1] == 6 * GIB


def test_twins_neither_move_nor_borrow_nor_clone_again(cloning, tell):
    engine = cloning()
    tell(engine, (0, 0, CLONE, 1))
    for order in ((0, 0, MIGRATE, 2), (1, 1, CLONE, 2), (0, 0, BORROW), (1, 1, RECALL)):
        tell(engine, order)
        assert engine.measured()["orders_refused"] == [1], order
    tell(engine, (0, 0, SQUEEZE))
    assert engine.measured()["orders_refused"] == [1], "it is alone"
    tell(engine, (1, 1, SQUEEZE))
    assert engine.telemetry().boosted[0, 1, 1]
    tell(engine, ticks=60)
    assert not engine.telemetry().boosted.any()


def test_a_full_host_takes_no_clone(plain_host, cloning, tell):
    full = plain_host(3, initial_bytes=2.5 * GIB)
    engine = cloning(hosts=(plain_host(), full, plain_host()))
    assert not legal(engine.telemetry()).clone[0, 0, 0, 1]
    tell(engine, (0, 0, CLONE, 1))
    assert engine.measured()["orders_refused"] == [1]
    assert engine.hosts.world_vm[0, host_at.SHARES, 0] == 1.0


def test_a_vm_with_a_device_of_its_own_is_not_cloned(plain_host, plain_resources, cloning, tell):
    resources = plain_resources(4, io_bytes_s=1e6, llc_bytes=0.0)
    engine = cloning(hosts=tuple(plain_host(resources=resources) for _ in range(3)))
    through = replace(Command.no_change(3, 4), device_mode=np.full((3, 4), 1.0))
    tell(engine, local=through)
    assert not legal(engine.telemetry()).clone[0, 0, 0].any()
    tell(engine, (0, 0, CLONE, 1))
    assert engine.measured()["orders_refused"] == [1]


def test_arrivals_share_the_cache_anew(plain_host, plain_resources, cloning, tell, check_books):
    hosts = tuple(plain_host(resources=plain_resources(4)) for _ in range(3))
    engine = cloning(hosts=hosts)
    parts = np.tile([0.0, 1.0, 2.0, 3.0], (3, 1)), np.full((3, 4), 4.0)
    tell(engine, local=replace(Command.no_change(3, 4), llc_class=parts[0], llc_units=parts[1]))
    assert engine.hosts.vm[1, host_at.ENTITLED, 0] == 4.0
    tell(engine, (0, 0, CLONE, 1))
    assert engine.hosts.vm[1, host_at.ENTITLED, :2].tolist() == [8.0, 8.0]
    tell(engine, (2, 0, MIGRATE, 1), ticks=60)
    check_books(engine)
    assert engine.telemetry().present[0, 1].sum() == 3
    np.testing.assert_allclose(engine.hosts.vm[1, host_at.ENTITLED, :3], 16 / 3)
    assert engine.hosts.vm[1, host_at.OCCUPANCY, :3].sum() <= 16 * 2**20 * (1 + 1e-9)
    assert np.isfinite(engine.hosts.vm[:, host_at.RATE]).all()


def test_a_clone_whose_origins_memory_service_dies_is_killed(cloning, tell, check_books):
    engine = cloning(memory_service_fails_s=np.array([3.0, np.inf, np.inf]))
    tell(engine, (0, 0, CLONE, 1), ticks=3)
    assert engine.guest[1, at.BEHIND, 1] > 0
    tell(engine)
    check_books(engine)
    assert engine.hosts.outcome[1, host_at.KILLED, 1] == 1
    assert engine.guest[1, at.BEHIND, 1] == 0
    tell(engine, (1, 1, MERGE))
    assert engine.measured()["merged"] == [1]


def test_a_clone_ends_with_its_origin(cloning, tell, check_books):
    stops = np.full((3, 4), np.inf)
    stops[0, 0] = 5.0
    engine = cloning(vm_stops_s=stops)
    tell(engine, (0, 0, CLONE, 1), ticks=5)
    tell(engine)
    check_books(engine)
    assert engine.measured()["vms_stopped"] == [2]
    assert engine.telemetry().present.sum() == 2
