"""VMs that come during an episode: they wait, are placed, run, or leave again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.readings import power_measured
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.centre.orders import LEAVE, WAKE
from gymbal_runtime.cluster.orders import MIGRATE, PLACE, Orders
from gymbal_runtime.command import Command

LOBBY = 2


@pytest.fixture
def coming(plain_host, plain_cluster, with_lobby, with_power, cluster_engine):
    """An engine of two hosts with a VM each, and a third VM that comes after 5 s."""

    def make(hosts=None, stops_s=np.inf, **changes):
        hosts = hosts or (plain_host(1), plain_host(1))
        scenario = with_lobby(plain_cluster(*hosts), plain_host(1), 5.0)
        stops = scenario.vm_stops_s.copy()
        stops[LOBBY, 0] = stops_s
        return cluster_engine([with_power(replace(scenario, vm_stops_s=stops), **changes)])

    return make


def test_nothing_is_seen_of_who_has_not_come(coming, tell):
    engine = coming()
    tell(engine, ticks=4)
    told = engine.powered_telemetry()
    assert not told.waiting.any()
    assert not told.present[0, LOBBY].any()
    assert told.size_bytes[0, LOBBY].sum() == 0.0
    assert told.per_host(told.hosts.memory_max_bytes)[0, LOBBY].sum() == 0.0
    assert told.per_host(told.hosts.shares)[0, LOBBY].sum() == 0.0
    assert not told.exists[0, LOBBY]
    tell(engine, (LOBBY, 0, PLACE, 0))
    assert engine.measured()["orders_refused"] == [1], "it has not come"


def test_who_waits_makes_no_progress(coming, tell):
    engine = coming()
    tell(engine, ticks=15)
    told = engine.powered_telemetry()
    assert told.waiting[0, LOBBY, 0]
    assert told.waited_s[0, LOBBY, 0] == 10.0
    assert told.size_bytes[0, LOBBY, 0] == pytest.approx(2 * GIB)
    assert engine.hosts.outcome[LOBBY, host_at.LOST, 0] == 10.0
    assert power_measured(engine)["waited_s"] == [10.0]


def test_who_is_placed_runs_there(coming, tell, check_books):
    engine = coming()
    tell(engine, ticks=15)
    tell(engine, (LOBBY, 0, PLACE, 1))
    check_books(engine)
    told = engine.powered_telemetry()
    assert told.present[0].sum(axis=1).tolist() == [1, 2, 0]
    assert not told.waiting.any()
    assert power_measured(engine)["vms_placed"] == [1]
    assert told.vm_id[0, 1, 1] == LOBBY * engine.num_vms
    tell(engine, ticks=30)
    check_books(engine)
    row = engine.hosts.outcome[1, :, 1]
    assert row[host_at.LOST_MEMORY] < 0.1, "it has all that it wants"
    assert engine.hosts.vm[1, host_at.HOT, 1] == pytest.approx(GIB)
    assert engine.powered_telemetry().per_host(engine.telemetry().hosts.actual_bytes)[0, 1, 1] > 0


def test_it_may_move_and_end_like_any_other(coming, tell, check_books):
    engine = coming(stops_s=60.0)
    tell(engine, ticks=6)
    tell(engine, (LOBBY, 0, PLACE, 1))
    tell(engine, (1, 1, MIGRATE, 0), ticks=40)
    assert engine.telemetry().present[0].sum(axis=1).tolist() == [2, 1, 0]
    tell(engine, ticks=20)
    check_books(engine)
    assert engine.telemetry().present[0].sum(axis=1).tolist() == [1, 1, 0]


def test_who_is_never_placed_leaves(coming, tell, check_books):
    engine = coming(stops_s=20.0)
    tell(engine, ticks=30)
    check_books(engine)
    assert not engine.powered_telemetry().waiting.any()
    assert engine.measured()["vms_stopped"] == [1]
    assert power_measured(engine)["waited_s"] == [15.0]


def test_it_is_refused_without_room_slot_or_host(coming, plain_host, tell):
    full = plain_host(1, capacity_bytes=2.5 * GIB)
    crowded = plain_host(4, capacity_bytes=32.0 * GIB)
    engine = coming((full, crowded))
    tell(engine, ticks=6)
    for target in (0, 1, LOBBY):
        tell(engine, (LOBBY, 0, PLACE, target))
        assert engine.measured()["orders_refused"] == [1]


def test_a_lobby_stands_where_no_host_is(plain_host, plain_cluster, with_lobby):
    scenario = with_lobby(plain_cluster(plain_host(1)), plain_host(1), 5.0)
    with pytest.raises(ScenarioError, match="place 0 has a host"):
        replace(scenario, lobbies=(plain_host(1), None))
    with pytest.raises(ScenarioError, match="lobbies has 1 places"):
        replace(scenario, lobbies=(None,))
    with pytest.raises(ScenarioError, match="vm_arrives_s"):
        replace(scenario, vm_arrives_s=np.full((2, 4), -1.0))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_books_balance_while_vms_come_and_hosts_sleep(
    seed, random_cluster, random_scenario, with_lobby, with_power, cluster_engine, random_orders,
    check_books,
):  # fmt: skip
    rng = np.random.default_rng(seed)
    scenarios = []
    for _ in range(4):
        drawn = random_cluster(int(rng.integers(2**32)))
        tier = drawn.first_host.tier
        vms = random_scenario(int(rng.integers(2**32)), drawn.slots, tier=tier)
        waits = with_lobby(drawn, vms, rng.uniform(0.0, 60.0, drawn.slots))
        scenarios.append(with_power(waits, suspend_s=2.0, wake_s=3.0))
    engine = cluster_engine(scenarios)
    slept = placed = 0.0
    for _ in range(25):
        orders = random_orders(engine, rng)
        told = engine.powered_telemetry()
        verb, target = orders.verb.copy(), orders.target.copy()
        starts = told.waiting & (rng.random(verb.shape) < 0.5)
        verb[starts] = PLACE
        target[starts] = rng.integers(0, engine.num_hosts, int(starts.sum()))
        power = rng.integers(LEAVE, WAKE + 1, told.exists.shape).astype(np.int8)
        orders = Orders(verb, target, orders.balance, orders.pool_bytes, power)
        rows = engine.num_clusters * engine.num_hosts
        engine.step(orders, Command.no_change(rows, engine.num_vms), 3)
        check_books(engine)
        lost = engine.hosts.outcome[:, host_at.LOST]
        assert (lost >= -1e-9).all()
        assert (lost <= 3 + 1e-9).all()
        seen = power_measured(engine)
        slept, placed = slept + seen["sleeps"].sum(), placed + seen["vms_placed"].sum()
    assert placed > 0
    assert slept >= 0
    assert engine.member[:, at.RUNS].max() == 1.0
