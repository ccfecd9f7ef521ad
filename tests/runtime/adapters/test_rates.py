"""Counters become rates, whatever happens to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.adapters.rates import CounterRates

NAN = np.nan


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(0, 5), (10, 6), (40, 8)], [NAN, 10, 15]),
        ([(10, 5), (10, 6)], [NAN, 0]),
        ([(10, 5), (3, 6), (4, 7)], [NAN, NAN, 1]),  # began anew
        ([(10, 5), (20, 4), (30, 6)], [NAN, NAN, 5]),  # the clock stepped back
        ([(10, 5), (20, 5), (30, 6)], [NAN, NAN, 10]),
        ([(10, 5), (20, 6), (20, 6)], [NAN, 10, 10]),  # the same reading
        ([(10, 5), (NAN, 6), (30, 7)], [NAN, NAN, 10]),
        ([(10, 5), (np.inf, 6), (-1, 7), (30, NAN)], [NAN] * 4),
        ([(0, 0), (1e308, 1e-300)], [NAN, NAN]),
    ],
)
def test_rates(readings: list[tuple[float, float]], expected: list[float]) -> None:
    rates = CounterRates()
    got = [rates.rate("a", value, time_s) for value, time_s in readings]
    np.testing.assert_array_equal(got, expected)


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(st.sampled_from("ab"), numbers, numbers), max_size=8))
@settings(max_examples=50)
def test_a_rate_is_never_negative_or_infinite(readings) -> None:
    rates = CounterRates()
    for key, value, time_s in readings:
        rate = rates.rate(key, value, time_s)
        assert np.isnan(rate) or 0 <= rate < np.inf


def test_what_is_gone_is_forgotten() -> None:
    rates = CounterRates()
    rates.rate("a", 1, 1)
    rates.rate("b", 1, 1)
    rates.keep(["b"])
    assert np.isnan(rates.time_of("a"))
    assert rates.time_of("b") == 1
