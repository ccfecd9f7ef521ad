"""CloudSim's rules where waking, moving and memory are not free, worked through by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, WAKING

GIB = 2**30


def act(record, name="thr_mmt", **options):
    orders = make_centre_heuristic(name, **options).act(record)
    return orders.target[0].tolist(), orders.power[0].tolist()


def test_least_memory_leaves_an_overloaded_host_until_it_is_not(centre):
    # 1.0 of host 0; without VM 1 it is 0.7, below 0.8. Host 1 cannot be emptied: 0.3 + 0.3 do not
    # fit back on host 0 at 0.8, and host 2 is as full as it may be.
    record = centre([[0.4, 0.3, 0.3], [0.3], [0.75]], vm_memory_bytes=[GIB, GIB / 2, GIB, GIB, GIB])
    assert act(record) == ([NOWHERE, 1, NOWHERE, NOWHERE, NOWHERE], [0, 0, 0])


def test_the_least_utilised_host_is_emptied_and_sleeps(centre):
    target, power = act(centre([[0.2], [0.5], [0.4]]))
    # 0.2 goes to host 1, first of equals; host 2 no longer fits there.
    assert target == [1, NOWHERE, NOWHERE]
    assert power == [SLEEP, 0, 0]


def test_a_host_with_a_vm_that_asks_for_nothing_is_emptied_too(centre):
    assert act(centre([[0.0], [0.5]])) == ([1, NOWHERE], [SLEEP, 0])


def test_memory_counts(centre):
    full = {"vm_memory_bytes": [2 * GIB, 3 * GIB]}
    assert act(centre([[0.2], [0.5]], **full)) == ([NOWHERE, NOWHERE], [0, 0])


def test_a_vm_that_moves_is_where_it_goes(centre):
    # VM 0 is on its way to host 1, which is overloaded with it; who moves is not told again.
    record = centre([[0.4], [0.5], [0.1]], moving_to=[1, -1, -1], vm_memory_bytes=[1, 2, 3])
    target, power = act(record)
    assert target == [NOWHERE, 2, NOWHERE]
    assert power == [SLEEP, 0, 0]  # it may sleep once the VM has gone


def test_hosts_that_are_to_sleep_take_nobody_while_others_do(centre):
    record = centre([[0.6, 0.3], [], [0.1]], draining=[0, 1, 0])
    target, _ = act(record)
    assert target[:2] in ([2, NOWHERE], [NOWHERE, 2])
    # If nobody else takes the victim, one of them stays.
    record = centre([[0.6, 0.3], [], [0.7]], draining=[0, 1, 0])
    target, power = act(record)
    assert target[:2] in ([1, NOWHERE], [NOWHERE, 1])
    assert power == [0, 0, 0]


def test_a_victim_without_a_host_has_one_woken_and_moves_when_it_is_on(centre):
    wants = [[0.6, 0.3], [0.7], []]
    target, power = act(centre(wants, state=[0, 0, ASLEEP]))
    assert (target, power) == ([NOWHERE] * 3, [0, 0, WAKE])
    target, power = act(centre(wants, state=[0, 0, WAKING]))
    assert (target, power) == ([NOWHERE] * 3, [0, 0, 0])
    target, power = act(centre(wants))
    assert (target, power) == ([2, NOWHERE, NOWHERE], [0, 0, 0])


def test_a_vm_that_would_move_twice_goes_there_at_once(centre):
    # Host 0 is overloaded and VM 0 goes to host 1, which then is emptied onto host 2: its power
    # rises less.
    flat, steep = np.full(11, 100.0), np.linspace(100.0, 200.0, 11)
    record = centre(
        [[0.1, 0.8], [0.05], [0.3]], power_w=np.array([steep, flat, np.linspace(100, 110, 11)]),
        vm_memory_bytes=[1, 2, 1, 1],
    )  # fmt: skip
    assert act(record) == ([2, NOWHERE, 2, NOWHERE], [0, SLEEP, 0])


def test_those_who_came_lately_stay_and_keep_their_host(centre):
    lately = {"hosted_s": [100.0, 1e6, 1e6]}
    assert act(centre([[0.2], [0.5], [0.4]], **lately), dwell_s=300.0)[0] == [NOWHERE, NOWHERE, 0]
    # As a victim the other one goes, although it has more memory.
    record = centre([[0.5, 0.4], [0.3]], vm_memory_bytes=[1, 2, 1], **lately)
    assert act(record, dwell_s=300.0)[0] == [NOWHERE, 1, NOWHERE]


@pytest.mark.parametrize(
    ("name", "past", "moves"),
    [
        # 0.75 wanted. IQR of 0.15 x 6, 0.75 x 6: 0.6, threshold 0.1. MAD: 0.3, threshold 0.25.
        ("iqr_mmt", [0.75, 0.15] * 5 + [0.15], True),
        ("mad_mmt", [0.75, 0.15] * 5 + [0.15], True),
        # Steady: thresholds of 1.
        ("iqr_mmt", [0.75] * 11, False),
        ("mad_mmt", [0.75] * 11, False),
        # With a safety of 1.3 a line at 0.76 next is low enough, one at 0.8 is not.
        ("lr_mmt", [0.75 - 0.01 * k for k in range(1, 12)], False),
        ("lr_mmt", [0.75 - 0.05 * k for k in range(1, 12)], True),
        # With a short history THR with 0.7.
        ("lr_mmt", [0.75] * 5, True),
        ("mad_mmt", [0.75] * 10, True),
        ("iqr_mmt", [0.75] * 10, True),
    ],
)
def test_detectors_see_the_past_of_the_vms_that_are_there(centre, name, past, moves):
    record = centre([[0.75], []], past=[past])
    target, _ = act(record, name, **({"parameter": 1.3} if name == "lr_mmt" else {}))
    assert target == ([1] if moves else [NOWHERE])


def test_the_selector_is_an_option(centre):
    record = centre([[0.5, 0.45], [0.1]], vm_memory_bytes=[1, 2, 1], vm_mips=[500, 2000, 1000])
    record.wanted_frac[0] = [0.5, 0.4, 0.1]
    assert act(record)[0][:2] == [1, NOWHERE]
    assert act(record, selector="mu")[0][:2] == [NOWHERE, NOWHERE]  # 800 MIPS fit nowhere
    chosen = {
        tuple(
            act(centre([[0.5, 0.45], [0.1]], vm_memory_bytes=[1, 2, 1]), selector="rs", seed=k)[0]
        )
        for k in range(20)
    }
    assert {(1, NOWHERE, NOWHERE), (NOWHERE, 1, NOWHERE)} <= chosen
