"""Programs from slowdowns: what was put in comes out, and the simulator slows down alike."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.demand.far_memory_file import read_slowdowns
from gymbal_envs.demand.far_memory_fit import (
    KNEE_RANGE,
    fit_far_memory,
    knee_curve,
    leave_one_out,
    slowdown_of,
)
from gymbal_envs.demand.profiles import Profile, load_profiles, parametric_family
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import TIERS, PhysicsParams
from gymbal_envs.simulator.tiers import settle_swap_device

MEASURED = Path(__file__).parents[4] / "shared/data/remote_swap/remote_swap_slowdown.json"
LOCAL = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
RDMA = TIERS["rdma"]


def slowed(rate, knee, local=LOCAL, tier=RDMA):
    profile = Profile("made", knee_curve(knee), rate)
    return slowdown_of(rate * profile.miss_ratio(local), tier)


def engine_slowdown(miss_rate, tier, overlap=1.0):
    """What the simulator's own fixed point makes of one VM on a tier."""
    world_vm, vm = np.zeros((at.NUM_WORLD_VM, 1)), np.zeros((at.NUM_VM, 1))
    host, world_host = np.zeros(at.NUM_HOST), np.zeros(at.NUM_WORLD_HOST)
    world_vm[at.OVERLAP], vm[at.MISS_RATE] = overlap, miss_rate
    for row, value in (
        (at.TIER_LATENCY, tier.latency_s),
        (at.TIER_SERVERS, tier.servers),
        (at.TIER_READ, tier.read_bytes_s),
        (at.TIER_CLUSTER, tier.cluster_pages),
        (at.TIER_USEFUL, tier.useful_pages),
    ):
        world_host[row] = value
    host[at.WAIT] = tier.latency_s
    for _ in range(50):
        settle_swap_device(world_vm, world_host, PhysicsParams().constants(), vm, host)
    return 1.0 / vm[at.SPEED, 0]


@pytest.mark.parametrize("tier", ["rdma", "tcp_1g", "nvme", "hdd"])
@pytest.mark.parametrize("overlap", [1.0, 4.0])
def test_the_slowdown_is_the_simulators(tier, overlap):
    for miss_rate in (0.0, 10.0, 1e3, 1e5, 1e6):
        expected = engine_slowdown(miss_rate, TIERS[tier], overlap)
        assert slowdown_of(miss_rate, TIERS[tier], overlap) == pytest.approx(expected, rel=1e-6)


def test_knees_are_where_half_of_the_touches_miss():
    for knee in (0.25, 0.5, 0.75):
        curve = knee_curve(knee)
        assert (curve[0], curve[-1]) == (1.0, 0.0)
        assert np.all(np.diff(curve) <= 0)
        assert curve[round(knee * (curve.size - 1))] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="knee"):
        knee_curve(1.0)


@settings(max_examples=40, deadline=None)
@given(rate=st.floats(1e5, 2e6), knee=st.floats(0.35, 0.9), tier=st.sampled_from(["rdma", "nvme"]))
def test_a_program_that_is_of_the_family_is_found_again(rate, knee, tier):
    fitted = fit_far_memory("made", LOCAL, slowed(rate, knee, tier=TIERS[tier]), TIERS[tier])
    assert fitted.errors.max() < 2e-3
    assert fitted.knee == pytest.approx(knee, abs=0.03)


@settings(max_examples=25, deadline=None)
@given(
    slowdowns=st.lists(st.floats(0.95, 20.0), min_size=2, max_size=8),
    seed=st.integers(0, 99),
)
def test_whatever_is_measured_a_playable_program_comes_out(slowdowns, seed):
    local = np.random.default_rng(seed).uniform(0, 0.99, len(slowdowns))
    fitted = fit_far_memory("odd", local, slowdowns)
    assert np.all(np.isfinite(fitted.predicted))
    assert KNEE_RANGE[0] <= fitted.knee <= KNEE_RANGE[1]
    profile = fitted.profile()
    played = slowdown_of(profile.touch_rate_hz * profile.miss_ratio(local), fitted.tier)
    np.testing.assert_allclose(played, fitted.predicted, rtol=1e-9)


@pytest.mark.parametrize("most", [0.2, 1.0, 3.0])
def test_programs_of_other_shapes_are_told_within_the_bar(most):
    """Measured miss curves and formulas, slowed down by ``most`` with half of the memory local."""
    others = [
        *load_profiles(),
        parametric_family("streaming"),
        parametric_family("power", alpha=0.4),
        parametric_family("power", alpha=1.5),
        parametric_family("cliff", knee=0.7, sharpness=20.0),
    ]
    for profile in others:
        shape = profile.miss_ratio(LOCAL) / profile.miss_ratio(0.5)
        fitted = fit_far_memory(profile.name, LOCAL, 1.0 + most * shape)
        assert fitted.errors.mean() < 0.15, profile.name


def test_points_that_were_left_out_are_judged_by_the_others():
    fitted = fit_far_memory("made", LOCAL, slowed(3e5, 0.6))
    assert leave_one_out(fitted).max() < 0.01
    outlier = slowed(3e5, 0.6)
    outlier[3] *= 1.5
    errors = leave_one_out(fit_far_memory("made", LOCAL, outlier))
    assert errors.argmax() == 2  # the point at 1 does not count
    assert errors[2] == pytest.approx(1 / 3, abs=0.02)
    assert np.isnan(leave_one_out(fit_far_memory("two", [0.5, 0.7], [2.0, 1.5]))).all()


@pytest.mark.parametrize(
    ("local", "slowdown", "named"),
    [
        ([1.0, 0.5], [1.0, 2.0], "needs 2 points"),
        ([0.9, 0.5], [1.0, 2.0, 3.0], "same length"),
        ([0.9, 1.5], [1.0, 2.0], r"local_frac must lie in \[0, 1\]"),
        ([0.9, 0.5], [1.0, 0.0], "slowdown above 0"),
        ([0.9, np.nan], [1.0, 2.0], "local_frac"),
    ],
)
def test_points_that_make_no_sense_are_named(local, slowdown, named):
    with pytest.raises(ValueError, match=f"prog: .*{named}"):
        fit_far_memory("prog", local, slowdown)


def test_the_published_programs_are_told_within_the_bar():
    if not MEASURED.exists():
        pytest.skip(f"{MEASURED} is absent")
    programs = read_slowdowns(MEASURED)
    assert [p.program for p in programs] == [
        "quicksort",
        "tf-inception",
        "kmeans",
        "spark-pagerank",
    ]
    for points in programs:
        fitted = fit_far_memory(points.program, points.local_frac, points.slowdown)
        assert fitted.errors.mean() < 0.05
        assert leave_one_out(fitted).mean() < 0.15
