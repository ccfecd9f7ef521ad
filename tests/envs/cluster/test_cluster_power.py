"""Hosts of clusters that sleep and wake, and what they draw."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.readings import power_measured
from gymbal_envs.simulator.host_power import STATE
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, ON, SUSPENDING, WAKING
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, legal
from gymbal_runtime.command import Command

IDLE_W, PEAK_W, SLEEP_W, WAKE_W = 100.0, 200.0, 10.0, 250.0


@pytest.fixture
def two(plain_host, plain_cluster, with_power, cluster_engine):
    """An engine of two hosts of 16 cores, of which only the first has a VM; it wants one core."""

    def make(second=None, **changes):
        hosts = (plain_host(1), second if second is not None else plain_host(1))
        scenario = plain_cluster(*hosts)
        stops = np.full((2, 4), np.inf)
        if second is None:
            stops[1, 0] = 0.0  # gone at once
        return cluster_engine([with_power(replace(scenario, vm_stops_s=stops), **changes)])

    return make


def states(engine):
    return engine.power[:, STATE].tolist()


def joules(engine):
    return power_measured(engine)["energy_j"][0]


def test_a_host_that_is_on_draws_by_its_utilisation(two, tell):
    engine = two()
    tell(engine, ticks=20)
    used = 1.0 / 16.0
    busy = IDLE_W + (PEAK_W - IDLE_W) * used
    assert joules(engine) == pytest.approx(20 * (busy + IDLE_W), rel=1e-3)
    assert engine.powered_telemetry().watts[0].tolist() == pytest.approx([busy, IDLE_W], rel=1e-3)


def test_sleeping_and_waking_take_time_and_energy(two, tell):
    engine = two()
    tell(engine, ticks=1)
    tell(engine, ticks=5, power={1: SLEEP})
    assert states(engine) == [ON, SUSPENDING]
    tell(engine, ticks=25)
    assert states(engine) == [ON, ASLEEP]
    tell(engine, ticks=10)
    busy = IDLE_W + (PEAK_W - IDLE_W) / 16.0
    assert joules(engine) == pytest.approx(10 * (busy + SLEEP_W), rel=1e-3)
    tell(engine, ticks=10, power={1: WAKE})
    assert joules(engine) == pytest.approx(10 * (busy + WAKE_W), rel=1e-3)
    assert states(engine) == [ON, ON]
    assert power_measured(engine)["wakes"] == [1]


def test_a_host_with_vms_sleeps_once_they_are_gone(two, plain_host, tell, check_books):
    engine = two(second=plain_host(1))
    tell(engine, (1, 0, MIGRATE, 0), power={1: SLEEP})
    assert engine.powered_telemetry().draining[0].tolist() == [False, True]
    for _ in range(60):
        tell(engine)
        check_books(engine)
    assert states(engine) == [ON, ASLEEP]
    assert engine.telemetry().present[0].sum(axis=1).tolist() == [2, 0]


@pytest.fixture
def asleep(two, tell):
    """Of the two hosts, the second sleeps."""
    engine = two()
    tell(engine, ticks=30, power={1: SLEEP})
    assert states(engine) == [ON, ASLEEP]
    return engine


def test_who_sleeps_has_no_room_and_lends_nothing(asleep, tell):
    told = asleep.telemetry()
    assert told.room_bytes[0, 1] == told.lendable_bytes[0, 1] == 0.0
    assert not legal(told).migrate.any()
    assert not legal(told).borrow.any()
    tell(asleep, (0, 0, MIGRATE, 1))
    assert asleep.measured()["orders_refused"] == [1]


def test_a_target_stays_awake(two, plain_host, tell):
    engine = two(second=plain_host(1))
    tell(engine, power={1: SLEEP})
    tell(engine, (0, 0, MIGRATE, 1))
    assert not engine.powered_telemetry().draining.any()
    tell(engine, ticks=60)
    assert states(engine) == [ON, ON]


def test_who_drains_calls_back_what_it_has_lent(
    starved, plain_host, plain_cluster, with_power, cluster_engine, tell, check_books
):
    stops = np.full((2, 4), np.inf)
    stops[1, 0] = 1.0
    scenario = plain_cluster(starved(), plain_host(1), vm_stops_s=stops)
    engine = cluster_engine([with_power(scenario)])
    tell(engine, (0, 0, BORROW), ticks=2)
    squeezed = Command(np.full((2, 4), np.nan))
    squeezed.balloon_bytes[0, 0] = 1.0 * GIB
    tell(engine, ticks=20, local=squeezed)
    lent = engine.member[1, at.LENT]
    assert lent > 0.1 * GIB
    tell(engine, ticks=2, power={1: SLEEP})
    assert states(engine)[1] == ON, "it holds pages of the other's VM"
    for _ in range(60):
        tell(engine)
        check_books(engine)
    assert engine.member[1, at.LENT] == 0.0
    assert states(engine)[1] == ASLEEP


def test_who_wakes_is_not_told_to_sleep(asleep, tell):
    tell(asleep, ticks=3, power={1: WAKE})
    assert states(asleep)[1] == WAKING
    tell(asleep, power={1: SLEEP})
    assert power_measured(asleep)["power_orders_refused"] == [1]


def test_parts_of_an_interval_add_up(two, plain_host, tell):
    whole, parts = two(second=plain_host(1)), two(second=plain_host(1))
    for engine, ticks in ((whole, (60,)), (parts, (10, 25, 25))):
        tell(engine, (1, 0, MIGRATE, 0), ticks=ticks[0], power={1: SLEEP})
        for more in ticks[1:]:
            tell(engine, ticks=more, goes_on=True)
    assert whole.interval_s == parts.interval_s == 60
    assert power_measured(parts) == power_measured(whole)
    assert parts.measured() == whole.measured()
    np.testing.assert_array_equal(parts.hosts.outcome, whole.hosts.outcome)


def test_without_power_nothing_is_drawn_and_nobody_sleeps(
    plain_host, plain_cluster, cluster_engine, tell
):
    engine = cluster_engine([plain_cluster(plain_host(1), plain_host(1))])
    tell(engine, ticks=10, power={1: SLEEP})
    assert joules(engine) == 0.0
    assert engine.member[:, at.RUNS].tolist() == [1, 1]


def test_a_wrong_power_is_named(plain_host, plain_cluster, with_power):
    scenario = with_power(plain_cluster(plain_host(1), plain_host(1)))
    with pytest.raises(ScenarioError, match=r"power\.wake_s"):
        replace(scenario.power, wake_s=np.array([1.0, np.nan]))
    with pytest.raises(ScenarioError, match=r"power\.power_w has shape"):
        replace(scenario.power, power_w=np.zeros((2, 3)))
    with pytest.raises(ScenarioError, match="power is of 2 hosts, not 1"):
        replace(plain_cluster(plain_host(1)), power=scenario.power)
