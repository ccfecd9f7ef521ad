"""LLC profiles: fits with a known answer, what is refused, and the shipped table."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from gymbal_envs.demand.llc_fit import falling_fit, fit_cpi
from gymbal_envs.demand.llc_profiles import (
    MIB,
    PRIVATE_BYTES,
    WAY_BYTES,
    LlcProfile,
    load_llc_profiles,
    read_llc_profiles,
    typical_costs,
)

ROOT = Path(__file__).resolve().parents[3]
WAYS_CSV = ROOT.parent / "shared" / "data" / "llc_ways" / "llc_ways_metrics.csv"
LINE_CURVES = ROOT.parent / "shared" / "data" / "program_curves"
needs_ways = pytest.mark.skipif(not WAYS_CSV.is_file(), reason=f"counters are not at {WAYS_CSV}")
needs_curves = pytest.mark.skipif(
    not LINE_CURVES.is_dir(), reason=f"line curves are not at {LINE_CURVES}"
)

OURS = ("cc1plus", "gzip", "kmeans", "pyjson", "pyzipf", "sort", "sqlite", "xz")


class TestFit:
    @given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
    def test_isotonic_fit_is_that_of_scipy(self, values: list[float]) -> None:
        expected = isotonic_regression(values, increasing=False).x
        np.testing.assert_allclose(falling_fit(values), expected, atol=1e-9)

    def test_falling_values_are_kept(self) -> None:
        np.testing.assert_array_equal(falling_fit([5, 3, 3, 1]), [5, 3, 3, 1])
        np.testing.assert_array_equal(falling_fit([4, 1, 3, 0]), [4, 2, 2, 0])

    def test_line_is_recovered(self) -> None:
        mpi = np.array([0.02, 0.01, 0.005])
        assert fit_cpi(mpi, 1 / (0.7 + 30 * mpi), 1.0) == pytest.approx((0.7, 30))

    def test_flat_curve_takes_the_typical_penalty(self) -> None:
        mpi = np.full(3, 0.01)
        assert fit_cpi(mpi, np.full(3, 2.0), 13.0) == pytest.approx((0.5 - 0.13, 13))

    def test_typical_penalty_explains_at_most_half_of_the_cycles(self) -> None:
        mpi = np.full(3, 0.1)
        assert fit_cpi(mpi, np.full(3, 2.0), 13.0) == pytest.approx((0.25, 2.5))

    def test_faster_with_more_misses_costs_nothing(self) -> None:
        assert fit_cpi(np.array([0.02, 0.01]), np.array([2.0, 2.0 / 1.1]), 13.0)[1] == 0

    def test_base_stays_positive(self) -> None:
        mpi = np.array([0.02, 0.01, 0.001])
        cpi0, penalty = fit_cpi(mpi, 1 / (100 * mpi - 0.05), 13.0)
        assert cpi0 == pytest.approx(0.1 * 0.05)
        assert penalty > 0


class TestProfile:
    profile = LlcProfile("p", np.array([0, 1, 3]), np.array([0.03, 0.01, 0.0]), 0.5, 50)

    def test_interpolates_and_is_flat_beyond(self) -> None:
        np.testing.assert_allclose(self.profile.mpi_at([0, 0.5, 2, 9]), [0.03, 0.02, 0.005, 0])

    def test_cycles(self) -> None:
        assert self.profile.cpi_at(1.0) == pytest.approx(1.0)
        assert self.profile.slowdown(1.0, 3.0) == pytest.approx(2.0)

    def test_grid(self) -> None:
        np.testing.assert_allclose(self.profile.on_grid(4, 4), [0.03, 0.01, 0.005, 0, 0])

    @pytest.mark.parametrize(("llc_bytes", "num_segments"), [(0, 4), (np.nan, 4), (4, 0)])
    def test_bad_grid(self, llc_bytes: float, num_segments: int) -> None:
        with pytest.raises(ValueError, match="must be"):
            self.profile.on_grid(llc_bytes, num_segments)

    def test_arrays_are_private(self) -> None:
        mpi = np.array([0.03, 0.01])
        profile = LlcProfile("p", np.array([0, 1]), mpi, 0.5, 50)
        mpi[0] = 9
        assert profile.mpi[0] == 0.03
        with pytest.raises(ValueError, match="read-only"):
            profile.mpi[0] = 9

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"mpi": [0.01, 0.02]}, "mpi must not rise"),
            ({"mpi": [0.01, np.nan]}, "mpi must not hold NaN"),
            ({"mpi": [0.01, -0.01]}, "mpi must not be negative"),
            ({"mpi": []}, "mpi must not be empty"),
            ({"mpi": [0.01]}, "mpi must have shape"),
            ({"size_bytes": [0, 0]}, "size_bytes must increase"),
            ({"size_bytes": [1, 2]}, "size_bytes must start at 0"),
            ({"size_bytes": []}, "size_bytes must not be empty"),
            ({"cpi0": 0.0}, "cpi0 must be above 0"),
            ({"cpi0": np.nan}, "cpi0 must be above 0"),
            ({"penalty_cycles": -1.0}, "penalty_cycles must be at least 0"),
            ({"residual": -0.1}, "residual must be at least 0"),
        ],
    )
    def test_broken_rule_is_named(self, changes: dict[str, Any], message: str) -> None:
        fields = {"size_bytes": [0, 1], "mpi": [0.02, 0.01], "cpi0": 0.5, "penalty_cycles": 9.0}
        with pytest.raises(ValueError, match=f"LLC profile 'mine': {message}"):
            LlcProfile(name="mine", **(fields | changes))


class TestShipped:
    def test_forty_and_eight(self) -> None:
        names = [profile.name for profile in load_llc_profiles()]
        assert len(set(names)) == len(names) == 48
        assert names[:40] == sorted(names[:40])
        assert tuple(names[40:]) == OURS

    def test_measured_ipc_is_met(self) -> None:
        residuals = [profile.residual for profile in load_llc_profiles()[:40]]
        assert max(residuals) < 0.01
        assert all("cachesim" in profile.source for profile in load_llc_profiles()[:40])

    def test_ours_have_the_median_costs(self) -> None:
        shipped = load_llc_profiles()
        for profile in shipped[40:]:
            assert np.isnan(profile.residual)
            costs = (profile.cpi0, profile.penalty_cycles)
            assert costs == pytest.approx(typical_costs(shipped), rel=1e-3)

    def test_known_slowdowns(self) -> None:
        """One way against eleven, as in the data's card."""
        profiles = {profile.name: profile for profile in load_llc_profiles()}
        for name, expected in (("xalancbmk06", 1.93), ("mcf00", 1.78), ("omnetpp06", 1.63)):
            slowdown = profiles[name].slowdown(WAY_BYTES, 11 * WAY_BYTES)
            assert slowdown == pytest.approx(expected, rel=0.03)


class TestRealMeasurements:
    """The shipped table is what the fit gives, and it predicts what it has not seen."""

    @staticmethod
    def assert_is_shipped(profiles: tuple[LlcProfile, ...]) -> None:
        shipped = {profile.name: profile for profile in load_llc_profiles()}
        for profile in profiles:
            known = shipped[profile.name]
            sizes = profile.size_bytes
            np.testing.assert_allclose(known.mpi_at(sizes), profile.mpi, rtol=1e-3, atol=1e-9)
            assert known.cpi0 == pytest.approx(profile.cpi0, rel=1e-3)
            assert known.penalty_cycles == pytest.approx(profile.penalty_cycles, rel=1e-3)

    @needs_ways
    def test_spec(self) -> None:
        profiles = read_llc_profiles(WAYS_CSV)
        assert len(profiles) == 40
        self.assert_is_shipped(profiles)

    @needs_curves
    def test_ours(self) -> None:
        profiles = read_llc_profiles(LINE_CURVES)
        assert tuple(profile.name for profile in profiles) == OURS
        self.assert_is_shipped(profiles)
        assert PRIVATE_BYTES == MIB

    @needs_ways
    def test_leave_one_way_out(self) -> None:
        command = [sys.executable, str(ROOT / "benchmarks" / "llc_profiles.py")]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert out.splitlines()[-1].endswith('"passed": true}')
