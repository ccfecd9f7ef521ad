from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gymbal_runtime.heuristics.meb import Meb
from gymbal_runtime.workingset import working_set_frac

MIB = 2.0**20
FALLING = [80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0]
LEVEL = [45.0] * 8
NOTHING = {
    "swap_in_rate": 0.0,
    "swap_out_rate": 0.0,
    "swap_used_bytes": 0.0,
    "major_fault_rate": 0.0,
}


def _record(one_host, budget: float, actual: list[float], hits: list[Any], **fields: Any):
    record = one_host(budget, actual, **{**NOTHING, **fields})
    record.lru_hit_rate[0] = hits
    return record


def _told(record, **options: Any) -> np.ndarray:
    return Meb(**options).act(record).balloon_bytes[0] / MIB


@pytest.mark.parametrize(
    ("hits", "faults", "expected"),
    [
        # 5 of 100 accesses may miss: 95 % of the first slice.
        ([100, 0, 0, 0, 0, 0, 0, 0], 0.0, 0.95 / 8),
        # 40 of 800 may miss: the last slice but 40 %.
        ([100] * 8, 0.0, 7.6 / 8),
        # 18 of 360 may miss: the last slice and 8 of 20 in the one before.
        (FALLING, 0.0, 6.6 / 8),
        # More than the allowance miss already.
        ([100] * 8, 100.0, 1.0),
        ([0] * 8, 0.0, 0.0),
    ],
)
def test_working_set(hits: list[float], faults: float, expected: float) -> None:
    found = working_set_frac(np.array(hits, dtype=float), np.array(faults), 0.05)
    assert found == pytest.approx(expected)


def test_slack_in_proportion_to_need(one_host) -> None:
    # Needs .95 / 8 * 800 = 95 and 7.6 / 8 * 800 = 760 MiB, 855 together, of 1710: both doubled.
    record = _record(one_host, 1710, [800, 800], [[100, 0, 0, 0, 0, 0, 0, 0], [100] * 8])
    np.testing.assert_allclose(_told(record), [190, 1520])


def test_a_swapping_vm_needs_what_lies_in_swap(one_host) -> None:
    # Needs 800 + 200 and 760, of 2640: half as much again.
    swap = {"swap_in_rate": [1e6, 0.0], "swap_used_bytes": [200 * MIB, 200 * MIB]}
    record = _record(one_host, 2640, [800, 800], [[100] * 8] * 2, **swap)
    np.testing.assert_allclose(_told(record), [1500, 1140])


def test_floors_bound_the_need(one_host) -> None:
    # The idle VM would need nothing, but its floor is 240.
    record = _record(one_host, 2000, [800, 800], [[0] * 8, [100] * 8], min_mib=[240, 0])
    np.testing.assert_allclose(_told(record), [480, 1520])


def test_overcommitted_memory_goes_where_it_is_missed_most(one_host) -> None:
    # Needs 660 + 760 of 1200. Slices of 100 MiB: four of the first VM hit more often than the 45/s
    # of the second's eight, and 400 + 800 is all there is.
    record = _record(one_host, 1200, [800, 800], [FALLING, LEVEL])
    np.testing.assert_allclose(_told(record), [400, 800])


def test_weighted_misses_follow_the_shares(one_host) -> None:
    # With twice the shares, six slices of the first count for more than 45/s.
    record = _record(one_host, 1200, [800, 800], [FALLING, LEVEL], shares=[2000, 1000])
    np.testing.assert_allclose(_told(record, weighted=True), [600, 600])
    np.testing.assert_allclose(_told(record), [400, 800])


def test_beyond_the_allocation_faults_fade_over_what_is_missing(one_host) -> None:
    # 200 faults/s over 400 MiB in swap are 50/s per 100 MiB, more than the second VM's 45.
    swap = {
        "swap_in_rate": [1e6, 0.0],
        "swap_used_bytes": [400 * MIB, 0.0],
        "major_fault_rate": [200.0, 0.0],
    }
    record = _record(one_host, 1600, [800, 800], [[80] * 8, LEVEL], **swap)
    np.testing.assert_allclose(_told(record), [1200, 400])


def test_a_vm_without_histogram_keeps_its_scaled_need(one_host) -> None:
    # Needs 800 (what it holds), 660 and 760, 2220 together, of 1665: three quarters of 800 are 600.
    # The other 1065 go by misses: four slices of the second hit more often than 45/s, the rest is
    # for the third.
    record = _record(one_host, 1665, [800, 800, 800], [[np.nan] * 8, FALLING, LEVEL])
    np.testing.assert_allclose(_told(record), [600, 400, 665])


def test_dead_band(one_host) -> None:
    # Needs 760 each of 1612: 806 each, 0.75 % more than 800.
    record = _record(one_host, 1612, [800, 800], [[100] * 8] * 2)
    np.testing.assert_allclose(_told(record), [800, 800])
    np.testing.assert_allclose(_told(record, dead_band_frac=0.005), [806, 806])
    # Staying as they are would cost more than there is: the budget comes first.
    over = _record(one_host, 1590, [800, 800], [[100] * 8] * 2)
    np.testing.assert_allclose(_told(over), [795, 795])


def test_bad_parameter() -> None:
    with pytest.raises(ValueError, match=r"meb: miss_ratio must lie in \[0, 1\], got 2"):
        Meb(miss_ratio=2.0)
