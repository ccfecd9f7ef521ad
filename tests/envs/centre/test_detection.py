import numpy as np
import pytest

from gymbal_runtime.centre.rules.detection import (
    HISTORY,
    IQR,
    LR,
    MAD,
    THR,
    Rule,
    forecast,
    interquartile_range,
    is_overloaded,
    known_samples,
    median_absolute_deviation,
)


def past(newest_first):
    history = np.zeros(HISTORY)
    history[: len(newest_first)] = newest_first
    return history


def overloaded(detector, parameter, utilisation, newest_first=()):
    rule = Rule(detector, parameter, 0, 1.0)
    history = past(newest_first)
    return is_overloaded(rule, 1000.0 * utilisation, 1000.0, 1.0, history, np.zeros(HISTORY))


TWELVE = [0.05 * i for i in range(1, 13)]  # 5 % to 60 %


def test_a_threshold_is_not_exceeded_by_itself():
    assert not overloaded(THR, 0.8, 0.8)
    assert overloaded(THR, 0.8, 0.801)


def test_mad_by_hand():
    # The median is 32.5 %; distances are 2.5, 7.5, ..., 27.5, each twice, so their median is 15 %,
    # and the threshold 1 - 2.5 * 0.15 = 62.5 %.
    assert not overloaded(MAD, 2.5, 0.624, TWELVE)
    assert overloaded(MAD, 2.5, 0.626, TWELVE)


def test_iqr_by_hand():
    # Of 13 / 4 and 39 / 4, rounded, ranks 3 and 10: 50 % - 15 %, threshold 1 - 1.5 * 0.35.
    assert not overloaded(IQR, 1.5, 0.474, TWELVE)
    assert overloaded(IQR, 1.5, 0.476, TWELVE)


@pytest.mark.parametrize("detector", [MAD, IQR])
def test_eleven_samples_are_not_enough_for_a_spread(detector):
    assert not overloaded(detector, 2.5, 0.7, TWELVE[:11])
    assert overloaded(detector, 2.5, 0.701, TWELVE[:11])


def test_lr_looks_one_interval_ahead_of_the_newest_sample():
    # 60 % + 2 % a sample: 80 % now, 82 % next, 98.4 % with the margin of 1.2.
    assert not overloaded(LR, 1.2, 0.8, [0.6 + 0.02 * i for i in range(10, 0, -1)])
    # 60 % + 3 % a sample: 90 % now, 93 % next, 111.6 % with the margin.
    assert overloaded(LR, 1.2, 0.5, [0.6 + 0.03 * i for i in range(10, 0, -1)])


def test_nine_samples_are_not_enough_for_a_line():
    rising = [0.6 + 0.03 * i for i in range(9, 0, -1)]
    assert not overloaded(LR, 1.2, 0.7, rising)
    assert overloaded(LR, 1.2, 0.701, rising)


def test_known_samples_end_at_the_last_that_is_not_zero():
    assert known_samples(past([])) == 1
    assert known_samples(past([0.1, 0.0, 0.2])) == 3
    assert known_samples(np.ones(HISTORY)) == HISTORY


@pytest.mark.parametrize("known", range(12, HISTORY + 1))
def test_statistics_agree_with_numpy(known):
    history = past(np.random.default_rng(known).random(known))
    seen = history[:known]
    work = np.zeros(HISTORY)
    mad = np.median(np.abs(seen - np.median(seen)))
    assert median_absolute_deviation(history, known, work) == pytest.approx(mad, rel=1e-13)
    first, third = (int(share * (known + 1) + 0.5) - 1 for share in (0.25, 0.75))
    ordered = np.sort(seen)
    assert interquartile_range(history, known, work) == ordered[third] - ordered[first]
    line = np.polynomial.Polynomial.fit(np.arange(1, 11), seen[9::-1], 1)
    assert forecast(history, 1.0) == pytest.approx(line(11.0), rel=1e-10)


def test_equal_samples_have_no_spread():
    assert not overloaded(MAD, 2.5, 1.0, [0.4] * 15)
    assert overloaded(MAD, 2.5, 1.001, [0.4] * 15)
