from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.heuristics.last_seen import LastSeen, rescaled_histogram
from gymbal_runtime.heuristics.meb import Meb
from gymbal_runtime.heuristics.meb_adaptive import MebAdaptive

MIB = 2.0**20
NOTHING = {
    "swap_in_rate": 0.0,
    "swap_out_rate": 0.0,
    "swap_used_bytes": 0.0,
    "major_fault_rate": 0.0,
    "monitor_level": 2.0,
}
HITS = [[100.0, *[0.0] * 7], [100.0] * 8]


def _record(one_host, time_s=0.0, actual=(800, 800), hits=HITS, budget=1710, **fields):
    record = one_host(budget, list(actual), time_s=time_s, **{**NOTHING, **fields})
    record.lru_hit_rate[0] = hits
    return record


@pytest.mark.parametrize(
    ("scale", "gained", "expected"),
    [
        (1.0, 7.0, [80, 70, 60, 50, 40, 30, 20, 10]),
        # Half the memory: the first four slices in halves, what lies beyond are misses now.
        (0.5, 0.0, [40, 40, 35, 35, 30, 30, 25, 25]),
        # Twice the memory: pairs of slices, then 40 gained in the new half.
        (2.0, 40.0, [150, 110, 70, 30, 10, 10, 10, 10]),
    ],
)
def test_a_histogram_on_another_allocation(scale, gained, expected) -> None:
    hits = np.arange(80.0, 0.0, -10.0)
    rescaled = rescaled_histogram(hits, np.array(scale), np.array(gained))
    np.testing.assert_allclose(rescaled, expected)


def test_last_seen_lays_histograms_out_anew_and_scales_curves(one_host) -> None:
    last = LastSeen()
    curve = np.linspace(12.0, 1.0, 12)
    seen = _record(one_host, llc_reference_rate=100.0, major_fault_rate=[0.0, 80.0])
    seen.llc_miss_curve[0] = curve
    filled = last.filled(seen)
    np.testing.assert_array_equal(filled.lru_hit_rate, seen.lru_hit_rate)
    off = _record(
        one_host,
        actual=(400, 1600),
        hits=np.nan,
        llc_reference_rate=[50.0, np.nan],
    )
    filled = last.filled(off)
    np.testing.assert_allclose(filled.lru_hit_rate[0, 0], [50, 50, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(filled.lru_hit_rate[0, 1], [200] * 4 + [20] * 4)
    np.testing.assert_allclose(filled.llc_miss_curve[0], [curve / 2, curve])
    assert np.isnan(off.lru_hit_rate).all(), "the record itself is not touched"


def test_nobody_inherits_the_histogram_of_who_left(one_host) -> None:
    last = LastSeen()
    last.filled(_record(one_host))
    gone = _record(one_host, hits=np.nan)
    gone.present[0, 0] = False
    last.filled(gone)
    filled = last.filled(_record(one_host, hits=np.nan))
    assert np.isnan(filled.lru_hit_rate[0, 0]).all()
    assert np.isfinite(filled.lru_hit_rate[0, 1]).all()


def test_is_meb_while_everything_is_seen(one_host) -> None:
    record = _record(one_host)
    command = MebAdaptive().act(record)
    np.testing.assert_array_equal(command.balloon_bytes, Meb().act(record).balloon_bytes)
    np.testing.assert_array_equal(command.monitor_level, [[2.0, 2.0]])


def test_decides_the_same_while_monitors_are_off(one_host) -> None:
    agent = MebAdaptive(monitor={"stable_windows": 1})
    agent.act(_record(one_host))
    seen = agent.act(_record(one_host, time_s=5.0))
    np.testing.assert_array_equal(seen.monitor_level, [[1.0, 1.0]])
    off = agent.act(_record(one_host, time_s=10.0, hits=np.nan, monitor_level=1.0))
    # Needs .95 / 8 * 800 = 95 and 7.6 / 8 * 800 = 760 MiB of 1710: both doubled.
    np.testing.assert_allclose(off.balloon_bytes / MIB, [[190.0, 1520.0]])
    # Meb itself knows nothing any more, and takes both to need what they hold.
    blind = Meb().act(_record(one_host, hits=np.nan)).balloon_bytes / MIB
    np.testing.assert_allclose(blind, [[855.0, 855.0]])


def test_needs_can_be_predicted(one_host) -> None:
    agent = MebAdaptive(predictor={"name": "max_of_three", "slow_s": 1e9}, dead_band_frac=0.0)
    agent.act(_record(one_host))
    calm = _record(one_host, time_s=5.0, hits=[HITS[0]] * 2)
    # The second VM's need has just fallen from 760 to 95 MiB, and still counts as 760.
    np.testing.assert_allclose(agent.act(calm).balloon_bytes / MIB, [[190.0, 1520.0]], rtol=1e-6)
    agent.reset(1, 2)
    np.testing.assert_allclose(agent.act(calm).balloon_bytes / MIB, [[855.0, 855.0]])


def test_options_reach_their_owners() -> None:
    with pytest.raises(ValueError, match="itc: stable_frac"):
        MebAdaptive(monitor={"stable_frac": 2.0})
    with pytest.raises(ValueError, match="no predictor 'oracle'"):
        MebAdaptive(predictor={"name": "oracle"})
    assert replace(MebAdaptive(), miss_ratio=0.1).miss_ratio == 0.1
