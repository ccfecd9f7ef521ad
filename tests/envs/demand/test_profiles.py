"""Profiles: the shape of every curve, how measured ones are reduced, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gymbal_envs.demand.profiles import (
    NUM_CURVE_SEGMENTS,
    TOUCH_RATE_SCALE,
    Profile,
    cliff,
    load_profiles,
    parametric_family,
    power,
    profile_from_curve,
    streaming,
)
from gymbal_envs.demand.program_curves import MeasuredCurve, shipped_curves
from gymbal_envs.demand.sheet import CurveError

PROGRAMS = ("cc1plus", "gzip", "kmeans", "pyjson", "pyzipf", "sort", "sqlite", "xz")
LINEAR = 1 - np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1)


def geometric_curve(num_sizes: int = 40) -> MeasuredCurve:
    """m(s) = max(0.1 * 2^(-s / 100), 1e-6) over 10 to 10,000 pages: half as many every 100."""
    size = np.geomspace(10, 10_000, num_sizes)
    miss = np.maximum(0.1 * 2.0 ** (-size / 100), 1e-6)
    return MeasuredCurve("p", size, miss, data_refs_per_instr=0.4, dirty_frac=0.3, source="s")


def assert_is_profile(profile: Profile) -> None:
    assert profile.curve.shape == (NUM_CURVE_SEGMENTS + 1,)
    assert profile.curve.dtype == np.float64
    assert profile.curve[0] == 1
    assert profile.curve[-1] == 0
    assert np.all(np.diff(profile.curve) <= 0)
    assert profile.touch_rate_hz > 0
    assert profile.mlp >= 1


class TestShippedPrograms:
    def test_all_eight_are_there_in_order(self) -> None:
        assert tuple(profile.name for profile in load_profiles()) == PROGRAMS

    @pytest.mark.parametrize("profile", load_profiles(), ids=lambda profile: profile.name)
    def test_shape(self, profile: Profile) -> None:
        assert_is_profile(profile)
        assert 0.05 <= profile.dirty_frac <= 1
        assert profile.source.startswith("measured by Gymbal: ")

    def test_rates_keep_the_measured_proportions(self) -> None:
        rates = {profile.name: profile.touch_rate_hz for profile in load_profiles()}
        assert rates["gzip"] / rates["sqlite"] == pytest.approx(4010, rel=0.01)
        geometric_mean = np.exp(np.mean(np.log(list(rates.values()))))
        assert geometric_mean == pytest.approx(1896, rel=0.01)

    def test_dirty_share_is_written_over_touched_pages(self) -> None:
        xz = load_profiles()[PROGRAMS.index("xz")]
        assert xz.dirty_frac == pytest.approx(1446.2 / 1588.1)

    def test_curves_are_as_measured(self) -> None:
        sort = shipped_curves()[PROGRAMS.index("sort")]
        assert sort.size_pages[0] == 16
        assert sort.miss_ratio[0] == 0.00525703


class TestReduction:
    def test_matches_the_formula(self) -> None:
        measured = geometric_curve(num_sizes=4000)
        profile = profile_from_curve(measured)
        # 1e-6 is reached after log2(1e5) half-lives, 5 % of the misses of the core after log2(20).
        core = 100 * np.log2(1e5) / 64
        working_set = core + 100 * np.log2(20)
        size = np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1) * working_set
        expected = (np.minimum(2 ** (-(size - core) / 100), 1) - 0.05) / 0.95
        np.testing.assert_allclose(profile.curve, expected, atol=1e-3)

        touches_per_instr = 0.4 * 0.1 * 2 ** (-core / 100) * 0.95
        assert profile.native_touch_rate_hz == pytest.approx(touches_per_instr * 2e9, rel=1e-3)
        assert profile.touch_rate_hz == profile.native_touch_rate_hz * TOUCH_RATE_SCALE

    def test_cold_misses_do_not_matter(self) -> None:
        warm = geometric_curve()
        cold = replace(warm, miss_ratio=warm.miss_ratio + 0.2)
        a, b = profile_from_curve(warm), profile_from_curve(cold)
        np.testing.assert_allclose(a.curve, b.curve, atol=1e-9)
        assert a.touch_rate_hz == pytest.approx(b.touch_rate_hz)

    def test_sizes_measured_beyond_the_footprint_do_not_matter(self) -> None:
        short = geometric_curve()
        size = np.append(short.size_pages, (1e5, 1e6))
        miss = np.append(short.miss_ratio, (short.miss_ratio[-1],) * 2)
        long = replace(short, size_pages=size, miss_ratio=miss)
        np.testing.assert_array_equal(
            profile_from_curve(short).curve, profile_from_curve(long).curve
        )

    def test_flat_curve(self) -> None:
        flat = replace(geometric_curve(), miss_ratio=np.full(40, 0.1))
        with pytest.raises(CurveError, match="s: the miss ratio is flat"):
            profile_from_curve(flat)

    @given(
        falls=st.lists(st.floats(0, 1), min_size=2, max_size=40),
        steps=st.lists(st.integers(1, 500), min_size=40, max_size=40),
    )
    def test_any_falling_curve_gives_a_profile_or_an_error(
        self, falls: list[float], steps: list[int]
    ) -> None:
        miss = np.sort(np.array(falls))[::-1]
        size = np.cumsum(steps[: len(falls)]).astype(np.float64)
        try:
            profile = profile_from_curve(MeasuredCurve("p", size, miss, 0.4, 0.3, "s"))
        except CurveError:
            return
        assert_is_profile(profile)


class TestFamilies:
    @given(alpha=st.floats(0.01, 20))
    def test_power(self, alpha: float) -> None:
        profile = power(alpha)
        assert_is_profile(profile)
        assert profile.miss_ratio(0.5) == pytest.approx(1 - 0.5**alpha)

    @given(knee=st.floats(0.01, 0.99), sharpness=st.floats(0.1, 500))
    def test_cliff(self, knee: float, sharpness: float) -> None:
        assert_is_profile(cliff(knee, sharpness))

    def test_cliff_falls_at_its_knee(self) -> None:
        profile = cliff(knee=0.5, sharpness=60)
        np.testing.assert_allclose(profile.miss_ratio([0.375, 0.5, 0.625]), [1, 0.5, 0], atol=0.001)

    def test_streaming_is_linear(self) -> None:
        np.testing.assert_allclose(streaming().curve, LINEAR)

    def test_by_name(self) -> None:
        np.testing.assert_array_equal(parametric_family("power", alpha=0.7).curve, power(0.7).curve)

    @pytest.mark.parametrize(
        ("name", "params", "message"),
        [
            ("powder", {}, "there are power, cliff, streaming"),
            ("power", {"alpha": 0.0}, "alpha must be above 0"),
            ("cliff", {"knee": 1.0}, "knee must lie inside"),
            ("cliff", {"sharpness": 501.0}, "sharpness must lie in"),
            ("streaming", {"touch_rate_hz": float("nan")}, "touch_rate_hz must be above 0"),
        ],
    )
    def test_what_is_refused(self, name: str, params: dict[str, float], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            parametric_family(name, **params)


class TestProfile:
    def test_curve_is_a_private_read_only_copy(self) -> None:
        mine = LINEAR.copy()
        profile = Profile("p", mine, touch_rate_hz=1.0)
        mine[:] = 7
        assert profile.curve[0] == 1
        with pytest.raises(ValueError, match="read-only"):
            profile.curve[0] = 7

    def test_miss_ratio_interpolates_and_clips(self) -> None:
        profile = Profile("p", LINEAR, touch_rate_hz=1.0)
        found = profile.miss_ratio(np.array([[-1.0, 0.1], [0.9, 2.0]]))
        np.testing.assert_allclose(found, [[1, 0.9], [0.1, 0]])

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("curve", LINEAR[:-1], "shape"),
            ("curve", LINEAR[::-1], "from 1 to 0"),
            ("curve", np.where(np.arange(LINEAR.size) == 5, np.nan, LINEAR), "finite"),
            ("curve", np.where(np.arange(LINEAR.size) == 5, 1.5, LINEAR), "must not rise"),
            ("touch_rate_hz", 0.0, "touch_rate_hz"),
            ("dirty_frac", 1.1, "dirty_frac"),
            ("mlp", 0.5, "mlp"),
        ],
    )
    def test_what_is_refused(self, field: str, value: object, message: str) -> None:
        fields = {"name": "p", "curve": LINEAR, "touch_rate_hz": 1.0} | {field: value}
        with pytest.raises(ValueError, match=message):
            Profile(**fields)  # type: ignore[arg-type]
