"""The corners of progressive filling; what it is for is tested with CPU time and devices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator.max_min import share_max_min


def share(wanted, weights, capacity):
    granted = np.full(len(wanted), np.nan)
    share_max_min(np.array(wanted, float), np.array(weights, float), float(capacity), granted)
    return granted.tolist()


def test_enough_for_all_is_given_to_all():
    assert share([1, 2, 0], [1, 9, 1], 3) == [1.0, 2.0, 0.0]


def test_the_remainder_of_the_modest_goes_to_the_others_by_weight():
    assert share([1, 9, 9], [2, 1, 2], 4) == [1.0, 1.0, 2.0]
    assert share([1, 2, 9, 9], [1, 1, 1, 1], 8) == [1.0, 2.0, 2.5, 2.5]


def test_nothing_is_divided_into_nothing():
    assert share([3, 4], [1, 2], 0) == [0.0, 0.0]


def test_an_empty_slot_has_no_weight_and_gets_nothing():
    assert share([4, 0, 4], [1, 0, 1], 4) == [2.0, 0.0, 2.0]


@settings(max_examples=300, deadline=None)
@given(
    wanted=st.lists(st.floats(0, 1e12), min_size=8, max_size=8),
    weights=st.lists(st.floats(-3, 6), min_size=8, max_size=8),
    part=st.floats(0, 1.5),
)
def test_weights_nine_decades_apart_leave_no_rounding_below_zero(wanted, weights, part):
    capacity = part * sum(wanted)
    granted = np.array(share(wanted, 10.0 ** np.array(weights), capacity))
    assert np.all(granted >= 0)
    assert np.all(granted <= np.array(wanted) * (1 + 1e-12))
    assert granted.sum() == pytest.approx(min(capacity, sum(wanted)), rel=1e-6)
