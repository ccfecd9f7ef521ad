import math

import pytest

from gymbal_runtime.adapters.balloon_limits import PAGE_BYTES, BalloonLimits
from gymbal_runtime.adapters.guest_statistics import MEASURES, GuestSample, GuestStatistics

WALL = 1.7e9


def sample(stamp_s, swapped_in, usable=50e6):
    return GuestSample(WALL + stamp_s, usable, swapped_in, 0.0, 0.0)


def test_rates_are_over_the_samples_own_times():
    statistics = GuestStatistics()
    first = statistics.update(sample(0, 0.0), WALL + 0.9, 100.9)
    assert math.isnan(first["swap_in_rate"])
    assert first["usable_bytes"] == 50e6
    later = statistics.update(sample(4, 8e6), WALL + 5.1, 105.1)
    assert later["swap_in_rate"] == 2e6
    assert statistics.age_s == pytest.approx(1.1)


def test_a_sample_that_was_seen_before_shows_the_same_rates():
    statistics = GuestStatistics()
    statistics.update(sample(0, 0.0), WALL, 100.0)
    shown = statistics.update(sample(2, 8e6), WALL + 2, 102.0)
    assert statistics.update(sample(2, 8e6), WALL + 3, 103.0) == shown
    assert statistics.age_s == pytest.approx(1.0)


def test_a_guest_that_stops_reporting_is_not_measured_any_longer():
    statistics = GuestStatistics(max_age_s=10.0)
    statistics.update(sample(0, 0.0), WALL, 100.0)
    assert statistics.update(sample(0, 0.0), WALL + 9, 109.0)["usable_bytes"] == 50e6
    silent = statistics.update(sample(0, 0.0), WALL + 11, 111.0)
    assert set(silent) == set(MEASURES)
    assert all(math.isnan(value) for value in silent.values())


def test_a_rebooted_guest_has_no_rate_for_one_sample():
    statistics = GuestStatistics()
    for stamp, count in ((0, 5e6), (1, 6e6)):
        statistics.update(sample(stamp, count), WALL + stamp, 100.0 + stamp)
    assert math.isnan(statistics.update(sample(2, 0.0), WALL + 2, 102.0)["swap_in_rate"])
    assert statistics.update(sample(3, 1e6), WALL + 3, 103.0)["swap_in_rate"] == 1e6


def test_a_wall_clock_that_is_set_does_not_make_new_samples_old():
    statistics = GuestStatistics()
    statistics.update(sample(0, 0.0), WALL, 100.0)
    back = statistics.update(sample(-3600, 1e6), WALL - 3600, 101.0)
    assert math.isnan(back["swap_in_rate"])  # nobody knows over what time
    assert statistics.age_s == pytest.approx(0.0)
    statistics.update(sample(-3599, 2e6), WALL + 3600, 102.0)  # set between sample and reading
    assert statistics.age_s <= 1.0


def test_before_the_first_report_nothing_is_measured():
    statistics = GuestStatistics()
    row = statistics.update(GuestSample(0.0, 5.0, 0.0, 0.0, 0.0), WALL, 1.0)
    assert all(math.isnan(value) for value in row.values())
    assert math.isnan(statistics.age_s)


def test_targets_are_whole_pages_between_floor_and_ceiling():
    limits = BalloonLimits(0.25, {"database": "1GiB"})
    ceiling = 4 * 2.0**30
    assert limits.floor_bytes("web", ceiling) == 2**30
    assert limits.target_bytes("web", 0.0, ceiling) == 2**30
    assert limits.target_bytes("web", 9e9, ceiling) == ceiling
    assert limits.target_bytes("web", 2e9 + 1, ceiling) % PAGE_BYTES == 0
    assert limits.floor_bytes("database", 2.0**29) == 2**29  # no more than it can hold


def test_a_floor_is_rounded_up_to_pages():
    assert BalloonLimits(0.5).floor_bytes("odd", 3 * PAGE_BYTES) == 2 * PAGE_BYTES


@pytest.mark.parametrize(("frac", "floors"), [(-0.1, {}), (1.5, {}), (0.2, {"a": "much"})])
def test_limits_that_make_no_sense_are_refused(frac, floors):
    with pytest.raises(ValueError, match=r"floor_frac|size"):
        BalloonLimits(frac, floors)
