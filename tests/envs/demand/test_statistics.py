"""The figures that fits are judged by, on traces whose answer is known by hand."""

import numpy as np
import pytest

from gymbal_envs.demand.statistics import (
    autocorrelation,
    chance_of_more,
    coefficient_of_variation,
    fleet_figures,
    host_demand,
    host_overloads,
    level_quantiles,
    mean_pair_correlation,
    overload_runs,
    peak_to_mean,
)
from gymbal_envs.demand.trace import Trace


def trace_of(active: np.ndarray, memory_bytes: np.ndarray | None = None) -> Trace:
    active = np.asarray(active, np.float32)
    n = len(active)
    return Trace(
        name="test",
        start_s=0.0,
        step_s=300.0,
        vm_id=np.arange(n),
        cores=np.ones(n),
        memory_bytes=np.full(n, 100.0) if memory_bytes is None else memory_bytes,
        cpu_frac=active,
        active_frac=active,
    )


def test_levels_of_a_known_series() -> None:
    values = np.array([[0.0, 0.2, 0.4], [0.0, 0.0, 0.0]], np.float32)
    assert level_quantiles(values, (0.5, 1.0)) == pytest.approx([0.0, 0.4])
    assert peak_to_mean(values)[0] == pytest.approx(2.0)
    assert coefficient_of_variation(values)[0] == pytest.approx(np.sqrt(2 / 3))
    assert np.isnan(peak_to_mean(values)[1])
    assert np.isnan(coefficient_of_variation(values)[1])


def test_autocorrelation_of_alternating_and_constant_series() -> None:
    values = np.array([[0.1, 0.9] * 10, [0.5] * 20], np.float32)
    assert autocorrelation(values, 1)[0] == pytest.approx(-1.0)
    assert autocorrelation(values, 2)[0] == pytest.approx(1.0)
    assert np.isnan(autocorrelation(values, 1)[1])


def test_autocorrelation_of_an_ar1_is_its_coefficient() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200_000)
    for t in range(1, x.size):
        x[t] = 0.7 * x[t - 1] + np.sqrt(1 - 0.49) * x[t]
    values = (0.5 + 0.05 * x).astype(np.float32)[None]
    assert autocorrelation(values, 1)[0] == pytest.approx(0.7, abs=0.01)
    assert autocorrelation(values, 3)[0] == pytest.approx(0.343, abs=0.015)


@pytest.mark.parametrize("lag", [0, 9, 100])
def test_autocorrelation_refuses_a_lag_without_pairs(lag: int) -> None:
    with pytest.raises(ValueError, match="lag must lie in 1"):
        autocorrelation(np.zeros((1, 10), np.float32), lag)


def test_pair_correlation_agrees_with_the_matrix() -> None:
    values = np.random.default_rng(0).random((7, 50)).astype(np.float32)
    matrix = np.asarray(np.corrcoef(values))
    expected = matrix[np.triu_indices(7, 1)].mean()
    assert mean_pair_correlation(values) == pytest.approx(expected)
    assert np.isnan(mean_pair_correlation(values[:1]))


def test_runs_say_where_they_were_cut() -> None:
    load = np.array([[1.5, 0.5, 1.2, 1.3, 0.9, 1.1], [0.1, 0.2, 1.0, 0.3, 2.0, 0.4]])
    runs = overload_runs(load)
    assert runs.length.tolist() == [1, 2, 1, 1]
    assert runs.complete.tolist() == [False, True, False, True]
    assert runs.onset.tolist() == [1.5, 1.2, 1.1, 2.0]
    np.testing.assert_allclose(runs.before, [np.nan, 0.5, 0.9, 0.3])


def test_chance_of_more_of_geometric_runs_is_constant() -> None:
    length = np.random.default_rng(0).geometric(0.2, 200_000)
    assert chance_of_more(length, (1, 3, 6), 3) == pytest.approx((0.512, 0.512, 0.512), abs=0.02)
    assert np.isnan(chance_of_more(np.array([1, 2]), (5,), 1)[0])


def test_host_demand_adds_bytes() -> None:
    trace = trace_of(np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([100.0, 50.0]))
    demand, provisioned = host_demand(trace, vms_per_host=2, num_hosts=3, seed=0)
    np.testing.assert_allclose(demand, [[25.0, 40.0]] * 3, rtol=1e-6)
    np.testing.assert_allclose(provisioned, [150.0] * 3)
    with pytest.raises(ValueError, match="has 2 VMs, a host needs 3"):
        host_demand(trace, vms_per_host=3, num_hosts=1, seed=0)


def test_overloads_of_one_known_host() -> None:
    # Host memory is half of what is provisioned: overloaded above 0.5.
    active = np.array([[0.1, 0.1, 0.6, 0.1, 0.4, 0.75, 0.7, 0.6, 0.8, 0.2]])
    figures = host_overloads(trace_of(active), overcommit=2, vms_per_host=1, num_hosts=1)
    assert figures.time_frac == pytest.approx(0.5)
    assert figures.num_episodes == 2
    assert figures.short_frac == pytest.approx(0.5)
    assert figures.more_15min[0] == pytest.approx(0.5)
    assert figures.before_onset[1] == pytest.approx((0.2 + 0.8) / 2)
    assert figures.jump_median == pytest.approx((1.0 + 0.7) / 2)


def test_overloads_without_any_are_nan_not_an_error() -> None:
    figures = host_overloads(trace_of(np.full((2, 9), 0.1)), 2, vms_per_host=2, num_hosts=2)
    assert figures.time_frac == 0.0
    assert figures.num_episodes == 0
    assert np.isnan(figures.short_frac)
    assert np.isnan(figures.duration_min).all()


def test_figures_are_deterministic() -> None:
    active = np.random.default_rng(0).random((25, 600))
    assert fleet_figures(trace_of(active)) == fleet_figures(trace_of(active))
    assert host_overloads(trace_of(active), 1.9, 5) == host_overloads(trace_of(active), 1.9, 5)
