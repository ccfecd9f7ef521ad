from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.heuristics.split import host_sum, project_to_budget, water_fill


class Problem(NamedTuple):
    target: np.ndarray
    low: np.ndarray
    high: np.ndarray
    budget: np.ndarray
    present: np.ndarray


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    num_hosts, num_vms = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(0, 13))
    shape = (num_hosts, num_vms)
    high = rng.uniform(0.0, scale, shape) * (rng.random(shape) < 0.9)
    low = high * rng.choice([0.0, 0.3, 1.0], shape) * rng.random(shape)
    target = rng.choice([0.0, 1.0, 1.0, 1.5], shape) * rng.uniform(0.0, scale, shape)
    budget = scale * num_vms * rng.uniform(0.01, 1.2, num_hosts)
    present = rng.random(shape) < 0.8
    return Problem(np.where(present, target, np.nan), low, high, budget, present)


def _check_feasible(x: np.ndarray, p: Problem) -> None:
    assert np.all(np.isfinite(x))
    assert np.all(x[~p.present] == 0.0)
    fits = host_sum(p.low, p.present) <= p.budget
    assert np.all(x.sum(axis=-1) <= p.budget)
    assert np.all(x[:, ::-1].sum(axis=-1) <= p.budget), "in any order of summation"
    inside = (x >= p.low) & (x <= p.high)
    assert np.all(inside | ~p.present | ~fits[:, None])


@given(problems())
def test_projection_is_feasible_and_leaves_feasible_splits_alone(p: Problem) -> None:
    x = project_to_budget(*p)
    _check_feasible(x, p)
    np.testing.assert_array_equal(project_to_budget(x, *p[1:]), x)
    clipped = np.where(p.present, np.clip(p.target, p.low, p.high), 0.0)
    free = clipped.sum(axis=-1) <= p.budget
    np.testing.assert_array_equal(x[free], clipped[free])


@given(problems())
def test_projection_satisfies_the_optimality_conditions(p: Problem) -> None:
    # One multiplier lambda >= 0 per host with x = clip(target - lambda, low, high).
    x = project_to_budget(*p)
    wanted = np.where(p.present, p.target, 0.0)
    for h in range(len(x)):
        if host_sum(p.low, p.present)[h] >= p.budget[h]:
            continue
        tolerance = 1e-9 * max(p.budget[h], wanted[h].max())
        inner = p.present[h] & (x[h] > p.low[h] + tolerance) & (x[h] < p.high[h] - tolerance)
        multipliers = (wanted - x)[h, inner]
        assert np.ptp(multipliers) <= tolerance if inner.any() else True
        assert np.all(multipliers >= -tolerance)


@given(problems())
def test_water_fill_is_feasible_and_spends_the_budget(p: Problem) -> None:
    x = water_fill(*p)
    _check_feasible(x, p)
    expected = np.minimum(p.budget, host_sum(p.high, p.present))
    np.testing.assert_allclose(x.sum(axis=-1), expected, rtol=1e-12)


@given(problems())
def test_water_fill_is_proportional_between_the_bounds(p: Problem) -> None:
    # Within the range of weights that count as they are.
    weights = np.where(p.present, p.target, 0.0) + 1e-3 * p.budget.max()
    x = water_fill(weights, *p[1:])
    for h in range(len(x)):
        if host_sum(p.low, p.present)[h] >= p.budget[h]:
            continue
        tolerance = 1e-9 * p.budget[h]
        inner = p.present[h] & (x[h] > p.low[h] + tolerance) & (x[h] < p.high[h] - tolerance)
        theta = (x / weights)[h, inner]
        assert np.ptp(theta) <= 1e-6 * theta.max() if inner.any() else True


@pytest.mark.parametrize("split", [project_to_budget, water_fill])
@given(p=problems())
@settings(max_examples=50)
def test_a_host_does_not_depend_on_the_batch(split, p: Problem) -> None:
    x = split(*p)
    for h in range(len(x)):
        np.testing.assert_array_equal(split(*(part[h : h + 1] for part in p))[0], x[h])


@pytest.mark.parametrize("split", [project_to_budget, water_fill])
@given(p=problems(), seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_permuting_vms_permutes_the_split(split, p: Problem, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(p.target.shape[1])
    permuted = Problem(*(a[:, order] if a.ndim == 2 else a for a in p))
    scale = p.budget.max()
    np.testing.assert_allclose(split(*permuted), split(*p)[:, order], atol=1e-9 * scale)


def _host(*rows: list[float]) -> list[np.ndarray]:
    return [np.array([row], dtype=float) for row in rows]


def test_projection_takes_the_same_from_everybody() -> None:
    # 10 + 6 + 2 = 18 of 12: lambda = 3 would leave 7, 3 and -1, so the third stays at its floor 1
    # and the others give (10 + 6 - 11) / 2 = 2.5 each.
    target, low, high, present = *_host([10, 6, 2], [0, 0, 1], [20, 20, 20]), np.ones((1, 3), bool)
    x = project_to_budget(target, low, high, np.array([12.0]), present)
    np.testing.assert_allclose(x, [[7.5, 3.5, 1.0]])


def test_water_fill_respects_a_ceiling() -> None:
    # Weights 1:1:2 of 12 give 3, 3, 6; the third may hold 4, the others share 8.
    weights, low, high, present = *_host([1, 1, 2], [0, 0, 0], [9, 9, 4]), np.ones((1, 3), bool)
    x = water_fill(weights, low, high, np.array([12.0]), present)
    np.testing.assert_allclose(x, [[4, 4, 4]])


def test_weights_of_zero_get_what_nobody_else_can_hold() -> None:
    weights, low, high, present = *_host([0, 1, 0], [0, 0, 0], [9, 5, 9]), np.ones((1, 3), bool)
    x = water_fill(weights, low, high, np.array([12.0]), present)
    np.testing.assert_allclose(x, [[3.5, 5, 3.5]])
    nothing = water_fill(np.zeros((1, 3)), low, high, np.array([12.0]), present)
    np.testing.assert_allclose(nothing, [[4, 4, 4]])


@pytest.mark.parametrize("split", [project_to_budget, water_fill])
def test_floors_that_do_not_fit_are_scaled(split) -> None:
    weights, low, high, present = *_host([5, 5], [6, 2], [9, 9]), np.ones((1, 2), bool)
    x = split(weights, low, high, np.array([4.0]), present)
    np.testing.assert_allclose(x, [[3, 1]])
