"""First hosts, worked through by hand: 1000 MIPS and 4 GiB a host, 100 to 200 W."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, WAKING

GIB = 2**30
STEEP = np.linspace(100.0, 400.0, 11)


def target_of(record, vm, **options):
    return make_centre_heuristic("thr_mmt", **options).act(record).target[0, vm]


def test_pabfd_takes_the_least_rise_of_power(centre):
    # 100 MIPS more are 30 W on host 0 and 10 W on hosts 1 and 2; of equals the first.
    flat = np.linspace(100.0, 200.0, 11)
    record = centre([[0.3], [0.3], [0.3]], waiting=[0.1], power_w=np.array([STEEP, flat, flat]))
    assert target_of(record, 3, arrival_frac=0.1) == 1


def test_first_fit_takes_the_first_and_best_fit_the_fullest(centre):
    record = centre([[0.3], [0.6], [0.5]], waiting=[0.1])
    assert target_of(record, 3, arrival_frac=0.1, placement="first_fit") == 0
    assert target_of(record, 3, arrival_frac=0.1, placement="best_fit") == 1


def test_a_host_is_filled_up_to_the_ceiling(centre):
    record = centre([[0.3], [0.6], [0.5]], waiting=[0.25])
    assert target_of(record, 3, arrival_frac=0.25, placement="best_fit") == 2
    record = centre([[0.3], [0.6], [0.5]], waiting=[0.25])
    assert target_of(record, 3, arrival_frac=0.25, placement="best_fit", ceiling=0.9) == 1


def test_room_for_all_that_it_may_ask_for_comes_before_room_for_what_it_wants(centre):
    # Half of its 1000 MIPS fits on host 1 alone; the fullest with room for 100 is host 0.
    record = centre([[0.6], [0.2]], waiting=[0.1])
    options = {"placement": "best_fit"}
    assert target_of(record, 2, arrival_frac=0.5, **options) == 1
    assert target_of(record, 2, arrival_frac=0.0, **options) == 0
    # All of them fit on neither: what it wants counts.
    assert target_of(record, 2, arrival_frac=1.0, **options) == 0


def test_the_largest_is_placed_first(centre):
    # 0.5 fits beside 0.3 alone, and then 0.2 no longer does.
    record = centre([[0.3], [0.6]], waiting=[0.2, 0.5])
    orders = make_centre_heuristic("always_on", arrival_frac=0.0, placement="first_fit").act(record)
    assert orders.target[0, 2:].tolist() == [1, 0]


def test_memory_that_is_held_counts(centre):
    # Host 0 has 1 GiB left, and the copy of VM 2 is on its way there. It leaves host 1 empty.
    record = centre(
        [[0.1, 0.1], [0.1], [0.1]], waiting=[0.1], moving_to=[-1, -1, 0, -1, -1],
        vm_memory_bytes=[GIB, 2 * GIB, GIB, GIB, GIB],
    )  # fmt: skip
    assert target_of(record, 4, arrival_frac=0.1, placement="first_fit") == 2


def test_hosts_in_use_come_before_empty_ones_and_these_before_sleeping_ones(centre):
    in_use = centre([[0.1], [], []], waiting=[0.3], state=[0, 0, ASLEEP])
    assert target_of(in_use, 1, arrival_frac=0.3) == 0
    full = centre([[0.7], [], []], waiting=[0.3], state=[0, 0, ASLEEP])
    orders = make_centre_heuristic("thr_mmt").act(full)
    assert orders.target[0, 1] == 1
    assert orders.power[0].tolist() == [0, 0, 0]


def test_a_host_that_was_to_sleep_stays_for_it(centre):
    record = centre([[0.7], [], []], waiting=[0.3], state=[0, 0, ASLEEP], draining=[0, 1, 0])
    assert target_of(record, 1) == 1


def test_who_waits_for_a_host_that_wakes_has_no_other_one_woken(centre):
    record = centre([[0.7], [], []], waiting=[0.3], state=[0, WAKING, ASLEEP])
    orders = make_centre_heuristic("thr_mmt").act(record)
    assert orders.target[0, 1] == NOWHERE
    assert orders.power[0].tolist() == [0, 0, 0]


def test_the_sleeping_host_is_woken_that_would_draw_least(centre):
    # Awake with 300 MIPS: host 1 190 W instead of 10, host 2 130 W.
    record = centre(
        [[0.7], [], []], waiting=[0.3], state=[0, ASLEEP, ASLEEP],
        power_w=np.array([STEEP, STEEP, np.linspace(100.0, 200.0, 11)]),
    )  # fmt: skip
    assert make_centre_heuristic("thr_mmt").act(record).power[0].tolist() == [0, 0, WAKE]


def test_where_nobody_is_left_to_wake_it_starts_where_most_is_free(centre):
    assert target_of(centre([[0.8], [0.7]], waiting=[0.5]), 2) == 1


def test_a_vm_of_several_cores_needs_them(centre):
    # 800 MIPS of two vCPUs need cores of 400.
    slow = {"core_mips": [300.0, 500.0], "vcpus": [1, 1, 2]}
    assert target_of(centre([[0.1], [0.1]], waiting=[0.8], **slow), 2, arrival_frac=0.0) in (0, 1)
    assert (
        target_of(
            centre([[0.1], [0.1]], waiting=[0.6], **slow),
            2, arrival_frac=0.0, placement="first_fit",
        )
        == 0
    )  # fmt: skip
    slow["vcpus"] = [1, 1, 1]
    assert (
        target_of(
            centre([[0.1], [0.1]], waiting=[0.4], **slow),
            2, arrival_frac=0.0, placement="first_fit",
        )
        == 1
    )  # fmt: skip


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_the_margin_stays_free(centre, margin):
    # Host 0 has 1 of 4 GiB left, exactly what the VM needs.
    record = centre([[0.1, 0.1, 0.1], [0.5]], waiting=[0.1])
    vm = target_of(record, 4, margin_frac=margin, arrival_frac=0.1, placement="first_fit")
    assert vm == (1 if margin else 0)


def test_spare_hosts_stay_on_or_are_woken(centre):
    # The cheaper of the empty hosts stays; what is missing is woken.
    curves = np.array([STEEP, STEEP, STEEP / 2, STEEP])
    record = centre([[0.5], [], [], []], state=[0, 0, 0, ASLEEP], power_w=curves)
    for spare, power in ((0, [0, SLEEP, SLEEP, 0]), (1, [0, SLEEP, 0, 0]), (3, [0, 0, 0, WAKE])):
        orders = make_centre_heuristic("thr_mmt", spare_hosts=spare).act(record)
        assert orders.power[0].tolist() == power


def test_a_spare_host_that_was_to_sleep_is_told_not_to(centre):
    record = centre([[0.5], [], []], state=[0, 0, ASLEEP], draining=[0, 1, 0])
    orders = make_centre_heuristic("thr_mmt", spare_hosts=1.0).act(record)
    assert orders.power[0].tolist() == [0, WAKE, 0]


def test_a_host_is_on_for_a_while_before_it_sleeps(centre):
    record = centre([[0.5], [], []], state_s=[1e6, 1000.0, 500.0])
    orders = make_centre_heuristic("thr_mmt", awake_s=900.0).act(record)
    assert orders.power[0].tolist() == [0, SLEEP, 0]
