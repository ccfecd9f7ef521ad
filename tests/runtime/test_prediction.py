from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.prediction import PREDICTORS, Predictor, make_predictor

NAN = np.nan
all_predictors = pytest.mark.parametrize("name", list(PREDICTORS))


def _fed(predictor: Predictor, times: list[float], values: list[float]) -> Predictor:
    predictor.reset(1, 1)
    for time_s, value in zip(times, values, strict=True):
        predictor.update(np.array([time_s]), np.array([[value]]))
    return predictor


def _predicted(predictor: Predictor, horizon_s: float = 0.0) -> float:
    return float(predictor.predict(horizon_s)[0, 0])


def test_ewma_by_hand() -> None:
    # exp(-10 ln 2 / 10) = 1/2 after 10 s, 1/4 after 20 s.
    ewma = make_predictor("ewma", time_constant_s=10 / np.log(2))
    assert _predicted(_fed(ewma, [0, 10, 30], [8, 4, 10])) == pytest.approx(0.25 * 6 + 0.75 * 10)


def test_ewma_does_not_depend_on_how_often_a_constant_is_read() -> None:
    often = _fed(make_predictor("ewma"), [0, *range(1, 41)], [1.0, *[5.0] * 40])
    once = _fed(make_predictor("ewma"), [0, 40], [1.0, 5.0])
    assert _predicted(often) == pytest.approx(_predicted(once))


@all_predictors
def test_nan_is_skipped(name: str) -> None:
    with_gap = _fed(make_predictor(name), [0, 5, 10], [2.0, NAN, 3.0])
    without = _fed(make_predictor(name), [0, 10], [2.0, 3.0])
    assert _predicted(with_gap, 60.0) == _predicted(without, 60.0)


@all_predictors
def test_nothing_is_known_at_first(name: str) -> None:
    predictor = make_predictor(name)
    assert isinstance(predictor, Predictor)
    assert np.isnan(_predicted(_fed(predictor, [0.0], [NAN]), 60.0))


def test_max_of_three_is_quick_up_and_slow_down() -> None:
    up = _fed(make_predictor("max_of_three"), [0, 5], [1.0, 9.0])
    assert _predicted(up) == 9.0
    down = _fed(make_predictor("max_of_three", slow_s=100.0), [0, 5], [9.0, 1.0])
    assert _predicted(down) == pytest.approx(1.0 + 8.0 * np.exp(-0.05))


def test_seasonal_finds_the_next_peak() -> None:
    # Two seasons of 0, 0, 10, 10, then the third begins half a unit higher.
    values = [0.0, 0.0, 10.0, 10.0] * 2 + [0.5]
    seasonal = make_predictor("seasonal", period_s=40.0, bins=4, memory_periods=1e6)
    _fed(seasonal, [10.0 * k for k in range(9)], values)
    mean_now = 0.5 / 3  # of the values 0, 0 and 0.5 in this bin
    assert _predicted(seasonal, 0.0) == pytest.approx(0.5)
    assert _predicted(seasonal, 20.0) == pytest.approx(10.0 + 0.5 - mean_now)


def test_seasonal_says_the_last_value_of_a_bin_that_it_never_saw() -> None:
    seasonal = _fed(make_predictor("seasonal", period_s=40.0, bins=4), [0, 10], [3.0, 4.0])
    assert _predicted(seasonal, 10.0) == 4.0


@all_predictors
def test_forgets_the_marked_only(name: str) -> None:
    predictor = make_predictor(name)
    predictor.reset(2, 2)
    predictor.update(np.zeros(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    predictor.forget(np.array([[True, False], [False, False]]))
    predictor.reset(2, 2, np.array([False, True]))
    np.testing.assert_array_equal(predictor.predict(0.0), [[NAN, 2.0], [NAN, NAN]])


@all_predictors
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_stays_within_what_was_seen_and_treats_hosts_apart(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(-1.0, 20.0, (6, 3)), axis=0)
    values = np.where(rng.random((6, 3, 2)) < 0.3, NAN, rng.uniform(1.0, 2.0, (6, 3, 2)))
    together, alone = make_predictor(name), make_predictor(name)
    together.reset(3, 2)
    alone.reset(1, 2)
    for time_s, value in zip(times, values, strict=True):
        together.update(time_s, value)
        alone.update(time_s[1:2], value[1:2])
    predicted = together.predict(5.0)
    np.testing.assert_array_equal(alone.predict(5.0)[0], predicted[1])
    assert np.all(np.isnan(predicted) == np.isnan(values).all(axis=0))
    spread = 1.0 if name == "seasonal" else 1e-12
    inside = (predicted >= 1.0 - spread) & (predicted <= 2.0 + spread)
    assert np.all(inside | np.isnan(predicted))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("arima", {}, "no predictor 'arima'; there are ewma, max_of_three, seasonal"),
        ("ewma", {"tau": 1}, "'ewma' has no option 'tau'; there are time_constant_s"),
        ("ewma", {"time_constant_s": 0.0}, "ewma: time_constant_s must be positive"),
        ("seasonal", {"bins": 0}, "seasonal: bins must be positive"),
    ],
)
def test_errors_name_what_is_wrong(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_predictor(name, **options)


def test_wrong_shape() -> None:
    ewma = make_predictor("ewma")
    ewma.reset(2, 3)
    with pytest.raises(ValueError, match=r"value: .* reset for \(2, 3\) .* got \(1, 3\)"):
        ewma.update(np.zeros(1), np.zeros((1, 3)))
