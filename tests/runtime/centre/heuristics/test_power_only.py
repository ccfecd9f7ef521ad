"""Rules that move nothing, worked through by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.heuristics.idle import break_even_s
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, SUSPENDING, WAKING


def test_always_on__wakes_everybody_and_moves_nobody(centre):
    record = centre(
        [[0.9, 0.9], [0.1], [], [], []], state=[0, 0, ASLEEP, WAKING, SUSPENDING],
        draining=[0, 1, 0, 0, 0],
    )  # fmt: skip
    orders = make_centre_heuristic("always_on").act(record)
    assert (orders.target == NOWHERE).all()
    assert orders.power[0].tolist() == [0, WAKE, WAKE, 0, WAKE]


def test_delayed_off__waits_as_long_as_waking_costs(centre):
    # 200 s at 200 W are 400 s of idling at 100 W: idle at 300 s, so 600 s are too early, 900 not.
    record = centre([[0.5], []])
    np.testing.assert_allclose(break_even_s(record), 400.0)
    rule = make_centre_heuristic("delayed_off")
    told = []
    for time_s in (300.0, 600.0, 900.0):
        orders = rule.act(replace(record, time_s=np.array([time_s])))
        told.append(orders.power[0].tolist())
    assert told == [[0, 0], [0, 0], [0, SLEEP]]
    assert (orders.target == NOWHERE).all()


def test_delayed_off__begins_anew_when_somebody_came(centre):
    rule = make_centre_heuristic("delayed_off")
    busy, idle = centre([[0.5], [0.1]]), centre([[0.5, 0.1], []])
    for time_s, record in ((0.0, idle), (300.0, busy), (600.0, idle), (900.0, idle)):
        orders = rule.act(replace(record, time_s=np.array([time_s])))
        assert orders.power[0].tolist() == [0, 0]


def test_delayed_off__wakes_one_when_the_rest_is_full(centre):
    for wanted, power in ((0.7, 0), (0.9, WAKE)):
        record = centre([[wanted], []], state=[0, ASLEEP])
        assert make_centre_heuristic("delayed_off").act(record).power[0].tolist() == [0, power]
    coming = centre([[0.9], [], []], state=[0, WAKING, ASLEEP])
    assert make_centre_heuristic("delayed_off").act(coming).power[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("in_use", "empty", "asleep", "sleeps", "wakes"),
    [(2, 3, 1, 2, 0), (2, 1, 1, 0, 0), (2, 0, 3, 0, 1), (25, 0, 3, 0, 2), (2, 0, 0, 0, 0)],
)
def test_saving_energy__keeps_one_or_a_tenth(centre, in_use, empty, asleep, sleeps, wakes):
    state = [0] * (in_use + empty) + [ASLEEP] * asleep
    record = centre([[0.1]] * in_use + [[]] * (empty + asleep), state=state)
    orders = make_centre_heuristic("saving_energy").act(record)
    assert (orders.target == NOWHERE).all()
    assert (orders.power == SLEEP).sum() == sleeps
    assert (orders.power == WAKE).sum() == wakes
