"""Each rule on clusters written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
    WAIT,
)

GIB = 2.0**30


@pytest.fixture
def overloaded(two_hosts, with_vm):
    """Host 0 lacks 2 GiB: VM (0, 0) stalls half of the time, its neighbour has nothing to give."""
    record = two_hosts(num_hosts=3, num_vms=4)
    record = with_vm(
        record, 0, 0, psi_some_frac=0.5, swap_in_rate=5e7, swap_used_bytes=2 * GIB,
        usable_bytes=0.0,
    )  # fmt: skip
    record = with_vm(record, 0, 1, usable_bytes=0.0)
    hosts = record.hosts
    hosts.budget_bytes[0] = 6.0 * GIB
    record.room_bytes[0, 0] = record.lendable_bytes[0, 0] = 0.0
    return record


def _watch(rule, record, at_time, until, step=10.0, start=0.0):
    """Orders of the last of several records."""
    for time_s in np.arange(start, until + step / 2, step):
        orders = rule.act(at_time(record, float(time_s)))
    return orders


def _first_move(rule, record, at_time, until=400.0):
    for time_s in np.arange(0.0, until, 10.0):
        orders = rule.act(at_time(record, float(time_s)))
        if (orders.verb == MIGRATE).any():
            return float(time_s)
    return np.inf


def test_never__borrows_and_stays(overloaded, at_time):
    rule = make_cluster_heuristic("never_migrate")
    orders = rule.act(overloaded)
    assert orders.verb[0, 0, 0] == BORROW
    assert (orders.verb != WAIT).sum() == 1
    assert _first_move(make_cluster_heuristic("never_migrate"), overloaded, at_time) == np.inf


def test_always__moves_at_once_and_borrows_nothing(overloaded):
    orders = make_cluster_heuristic("always_migrate").act(overloaded)
    assert orders.verb[0, 0, 0] == MIGRATE
    assert orders.target[0, 0, 0] in (1, 2)
    assert (orders.verb != WAIT).sum() == 1


@pytest.mark.parametrize("theta_s", [30.0, 60.0, 120.0])
def test_delay__moves_after_theta(overloaded, at_time, theta_s):
    rule = make_cluster_heuristic("delay", theta_s=theta_s)
    assert _first_move(rule, overloaded, at_time) == theta_s


def test_delay__counts_from_the_onset_of_this_overload(overloaded, two_hosts, at_time):
    calm = two_hosts(num_hosts=3, num_vms=4)
    rule = make_cluster_heuristic("delay", theta_s=60.0)
    _watch(rule, overloaded, at_time, 40.0)
    _watch(rule, calm, at_time, 100.0, start=50.0)
    orders = _watch(rule, overloaded, at_time, 160.0, start=110.0)
    assert orders.verb[0, 0, 0] != MIGRATE
    assert _watch(rule, overloaded, at_time, 170.0, start=170.0).verb[0, 0, 0] == MIGRATE


def test_ski_rental__moves_when_waiting_has_cost_as_much_as_the_move(overloaded, at_time):
    rule = make_cluster_heuristic("ski_rental", copy_slowdown=0.0, s_per_gib=0.0, fixed_s=29.0)
    # It stalls half of the time and the pages of the others are no faster: c_r = 0.5, 60 s.
    assert _first_move(rule, overloaded, at_time) == 60.0


def test_ski_rental__waits_longer_where_far_memory_is_fast(overloaded, at_time):
    overloaded.far_latency_s[...] = 2e-5
    overloaded.hosts.swap_latency_s[...] = 2e-4
    rule = make_cluster_heuristic("ski_rental", copy_slowdown=0.0, s_per_gib=0.0, fixed_s=9.8)
    # odds 1 of stalling become 0.1: c_r = 0.1 / 1.1, theta = 110 s.
    assert _first_move(rule, overloaded, at_time) == 110.0


def test_a_vm_goes_where_it_fits_best(overloaded, with_vm):
    # Its peak is 5 GiB: host 1 has 7 GiB to give, host 2 has 8.
    orders = make_cluster_heuristic("always_migrate").act(overloaded)
    assert orders.target[0, 0, 0] == 1
    fuller = with_vm(overloaded, 1, 1, present=True, vm_id=99, actual_bytes=2 * GIB,
                     memory_max_bytes=4 * GIB, memory_min_bytes=0.5 * GIB, usable_bytes=0.0,
                     psi_some_frac=0.0, swap_in_rate=0.0, swap_used_bytes=0.0)  # fmt: skip
    fuller.hosts.budget_bytes[1] = 7.5 * GIB  # 4.5 GiB left: less than the VM's peak
    orders = make_cluster_heuristic("always_migrate").act(fuller)
    assert orders.target[0, 0, 0] == 2


def test_a_busy_link_is_avoided(overloaded):
    overloaded.hosts.budget_bytes[2] = 7.2 * GIB  # nearly as good a fit as host 1
    overloaded.received_bytes_s[0, 1] = 1.2e9
    orders = make_cluster_heuristic("always_migrate").act(overloaded)
    assert orders.target[0, 0, 0] == 2


def test_nobody_moves_to_a_host_that_is_overloaded_itself(overloaded, with_vm):
    suffering = with_vm(overloaded, 1, 0, psi_some_frac=0.5)
    orders = make_cluster_heuristic("always_migrate", moves_per_host=4).act(suffering)
    assert (orders.target[orders.verb == MIGRATE] == 2).all()
    starved = with_vm(overloaded, 1, 0, steal_frac=0.5)
    assert make_cluster_heuristic("always_migrate").act(starved).target[0, 0, 0] == 2


def test_moves_of_one_decision_do_not_count_on_the_same_memory(overloaded, with_vm):
    record = with_vm(overloaded, 0, 1, psi_some_frac=0.4, swap_in_rate=5e7, swap_used_bytes=2 * GIB)
    orders = make_cluster_heuristic("always_migrate", moves_per_host=2).act(record)
    np.testing.assert_array_equal(orders.verb[0, 0, :2], [MIGRATE, MIGRATE])
    assert set(orders.target[0, 0, :2]) == {1, 2}
    one = make_cluster_heuristic("always_migrate").act(record)
    np.testing.assert_array_equal(one.verb[0, 0, :2], [MIGRATE, WAIT])  # the worse one first


def test_a_vm_that_has_just_moved_stays_for_a_while(overloaded, with_vm, at_time):
    rule = make_cluster_heuristic("always_migrate", dwell_s=100.0)
    rule.act(overloaded)
    moved = with_vm(overloaded, 0, 0, present=False, vm_id=-1)
    moved = with_vm(moved, 1, 3, present=True, vm_id=0, size_bytes=3 * GIB, psi_some_frac=0.5,
                    actual_bytes=3 * GIB, memory_max_bytes=6 * GIB, memory_min_bytes=GIB,
                    usable_bytes=0.0, swap_in_rate=5e7, swap_used_bytes=0.0)  # fmt: skip
    assert rule.act(at_time(moved, 50.0)).verb[0, 1, 3] == WAIT
    assert rule.act(at_time(moved, 140.0)).verb[0, 1, 3] == WAIT
    assert rule.act(at_time(moved, 150.0)).verb[0, 1, 3] == MIGRATE


def test_recall__once_the_overload_is_over_and_there_is_room(two_hosts, with_vm, at_time):
    far = with_vm(two_hosts(), 0, 0, far_bytes=GIB, borrowing=True)
    suffering = with_vm(far, 0, 0, psi_some_frac=0.5)
    rule = make_cluster_heuristic("never_migrate")
    assert _watch(rule, suffering, at_time, 20.0).verb[0, 0, 0] == WAIT
    assert _watch(rule, far, at_time, 40.0, start=30.0).verb[0, 0, 0] == WAIT
    assert _watch(rule, far, at_time, 50.0, start=50.0).verb[0, 0, 0] == RECALL
    full = with_vm(far, 0, 1, usable_bytes=0.0)
    full.hosts.budget_bytes[0] = 5.5 * GIB
    rule = make_cluster_heuristic("never_migrate")
    assert _watch(rule, full, at_time, 100.0).verb[0, 0, 0] == WAIT


def test_merge__once_both_twins_are_calm(two_hosts, with_vm, at_time):
    twins = with_vm(with_vm(two_hosts(), 0, 0, twin=1), 1, 0, twin=0)
    hot = with_vm(twins, 1, 0, psi_some_frac=0.5)
    rule = make_cluster_heuristic("never_migrate")
    assert (_watch(rule, hot, at_time, 100.0).verb != MERGE).all()
    orders = _watch(rule, twins, at_time, 300.0, start=110.0)
    assert (orders.verb == MERGE).sum() == 1


def test_cancel__a_copy_that_does_not_end(two_hosts, with_vm):
    record = with_vm(two_hosts(), 0, 0, move_phase=2, move_target=1, move_s=1000.0)
    assert make_cluster_heuristic("delay").act(record).verb[0, 0, 0] == CANCEL
    assert make_cluster_heuristic("delay", cancel_after_s=2000.0).act(record).verb.max() == WAIT


def test_overdriver__moves_a_vm_earlier_whose_overloads_have_all_been_long(
    overloaded, two_hosts, at_time
):
    calm = two_hosts(num_hosts=3, num_vms=4)
    options = {"copy_slowdown": 0.0, "s_per_gib": 0.0, "fixed_s": 40.0}
    unknown = _first_move(make_cluster_heuristic("overdriver", **options), overloaded, at_time)
    assert 100.0 < unknown < 400.0  # the prior alone: most end within two minutes
    rule = make_cluster_heuristic("overdriver", **options)
    for k in range(8):
        start = 600.0 * k
        _watch(rule, overloaded, at_time, start + 300.0, start=start)
        _watch(rule, calm, at_time, start + 590.0, start=start + 310.0)
    ages = np.arange(0.0, 400.0, 10.0)
    moves = [(rule.act(at_time(overloaded, 4800.0 + t)).verb == MIGRATE).any() for t in ages]
    assert ages[np.argmax(moves)] < 60.0


def test_overdriver__sets_memory_aside_and_more_of_it_with_overloads(overloaded, at_time):
    rule = make_cluster_heuristic("overdriver", least_pool_frac=0.02, most_pool_frac=0.5)
    first = rule.act(overloaded)
    assert not first.balance[0]
    later = _watch(rule, overloaded, at_time, 600.0, start=10.0)
    assert (later.pool_bytes >= 0.02 * overloaded.capacity_bytes).all()
    # The VM lacks 2 GiB all the time, and three hosts lend.
    np.testing.assert_allclose(later.pool_bytes[0], 2.0 * GIB / 3.0, rtol=0.05)
    assert make_cluster_heuristic("overdriver", balance=True).act(overloaded).balance[0]


def test_mom_migrate__moves_the_vm_with_most_swap_of_an_overloaded_host(
    overloaded, with_vm, at_time
):
    record = with_vm(overloaded, 0, 1, swap_used_bytes=2.5 * GIB)
    rule = make_cluster_heuristic("mom_migrate")
    assert (_watch(rule, record, at_time, 20.0).verb == WAIT).all()
    orders = _watch(rule, record, at_time, 30.0, start=30.0)
    np.testing.assert_array_equal(orders.verb[0, 0, :2], [WAIT, MIGRATE])
    assert (orders.verb[0, 1:] == WAIT).all()


def test_balance_first__squeezes_while_neighbours_have_memory_unused(two_hosts, with_vm):
    record = with_vm(two_hosts(), 0, 0, psi_some_frac=0.5, swap_used_bytes=0.2 * GIB)
    orders = make_cluster_heuristic("balance_first").act(record)
    assert orders.verb[0, 0, 0] == SQUEEZE
    assert orders.balance[0]
    assert np.isnan(orders.pool_bytes).all()


def test_balance_first__borrows_at_once_where_the_host_has_too_little(overloaded):
    assert make_cluster_heuristic("balance_first").act(overloaded).verb[0, 0, 0] == BORROW


def test_balance_first__borrows_later_where_balancing_could_have_helped(
    two_hosts, with_vm, at_time
):
    record = with_vm(two_hosts(), 0, 0, psi_some_frac=0.5, swap_used_bytes=0.2 * GIB)
    record.hosts.swap_latency_s[...] = 5e-3  # far pages are much faster
    rule = make_cluster_heuristic("balance_first", patience_s=20.0)
    assert _watch(rule, record, at_time, 10.0).verb[0, 0, 0] == SQUEEZE
    assert _watch(rule, record, at_time, 20.0, start=20.0).verb[0, 0, 0] == BORROW


def test_balance_first__moves_the_cheaper_neighbour_if_that_frees_enough(
    overloaded, with_vm, at_time
):
    # The suffering VM writes faster than the link; its neighbour writes nothing and needs 3 GiB.
    record = with_vm(overloaded, 0, 0, dirty_rate_bytes_s=5e9, dirty_set_bytes=3 * GIB)
    record = with_vm(record, 0, 1, dirty_rate_bytes_s=0.0)
    rule = make_cluster_heuristic("balance_first")
    for time_s in np.arange(0.0, 600.0, 10.0):
        orders = rule.act(at_time(record, float(time_s)))
        moves = orders.verb[0, 0] == MIGRATE
        if moves.any():
            break
    np.testing.assert_array_equal(moves[:2], [False, True])


def test_balance_first__clones_where_cpu_time_lacks_too(overloaded, with_vm, at_time):
    record = with_vm(overloaded, 0, 0, steal_frac=0.3)
    rule = make_cluster_heuristic("balance_first", clone=True)
    for time_s in np.arange(0.0, 600.0, 10.0):
        orders = rule.act(at_time(record, float(time_s)))
        if (orders.verb == CLONE).any():
            break
    assert orders.verb[0, 0, 0] == CLONE
    assert orders.target[0, 0, 0] > 0
