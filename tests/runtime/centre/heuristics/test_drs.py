"""DRS and DPM, worked through by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.heuristics.drs_balance import priority
from gymbal_runtime.centre.heuristics.entitlement import entitlements
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, WAKING

GIB = 2**30
BALANCE_ONLY = {"width": 1.0, "cost_weight": 0.0}


def act(record, **options):
    orders = make_centre_heuristic("drs", **options).act(record)
    return orders.target[0].tolist(), orders.power[0].tolist()


@pytest.mark.parametrize(
    ("imbalance", "hosts", "stars"),
    [(0.0, 4, 6), (0.02, 4, 5), (0.06, 4, 4), (0.11, 4, 3), (2.0, 4, 1)],
)
def test_priorities(imbalance, hosts, stars):
    assert priority(imbalance, hosts) == stars


def test_the_move_is_made_that_evens_out_most(centre):
    # 0.6 and 0.2 of 0.94: moving 0.2 evens out, 0.1 or 0.3 less.
    record = centre([[0.1, 0.2, 0.3], [0.2]])
    assert act(record, **BALANCE_ONLY)[0] == [NOWHERE, 1, NOWHERE, NOWHERE]


def test_a_higher_level_balances_further(centre):
    # Deviation 0.1 / 0.94 = 0.106; x sqrt(2) / 0.1 = 1.5: priority 4.
    record = centre([[0.1, 0.3], [0.2]])
    assert act(record, level=3.0, **BALANCE_ONLY)[0] == [NOWHERE] * 3
    assert act(record, level=4.0, **BALANCE_ONLY)[0] == [1, NOWHERE, NOWHERE]


def test_a_move_has_to_pay(centre):
    # Nobody lacks anything, now or when all want their most: moving brings nothing.
    calm = centre([[0.3, 0.3], [0.1]])
    assert act(calm, width=1.0)[0] == [NOWHERE] * 3
    # 300 MIPS are not served for the stable time: worth more than slowing a VM for 8.6 s.
    short = centre([[0.6, 0.5, 0.2], [0.1]])
    assert act(short, width=1.0)[0] != [NOWHERE] * 4
    # All want all they can now and then: the risk alone is worth a move.
    risky = centre([[0.3, 0.3], [0.1]], past=[[1.0], [1.0], [0.1]])
    assert act(risky, width=1.0)[0] in ([1, NOWHERE, NOWHERE], [NOWHERE, 1, NOWHERE])


def test_moves_keep_to_memory(centre):
    record = centre([[0.1, 0.2, 0.3], [0.2]], vm_memory_bytes=[GIB, GIB, GIB, 3.5 * GIB])
    assert act(record, **BALANCE_ONLY)[0] == [NOWHERE] * 4


def test_hosts_below_the_band_are_emptied(centre):
    # 0.2, 0.3 and 0.5: host 0 goes to host 1 or 2 whichever is fuller below 0.63, that is nobody:
    # 0.7 is within the band of 0.81, and 0.5 is below the target. Then all are above 0.45.
    target, power = act(centre([[0.2], [0.3], [0.5]]), cost_weight=1.0)
    assert target == [1, NOWHERE, NOWHERE]
    assert power == [SLEEP, 0, 0]


def test_use_counts_as_its_mean_and_two_deviations(centre):
    # 0.2 now, but 0.2 or 0.6 in the last 8 records: 0.4 + 2 x 0.2.
    record = centre([[0.2], [0.5]], past=[[0.6, 0.2] * 5, [0.5] * 10])
    assert act(record, cost_weight=1.0)[0] == [NOWHERE, NOWHERE]
    assert act(record, cost_weight=1.0, off_s=300.0)[0] == [1, NOWHERE]


def test_a_host_that_just_woke_is_not_emptied(centre):
    record = centre([[0.2], [0.3], [0.5]], state_s=[600.0, 1e6, 1e6])
    assert act(record)[0] == [NOWHERE, 0, NOWHERE] or act(record)[0] == [NOWHERE, 2, NOWHERE]
    assert act(record)[1][0] == 0


def test_a_hot_host_has_others_woken_until_the_mean_is_at_the_target(centre):
    # 2 x 0.9 of 0.63 are 2.86 hosts: one more. With two on the way nobody is woken.
    wants = [[0.9], [0.9], [], [], []]
    assert act(centre(wants, state=[0, 0, ASLEEP, ASLEEP, ASLEEP]))[1] == [0, 0, WAKE, 0, 0]
    assert act(centre(wants, state=[0, 0, WAKING, ASLEEP, ASLEEP]))[1] == [0] * 5
    # 4 x 0.9 are 5.7 hosts: two more.
    wants = [[0.9]] * 4 + [[]] * 3
    power = act(centre(wants, state=[0] * 4 + [ASLEEP] * 3))[1]
    assert power == [0, 0, 0, 0, WAKE, WAKE, 0]


def test_nobody_is_emptied_while_a_host_is_hot(centre):
    target, power = act(centre([[0.9], [0.1], [0.2]]), level=1.0)
    assert target == [NOWHERE] * 3
    assert power == [0, 0, 0]


def test_entitlements_are_weighted_max_min():
    wanted, weight = np.array([1.0, 4.0, 4.0]), np.array([1.0, 1.0, 2.0])
    np.testing.assert_allclose(entitlements(wanted, weight, 20.0), wanted)
    # 1 is served; 6 are divided 1 : 2.
    np.testing.assert_allclose(entitlements(wanted, weight, 7.0), [1.0, 2.0, 4.0])
    np.testing.assert_allclose(entitlements(wanted, weight, 4.0), [1.0, 1.0, 2.0])
    np.testing.assert_allclose(entitlements(wanted, weight, 2.0), [0.5, 0.5, 1.0])
