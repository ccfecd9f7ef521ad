from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.qmemman import Qmemman

MIB = 2.0**20


def _told(record, **options: float) -> np.ndarray:
    return Qmemman(**options).act(record).balloon_bytes[0] / MIB


def test_surplus_by_preference(one_host) -> None:
    # Preferences 1.3 * 500 = 650 and max(1.3 * 100, 200) = 200; 999 of 1000 MiB by 65:20 would be
    # 763.9 and 235.1.
    record = one_host(1000, [600, 300], used_mib=[500, 100])
    np.testing.assert_allclose(_told(record), [999 * 650 / 850, 999 * 200 / 850])


def test_surplus_beyond_a_maximum_goes_to_the_others(one_host) -> None:
    record = one_host(1000, [600, 300], used_mib=[500, 100], max_mib=[700, 900])
    np.testing.assert_allclose(_told(record), [700, 299])


def test_when_short_donors_give_down_to_their_preference(one_host) -> None:
    # Preferences 390, 390, 260: 1040 of 1000. The first holds 500 and gives 110; the others hold
    # 300 and 200 and share 999 permille of it by 390:260.
    record = one_host(1000, [500, 300, 200], used_mib=[300, 300, 200])
    freed = 0.999 * 110
    expected = [390, 300 + freed * 390 / 650, 200 + freed * 260 / 650]
    np.testing.assert_allclose(_told(record), expected)


def test_small_donations_are_not_worth_it(one_host) -> None:
    # The first holds 395 and would give 5 < 10 MiB.
    record = one_host(700, [395, 300], used_mib=[300, 300])
    np.testing.assert_allclose(_told(record), [395, 300 + 0.999 * 5])


def test_a_guest_that_reports_nothing_needs_what_it_holds(one_host) -> None:
    record = one_host(1000, [600, 400], usable_bytes=[np.nan, np.nan])
    np.testing.assert_allclose(_told(record), [600, 400])


def test_bad_parameter() -> None:
    with pytest.raises(ValueError, match="spread_frac"):
        Qmemman(spread_frac=1.5)
