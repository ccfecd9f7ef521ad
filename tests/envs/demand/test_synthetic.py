"""The synthetic fleet: its streams do not depend on sizes, and it behaves like the real months."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.demand.open import open_trace
from gymbal_envs.demand.statistics import (
    FleetFigures,
    OverloadFigures,
    fleet_figures,
    host_overloads,
)
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.demand.synthetic_bitbrains import BITBRAINS_AUGUST
from gymbal_envs.demand.synthetic_params import Durations
from gymbal_envs.demand.trace import Trace

AUGUST = Path(__file__).resolve().parents[4] / "shared/data/bitbrains/rnd_2013-08.npz"
MONTH = 8640  # samples of 300 s


@pytest.fixture(scope="module")
def fleet() -> Trace:
    return SyntheticFleet().generate(500, MONTH, seed=0)


@pytest.fixture(scope="module")
def figures(fleet: Trace) -> FleetFigures:
    return fleet_figures(fleet)


@pytest.fixture(scope="module")
def overloads(fleet: Trace) -> OverloadFigures:
    return host_overloads(fleet, overcommit=5, num_hosts=300)


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    first, again, other = (SyntheticFleet().generate(12, 600, seed) for seed in (7, 7, 8))
    for name in ("active_frac", "cpu_frac", "memory_bytes", "cores", "vm_id"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert not np.array_equal(first.active_frac, other.active_frac)


@settings(max_examples=25, deadline=None)
@given(
    num_vms=st.integers(1, 30),
    num_samples=st.integers(1, 700),
    seed=st.integers(0, 2**63),
    step_s=st.sampled_from([10.0, 60.0, 300.0, 1000.0]),
)
def test_a_vm_depends_on_neither_size(
    num_vms: int, num_samples: int, seed: int, step_s: float
) -> None:
    small = SyntheticFleet().generate(num_vms, num_samples, seed, step_s)
    large = SyntheticFleet().generate(num_vms + 3, num_samples + 500, seed, step_s)
    for name in ("active_frac", "cpu_frac"):
        part = getattr(large, name)[:num_vms, :num_samples]
        assert np.array_equal(getattr(small, name), part)
    assert np.array_equal(small.memory_bytes, large.memory_bytes[:num_vms])
    assert np.array_equal(small.cores, large.cores[:num_vms])


@pytest.mark.parametrize("wrong", [{"num_vms": 0}, {"num_samples": 0}, {"step_s": 0.0}])
def test_sizes_must_be_positive(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        SyntheticFleet().generate(**({"num_vms": 1, "num_samples": 1, "seed": 0} | wrong))


def test_a_mixture_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        Durations((0.5, 0.4), (60.0, 600.0))
    with pytest.raises(ValueError, match="one weight per mean"):
        Durations((1.0,), (60.0, 600.0))


def test_crews_are_why_demand_comes_together(figures: FleetFigures) -> None:
    crew = BITBRAINS_AUGUST.crew
    never = tuple(replace(work, join_prob=0.0) for work in crew.work)
    alone = SyntheticFleet(replace(BITBRAINS_AUGUST, crew=replace(crew, work=never)))
    without = fleet_figures(alone.generate(500, MONTH, seed=0))
    assert without.weighted_variation < 0.5 * figures.weighted_variation


# The bands below are around the figures of August 2013 as docs/demand.md measures them; they are
# as wide as the differences between August and July, or between seeds, whichever is larger.


def test_levels_are_those_of_the_real_fleet(figures: FleetFigures) -> None:
    assert figures.memory_mean == pytest.approx(0.089, rel=0.15)
    real = (0.042, 0.11, 0.25, 0.37, 0.51, 0.70)
    assert figures.memory_quantiles == pytest.approx(real, rel=0.25)
    assert figures.variation_median == pytest.approx(0.63, rel=0.25)
    assert figures.peak_to_mean == pytest.approx((7.9, 25.0), rel=0.4)
    assert figures.weighted_mean == pytest.approx(0.06, rel=0.25)
    assert abs(figures.pair_correlation - 0.02) < 0.02


def test_cpu_is_mostly_idle_with_a_busy_tail(figures: FleetFigures) -> None:
    assert figures.cpu_mean == pytest.approx(0.070, rel=0.3)
    assert figures.cpu_quantiles[0] == pytest.approx(0.0105, rel=0.3)
    assert figures.cpu_quantiles[2] > 0.2


def test_the_past_is_remembered_as_long(figures: FleetFigures) -> None:
    assert figures.memory_autocorrelation[1] == pytest.approx((0.20, 0.47, 0.91), abs=0.13)
    assert figures.memory_autocorrelation[12] == pytest.approx((-0.01, 0.20, 0.72), abs=0.16)
    assert figures.cpu_autocorrelation[1] == pytest.approx((0.02, 0.60, 0.97), abs=0.15)


def test_overloads_are_short_with_a_heavy_tail(overloads: OverloadFigures) -> None:
    assert 0.005 < overloads.time_frac < 0.03
    median, p90, p99 = overloads.duration_min
    assert 5.0 <= median <= 10.0
    assert 20.0 <= p90 <= 40.0
    assert 80.0 <= p99 <= 200.0
    assert overloads.short_frac == pytest.approx(0.82, abs=0.08)
    assert 0.15 < overloads.long_time_frac < 0.4


def test_the_longer_an_overload_lasted_the_likelier_it_goes_on(overloads: OverloadFigures) -> None:
    assert list(overloads.more_15min) == sorted(overloads.more_15min)
    real = (0.18, 0.35, 0.51, 0.72, 0.84)
    assert overloads.more_15min == pytest.approx(real, abs=0.13)


def test_half_of_the_onsets_come_without_warning(overloads: OverloadFigures) -> None:
    assert 0.82 < overloads.before_onset[1] < 0.92
    assert overloads.jump_median > 0.12


def test_the_bands_hold_for_the_real_month() -> None:
    if not AUGUST.exists():
        pytest.skip(f"{AUGUST} is absent: the real month is not part of the project")
    august = open_trace(AUGUST, repair=True)
    levels = fleet_figures(august)
    hosts = host_overloads(august, overcommit=5, num_hosts=300)
    test_levels_are_those_of_the_real_fleet(levels)
    test_cpu_is_mostly_idle_with_a_busy_tail(levels)
    test_the_past_is_remembered_as_long(levels)
    test_overloads_are_short_with_a_heavy_tail(hosts)
    test_the_longer_an_overload_lasted_the_likelier_it_goes_on(hosts)
    test_half_of_the_onsets_come_without_warning(hosts)
