"""Moves between the hosts of a cluster: what they take, what they cost, how they go wrong."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.migration import advance_move, start_move, wanted_rate
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_runtime.cluster.orders import CANCEL, MIGRATE
from gymbal_runtime.cluster.telemetry import COPYING, IDLE, PUSHING, SETUP
from gymbal_runtime.command import Command

GIGABIT = 125e6


@pytest.fixture
def two_hosts(plain_host, plain_cluster, cluster_engine):
    """An engine of two hosts with one VM each that writes a tenth of its working set a second."""

    def make(rule="qemu", hosts=None, **changes):
        hosts = hosts or (plain_host(), plain_host())
        shape = (len(hosts), 4)
        writes = {
            "dirty_set_frac": np.full((*shape, 3), (0.1, 0.0, 0.0)),
            "dirty_tau_s": np.full((*shape, 3), 1.0),
            "nic_bytes_s": np.full(len(hosts), GIGABIT),
        }
        return cluster_engine([plain_cluster(*hosts, rule=rule, **(writes | changes))])

    return make


def until_done(engine, tell, check_books, limit=400, local=None):
    """Ticks until no move is under way, the sum of every outcome, its largest link use."""
    sums = np.zeros(at.NUM_GUEST - at.DOWN_S)
    lost, busiest = 0.0, 0.0
    for tick in range(1, limit):
        tell(engine, local=local)
        check_books(engine)
        sums += engine.guest[:, at.DOWN_S :].sum(axis=(0, 2))
        lost += engine.hosts.outcome[:, host_at.LOST].sum()
        busiest = max(busiest, (engine.link[0, at.LINK_USED] / GIGABIT).max())
        if (engine.slot[:, :, move_at.PHASE] == IDLE).all():
            return tick, dict(zip(range(at.DOWN_S, at.NUM_GUEST), sums, strict=True)), lost, busiest
    raise AssertionError("never done")


@pytest.mark.parametrize("rule", ["qemu", "xen_modern", "clark2005", "vmotion", "stop_and_copy"])
def test_a_move_is_what_the_kernel_says(two_hosts, tell, check_books, rule):
    engine = two_hosts(rule)
    tell(engine)
    vm = engine.hosts.vm[0, :, 0].copy()
    dirty = np.zeros((3, 3))
    dirty[0] = 0.1 * vm[host_at.HOT], 1.0, move_at.RANDOM
    plan, state = RULES[rule].plan(), np.zeros(move_at.NUM_STATE)
    memory = engine.hosts.world_vm[0, host_at.KERNEL, 0] + vm[host_at.HOT] + vm[host_at.COLD]
    start_move(plan, dirty, memory, state)
    while state[move_at.PHASE] != move_at.DONE:
        assert wanted_rate(plan, state) > 0
        advance_move(plan, dirty, 1.0, GIGABIT, 1.0, state)
    tell(engine, (0, 0, MIGRATE, 1), ticks=0)
    ticks, sums, _, _ = until_done(engine, tell, check_books)
    assert sums[at.FINISHED] == 1
    assert sums[at.MOVE_BYTES] == pytest.approx(state[move_at.SENT], rel=1e-9)
    assert sums[at.DOWN_S] == pytest.approx(state[move_at.DOWNTIME], rel=1e-9, abs=1e-9)
    assert ticks == np.ceil(state[move_at.TOTAL_S])


def test_a_vm_arrives_as_it_left(two_hosts, tell, check_books):
    engine = two_hosts()
    tell(engine, ticks=10)
    before = engine.telemetry()
    left = {
        "vm": engine.hosts.vm[0, :, 0].copy(),
        "world_vm": engine.hosts.world_vm[0, :, 0].copy(),
        "demand": engine.hosts.demand[0, :, :, 0].copy(),
    }
    tell(engine, (0, 0, MIGRATE, 1), ticks=0)
    until_done(engine, tell, check_books)
    after = engine.telemetry()
    assert before.vm_id[0, 0, 0] == after.vm_id[0, 1, 1]
    assert after.hosts.present.tolist() == [[False] * 4, [True, True, False, False]]
    np.testing.assert_array_equal(engine.hosts.world_vm[1, :, 1], left["world_vm"])
    np.testing.assert_array_equal(engine.hosts.demand[1, :, :, 1], left["demand"])
    for row in (host_at.ACTUAL, host_at.HOT, host_at.COLD, host_at.FOOTPRINT, host_at.LEVEL):
        assert engine.hosts.vm[1, row, 1] == left["vm"][row]
    assert after.hosts.actual_bytes[1, 1] == before.hosts.actual_bytes[0, 0]
    assert np.isfinite(after.hosts.psi_some_frac[1, 1])
    assert after.room_bytes[0, 0] == 8 * GIB
    assert engine.hosts.vm[0, :, 0].sum() == 4.0  # four speeds, each 1


def test_lost_progress_is_charged_to_the_fraction_of_a_tick(two_hosts, tell, check_books):
    engine = two_hosts(hosts=None)
    tell(engine, ticks=10)
    alone = engine.hosts.outcome[:2, host_at.LOST, 0].sum() / 10
    tell(engine, (0, 0, MIGRATE, 1), ticks=0)
    ticks, sums, lost, _ = until_done(engine, tell, check_books)
    monitor = engine.hosts.vm[1, host_at.MONITOR_COST, 1]
    assert sums[at.HELD_S] > sums[at.DOWN_S] > 0
    expected = ticks * alone + sums[at.HELD_S] * (1 - monitor)
    assert lost == pytest.approx(expected, rel=1e-9)
    slowed = sums[at.MOVE_BYTES] / GIGABIT * 0.1  # 10 % at the full rate of the link
    assert sums[at.HELD_S] - sums[at.DOWN_S] == pytest.approx(slowed, rel=0.05)


def test_a_throttled_vm_loses_what_it_is_throttled_by(two_hosts, tell, check_books):
    """It writes faster than the link carries; slowed down far enough, its move ends."""
    writes = {"dirty_set_frac": np.full((2, 4, 3), (0.5, 0, 0)), "dirty_tau_s": np.ones((2, 4, 3))}
    patient = two_hosts("qemu", **writes)
    tell(patient, (0, 0, MIGRATE, 1), ticks=300)
    assert patient.telemetry().move_phase[0, 0, 0] == COPYING, "not without a throttle"
    engine = two_hosts("qemu_auto_converge", **writes)
    tell(engine, (0, 0, MIGRATE, 1), ticks=60)
    throttle = engine.slot[0, 0, move_at.THROTTLE]
    assert throttle >= 0.5
    tell(engine)
    slowed = (1 - throttle) * (1 - 0.1 * engine.measured()["move_bytes"][0] / GIGABIT)
    assert engine.hosts.vm[0, host_at.HELD_BACK, 0] == pytest.approx(1 - slowed, abs=0.1)
    assert engine.hosts.outcome[0, host_at.LOST, 0] == pytest.approx(1 - slowed, abs=0.1)
    _, sums, _, _ = until_done(engine, tell, check_books)
    assert sums[at.FINISHED] == 1
    tell(engine, ticks=5)
    assert engine.hosts.outcome[1, host_at.LOST, 1] < 0.2


def test_moves_share_a_link(plain_host, two_hosts, tell, check_books):
    hosts = (plain_host(2), plain_host(), plain_host())
    few = {"dirty_set_frac": np.full((3, 4, 3), 0.01), "dirty_tau_s": np.full((3, 4, 3), 1.0)}
    alone = two_hosts(hosts=hosts, **few)
    tell(alone, (0, 0, MIGRATE, 1), ticks=0)
    one, _, _, busiest = until_done(alone, tell, check_books)
    assert busiest == pytest.approx(1.0)
    both = two_hosts(hosts=hosts, **few)
    tell(both, (0, 0, MIGRATE, 1), (0, 1, MIGRATE, 2), ticks=0)
    two, sums, _, busiest = until_done(both, tell, check_books)
    assert busiest <= 1.0 + 1e-9
    assert sums[at.FINISHED] == 2
    assert two >= 1.9 * one


def test_a_move_between_sites_goes_over_the_wan(two_hosts, tell, check_books):
    near, apart = two_hosts("stop_and_copy"), {"site": np.array([0, 1]), "wan_bytes_s": 25e6}
    tell(near, (0, 0, MIGRATE, 1), ticks=0)
    usual, _, _, _ = until_done(near, tell, check_books)
    far = two_hosts("stop_and_copy", **apart)
    tell(far, (0, 0, MIGRATE, 1), ticks=0)
    ticks, sums, lost, _ = until_done(far, tell, check_books)
    assert ticks == pytest.approx(5 * usual, abs=5)
    assert lost > sums[at.DOWN_S] > ticks - 2, "it is paused all the time"


def test_neighbours_lose_the_cores_of_the_daemon(two_hosts, tell):
    engine = two_hosts()
    tell(engine, (0, 0, MIGRATE, 1), ticks=2)
    cores = engine.hosts.world_host[:, host_at.CPU_CAPACITY]
    np.testing.assert_allclose(cores, 16.0 - 0.3)
    tell(engine, (0, 0, CANCEL), ticks=1)
    assert (engine.hosts.world_host[:, host_at.CPU_CAPACITY] == 16.0).all()


def test_a_full_target_refuses(plain_host, two_hosts, tell, check_books):
    big = plain_host(3, initial_bytes=2.5 * GIB)  # half a GiB is left
    engine = two_hosts(hosts=(plain_host(1), big))
    tell(engine, (0, 0, MIGRATE, 1))
    assert engine.measured()["orders_refused"] == [1]
    assert (engine.slot[:, :, move_at.PHASE] == IDLE).all()
    no_slot = plain_host(4, initial_bytes=0.5 * GIB)
    engine = two_hosts(hosts=(plain_host(1), no_slot))
    tell(engine, (0, 0, MIGRATE, 1))
    assert engine.measured()["orders_refused"] == [1]
    check_books(engine)


def test_memory_is_reserved_from_the_order_on(plain_host, two_hosts, tell, check_books):
    hosts = (plain_host(2), plain_host(2, initial_bytes=2 * GIB))  # 4 GiB are free there
    engine = two_hosts(hosts=hosts)
    tell(engine, (0, 0, MIGRATE, 1), (0, 1, MIGRATE, 1))
    assert engine.telemetry().reserved_bytes.tolist() == [[0, 4 * GIB]]
    grow = Command(np.full((2, 4), 4 * GIB))
    for _ in range(5):  # neither may the neighbours take it, nor the mover outgrow it
        tell(engine, local=grow)
        check_books(engine)
    assert engine.hosts.vm[1, host_at.ACTUAL, :2].tolist() == [2 * GIB, 2 * GIB]
    assert engine.hosts.vm[0, host_at.ACTUAL, 0] == 2 * GIB
    assert engine.measured()["set_aside_byte_s"] == 4 * GIB


def test_a_move_can_be_cancelled(two_hosts, tell, check_books):
    engine = two_hosts()
    tell(engine, (0, 0, MIGRATE, 1), ticks=5)
    assert engine.telemetry().move_phase[0, 0, 0] == COPYING
    assert engine.telemetry().move_target[0, 0, 0] == 1
    assert engine.telemetry().arriving[0, 1, 1]
    tell(engine, (0, 0, CANCEL))
    check_books(engine)
    assert engine.measured()["moves_cancelled"] == [1]
    telemetry = engine.telemetry()
    assert telemetry.reserved_bytes.sum() == 0
    assert not telemetry.arriving.any()
    assert telemetry.present[0, 0, 0]
    tell(engine)
    assert engine.hosts.vm[0, host_at.HELD_BACK, 0] == 0.0


def test_post_copy_runs_at_the_target_at_once(two_hosts, tell, check_books):
    engine = two_hosts("postcopy")
    tell(engine, ticks=5)
    resident = engine.hosts.vm[0, (host_at.HOT, host_at.COLD), 0].sum()
    kernel = engine.hosts.world_vm[0, host_at.KERNEL, 0]
    tell(engine, (0, 0, MIGRATE, 1))
    telemetry = engine.telemetry()
    assert telemetry.present[0, 1, 1]
    assert telemetry.move_phase[0, 1, 1] == PUSHING
    assert telemetry.move_target[0, 1, 1] == 0
    assert 0 < engine.guest[1, at.BEHIND, 1] < resident
    assert engine.measured()["move_downtime_s"][0] == pytest.approx(RULES["postcopy"].resume_s)
    sent = engine.measured()["move_bytes"][0]
    faulted = engine.measured()["far_bytes"][0]
    ticks, sums, _, _ = until_done(engine, tell, check_books)
    crossed = sent + sums[at.MOVE_BYTES]
    fetched = (faulted + sums[at.FAR_BYTES]) / 2  # read-ahead: half of what comes is of use
    assert crossed + fetched == pytest.approx(resident + kernel, rel=0.02)
    assert engine.hosts.vm[1, (host_at.HOT, host_at.COLD), 1].sum() == pytest.approx(resident)
    assert engine.telemetry().reserved_bytes.sum() == 0
    assert ticks < 25


def test_a_passthrough_device_is_taken_away_first(
    plain_host, plain_resources, two_hosts, tell, check_books
):
    resources = plain_resources(4, io_bytes_s=1e6, llc_bytes=0.0)
    hosts = (plain_host(resources=resources), plain_host(resources=resources))
    engine = two_hosts(hosts=hosts)
    told = Command.no_change(2, 4)
    through = replace(told, device_mode=np.array([[1.0] * 4, [np.nan] * 4]))
    tell(engine, local=through)
    assert engine.telemetry().pinned[0, 0, 0]
    tell(engine, (0, 0, MIGRATE, 1), local=through)  # and it is not given back meanwhile
    assert engine.telemetry().move_phase[0, 0, 0] == SETUP
    assert not engine.telemetry().pinned[0, 0, 0]
    assert engine.measured()["move_bytes"] == [0]
    tell(engine, ticks=3, local=through)
    assert engine.telemetry().move_phase[0, 0, 0] == COPYING
    assert engine.measured()["move_bytes"][0] > 0
    check_books(engine)


def test_a_cut_link_delays_a_move(two_hosts, tell, check_books):
    plain = two_hosts()
    tell(plain, (0, 0, MIGRATE, 1), ticks=0)
    usual, _, _, _ = until_done(plain, tell, check_books)
    engine = two_hosts(link_cut=np.array([[np.inf, np.inf], [4.5, 14.5]]))
    tell(engine, (0, 0, MIGRATE, 1), ticks=0)
    ticks, sums, _, _ = until_done(engine, tell, check_books)
    assert sums[at.FINISHED] == 1
    assert usual + 9 <= ticks <= usual + 12


def test_a_cut_link_ends_a_move_that_waits_no_longer(two_hosts, tell, check_books):
    patience = replace(RULES["qemu"], cancel_after_s=3.0)
    engine = two_hosts(patience, link_cut=np.array([[4.0, np.inf], [np.inf, np.inf]]))
    tell(engine, (0, 0, MIGRATE, 1), ticks=0)
    ticks, sums, _, _ = until_done(engine, tell, check_books)
    assert (ticks, sums[at.FAILED], sums[at.FINISHED]) == (7, 1, 0)
    assert engine.telemetry().present[0, 0, 0]
    assert engine.telemetry().reserved_bytes.sum() == 0


def test_post_copy_waits_for_a_cut_link(two_hosts, tell, check_books):
    engine = two_hosts("postcopy", link_cut=np.array([[2.0, 12.0], [np.inf, np.inf]]))
    tell(engine, (0, 0, MIGRATE, 1), ticks=2)
    assert engine.telemetry().move_phase[0, 1, 1] == PUSHING
    behind = engine.guest[1, at.BEHIND, 1]
    tell(engine, ticks=10)
    assert engine.guest[1, at.BEHIND, 1] == pytest.approx(behind, rel=1e-3)
    lost = engine.hosts.outcome[1, host_at.LOST, 1]
    assert lost > 9.9, "it needs the pages that it cannot get"
    _, sums, _, _ = until_done(engine, tell, check_books)
    assert sums[at.FINISHED] == 1


@pytest.mark.parametrize(("rule", "after"), [("qemu", 4.0), ("postcopy", 4.0)])
def test_a_vm_that_ends_in_the_midst_of_a_move_leaves_nothing(
    two_hosts, tell, check_books, rule, after
):
    stops = np.full((2, 4), np.inf)
    stops[0, 0] = after
    engine = two_hosts(rule, vm_stops_s=stops)
    tell(engine, (0, 0, MIGRATE, 1), ticks=4)
    assert engine.telemetry().reserved_bytes.sum() > 0
    tell(engine, ticks=2)
    check_books(engine)
    told = engine.measured()
    assert (told["moves_cancelled"][0], told["vms_stopped"][0]) == (1, 1)
    telemetry = engine.telemetry()
    assert telemetry.reserved_bytes.sum() == 0
    assert telemetry.present.sum() == 1
    assert telemetry.room_bytes[0, 0] == 8 * GIB


def test_borrowed_pages_move_along_and_come_home(starved, plain_host, plain_cluster, tell,
                                                 cluster_engine, check_books):  # fmt: skip
    from gymbal_runtime.cluster.orders import BORROW

    cluster = plain_cluster(starved(), plain_host(), plain_host(), rule="qemu")
    engine = cluster_engine([cluster])
    tell(engine, (0, 0, BORROW), ticks=200)
    check_books(engine)
    lent = engine.telemetry().lent_bytes[0]
    donor = int(lent.argmax())
    assert lent[donor] > 64 * MIB
    held = engine.hosts.vm[0, host_at.ACTUAL, 0]
    tell(engine, (0, 0, MIGRATE, donor), ticks=0)
    until_done(engine, tell, check_books)
    assert engine.telemetry().present[0, donor, 1]
    assert engine.slot[donor, 1, at.FAR_AT + donor] == 0.0
    assert engine.hosts.vm[donor, host_at.ACTUAL, 1] > held  # what it had there is its own now
