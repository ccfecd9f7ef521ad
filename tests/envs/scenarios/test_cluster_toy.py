"""The toy's docstring is a promise: what it counts is counted here again."""

import numpy as np
import pytest

from gymbal_envs.scenarios.cluster_scenario import FAR_TIERS
from gymbal_envs.scenarios.cluster_toy import LONG_S, SHORT_S, OneOverload
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.params import GIB, MIB, TIERS, PhysicsParams
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, WAIT, Orders
from gymbal_runtime.heuristics import make_heuristic

TOY = OneOverload()
CLUSTER_BYTES = 2 * TOY.host_bytes
INTERVAL_S, NUM_VMS = 10.0, 3


def wanted(host):
    return host.working_set_bytes.sum(axis=1) + host.kernel_bytes.sum()


def test_one_host_overloads_once_and_the_other_has_room_for_the_quiet_vm_alone():
    for toy in (OneOverload(SHORT_S), OneOverload(LONG_S)):
        first, second = toy().hosts
        time_s = np.arange(first.num_knots) * first.knot_s
        over = wanted(first) > first.capacity_bytes
        assert over.sum() * toy.knot_s == toy.overload_s
        assert time_s[over][0] == toy.begins_s
        assert wanted(first).max() == pytest.approx(4.5 * GIB)
        assert wanted(first).min() == pytest.approx(3.6 * GIB)
        free = second.capacity_bytes - wanted(second).max()
        growing, quiet = first.working_set_bytes[:, 0].max(), first.working_set_bytes[:, 1].max()
        kernel = first.kernel_bytes[0]
        assert quiet + kernel < free < growing + kernel
        assert free == pytest.approx(2.35 * GIB)
        # without the quiet VM the growing one has what it wants
        assert growing + kernel < first.capacity_bytes


def borrowing():
    """Cost of each second, and of the beginning, in units of the reward."""
    far, lacks = FAR_TIERS["tcp_10g"], 0.5 * GIB
    faults = TOY.touch_rate_hz * lacks / TOY.high_bytes / far.useful_pages
    assert faults == pytest.approx(521, abs=1)
    speed = 1 / (1 + faults * far.latency_s)
    assert speed == pytest.approx(0.97, abs=0.001)
    each_fault = far.request_bytes + far.useful_pages * 4096  # what comes in pushes others out
    traffic = faults * speed * each_fault / CLUSTER_BYTES
    assert traffic == pytest.approx(0.0029, abs=0.0001)
    return (1 - speed) / NUM_VMS / INTERVAL_S + traffic, lacks / CLUSTER_BYTES


def migrating():
    moved = TOY.quiet_bytes + 0.05 * GIB
    lasts = moved / (128 * MIB)
    assert lasts == pytest.approx(16.4, abs=0.1)
    slowed = 0.1 * 128 * MIB / TOY.nic_bytes_s
    return moved / CLUSTER_BYTES + slowed * lasts / NUM_VMS / INTERVAL_S


def test_borrowing_and_migrating_cost_what_the_docstring_says():
    each_second, once = borrowing()
    assert each_second == pytest.approx(0.0039, abs=0.0001)
    assert once == pytest.approx(0.0625)
    assert migrating() == pytest.approx(0.262, abs=0.002)
    even = (migrating() - once) / each_second
    assert even == pytest.approx(51, abs=1)
    assert SHORT_S < even < LONG_S


def test_waiting_is_never_good():
    disk = TIERS["hdd"]
    faults = TOY.touch_rate_hz * 0.5 * GIB / TOY.high_bytes / disk.useful_pages
    wait = np.linspace(disk.latency_s, 1.0, 100_000)
    speed = 1 / (1 + faults * wait)
    busy = (wait - disk.latency_s) / (wait - disk.latency_s + disk.latency_s / disk.servers)
    found = np.argmin(np.abs(faults * speed * disk.latency_s / disk.servers - busy))
    assert speed[found] == pytest.approx(1 / 8, abs=0.02)
    each_second, _ = borrowing()
    assert (1 - speed[found]) / NUM_VMS / INTERVAL_S > 5 * each_second


def played(toy, verb, slots, target=-1):
    """Cost in units of the reward when this is ordered 30 s before the overload, or nothing."""
    scenario = toy()
    engine = ClusterEngine(1, 2, 3, scenario.num_knots, PhysicsParams(knot_s=toy.knot_s))
    engine.load([0], [scenario])
    balance = make_heuristic("meb")
    balance.reset(2, 3)
    cost = 0.0
    for decision in range(int(toy.episode_s / INTERVAL_S)):
        orders = Orders.none(1, 2, 3)
        if decision * INTERVAL_S == toy.begins_s - toy.knot_s:
            orders.verb[0, 0, slots] = verb
            orders.target[0, 0, slots] = target
        engine.step(orders, balance.act(engine.hosts.telemetry()))
        found = engine.measured()
        traffic = found["move_bytes"][0] + found["far_bytes"][0]
        lost = engine.hosts.outcome[:, at.LOST].sum() / NUM_VMS / INTERVAL_S
        cost += lost + traffic / CLUSTER_BYTES
    return cost


@pytest.mark.parametrize(
    ("overload_s", "wait", "borrow", "migrate"),
    [(SHORT_S, 0.91, 0.07, 0.57), (LONG_S, 44, 5.1, 0.6)],
)
def test_played_the_answers_cost_what_the_docstring_says(overload_s, wait, borrow, migrate):
    toy = OneOverload(overload_s, monitor=0)
    assert played(toy, WAIT, [0]) == pytest.approx(wait, rel=0.3)
    assert played(toy, BORROW, [0, 1]) == pytest.approx(borrow, rel=0.3)
    assert played(toy, MIGRATE, [1], target=1) == pytest.approx(migrate, rel=0.3)


def test_nobody_writes_and_nothing_breaks():
    cluster = TOY()
    assert not cluster.dirty_set_frac.any()
    assert np.isinf(cluster.link_cut).all()
    assert cluster.present.tolist() == [[True, True, False], [True, False, False]]
