from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.mom import Mom

MIB = 2.0**20


def _told(record, **options: float) -> np.ndarray:
    return Mom(**options).act(record).balloon_bytes[0] / MIB


def test_pressure_shrinks_by_five_percent_at_most(one_host) -> None:
    # 10 % free: guests may keep .2 * .1 / .2 = 10 % free. The first needs 100 + 100 = 200 but may
    # only lose 5 % of 1000; the second needs 700 + 80 = 780 of its 800.
    record = one_host(2000, [1000, 800], used_mib=[100, 700], min_mib=100)
    np.testing.assert_allclose(_told(record), [950, 780])


def test_shrinking_never_grows(one_host) -> None:
    # Needs 790 + 80 = 870, holds 800, host under pressure: left alone.
    record = one_host(2000, [1000, 800], used_mib=[100, 790])
    np.testing.assert_allclose(_told(record), [950, 800])


def test_critical_pressure_makes_guests_swap(one_host) -> None:
    # 1 % free: free part .01 - .05 = -4 %. 490 used - 20 = 470, but 5 % off 500 is 475. The other
    # uses all that it holds: 490 - 19.6 = 470.4.
    record = one_host(1000, [500, 490], used_mib=[490, 490])
    np.testing.assert_allclose(_told(record), [475, 470.4])


def test_without_pressure_guests_grow(one_host) -> None:
    # 40 % free. 5 % more for the first; the second wants 580 used + 20 % of 600 = 700;
    # the third is at its maximum.
    record = one_host(2000, [300, 600, 300], used_mib=[10, 580, 300], max_mib=[2000, 2000, 300])
    np.testing.assert_allclose(_told(record), [315, 700, 300])


def test_dead_band_of_a_quarter_percent(one_host) -> None:
    # 10 % free, needs 898 + 100 = 998 of 1000: 0.2 % less is not worth it, 0.3 % is.
    assert _told(one_host(2000, [1000, 800], used_mib=[898, 100]))[0] == pytest.approx(1000)
    assert _told(one_host(2000, [1000, 800], used_mib=[897, 100]))[0] == pytest.approx(997)


def test_host_free_memory_is_averaged(one_host) -> None:
    # 30 % free, then 15 %: the mean of 22.5 % is no pressure; then 5 %: the mean 16.7 % is.
    agent = Mom()
    for held, time_s, grows in ([700.0, 0.0, True], [850.0, 5.0, True], [950.0, 10.0, False]):
        record = one_host(1000, [held], used_mib=[10], time_s=time_s)
        assert (agent.act(record).balloon_bytes[0, 0] > held * MIB) == grows
