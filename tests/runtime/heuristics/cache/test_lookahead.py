"""Lookahead against its definition, and the arithmetic of parts."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.heuristics.cache.limits import CacheLimits
from gymbal_runtime.heuristics.cache.lookahead import lookahead, lookahead_units
from gymbal_runtime.heuristics.cache.way_split import (
    apportion,
    equal_classes,
    equal_parts,
    merge_smallest,
    renumber,
)

seeds = st.integers(0, 2**32 - 1)


def _by_definition(cost: np.ndarray, total: int) -> list[int]:
    """Algorithm 2 of the paper, one host, nothing clever."""
    taken, left = [0] * len(cost), total
    while left:
        best = max(
            ((c[a] - c[a + k]) / k, -i, -k)
            for i, (c, a) in enumerate(zip(cost, taken, strict=True))
            for k in range(1, left + 1)
        )
        if best[0] <= 0:
            break
        taken[-best[1]] -= best[2]
        left += best[2]
    players = len(cost)
    return [a + left // players + (i < left % players) for i, a in enumerate(taken)]


def _limits(num_vms: int, units: int, classes: int, least: int) -> CacheLimits:
    one = np.ones(1, dtype=np.int64)
    present = np.ones((1, num_vms), dtype=np.bool_)
    return CacheLimits(present, units * one, classes * one, least * one, one > 0)


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_it_is_the_published_algorithm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drops = rng.integers(0, 50, (5, 4, 12)) * (rng.random((5, 4, 12)) < 0.4)
    cost = np.concatenate([np.zeros((5, 4, 1)), -drops.cumsum(axis=2)], axis=2).astype(float)
    total = rng.integers(0, 13, 5)
    found = lookahead(cost, total, np.ones((5, 4), dtype=np.bool_))
    for h in range(5):
        assert found[h].tolist() == _by_definition(cost[h], int(total[h]))


def test_a_cliff_that_greed_does_not_see() -> None:
    # One more unit never helps the first; four at once save 100, 25 each. Greedy gives all to the
    # second, which gains 10 from each.
    cliff = np.array([[100.0, 100, 100, 100, 0, 0, 0], np.linspace(60, 0, 7)])[None]
    found = lookahead(cliff, np.array([6]), np.ones((1, 2), dtype=np.bool_))
    assert found.tolist() == [[4, 2]]
    # A cliff out of reach is no temptation.
    assert lookahead(cliff, np.array([3]), np.ones((1, 2), dtype=np.bool_)).tolist() == [[0, 3]]


def test_minimum_and_useless_units() -> None:
    flat = np.zeros((1, 3, 13))
    players = np.array([[True, True, False]])
    found = lookahead_units(flat, np.array([2]), np.array([11]), players)
    assert found.tolist() == [[6, 5, 0]]


def test_many_colours_go_in_steps_that_add_up() -> None:
    curve = np.linspace(1.0, 0.0, 13)[None, None].repeat(3, axis=1)
    curve[0, 1] *= 5.0
    found = lookahead_units(curve, np.array([1]), np.array([70]), np.ones((1, 3), dtype=np.bool_))
    assert found.sum() == 70
    assert found[0, 1] > 60
    assert found.min() >= 1


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_apportion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    used = rng.random((8, 6)) < 0.7
    least = rng.integers(1, 3, 8)
    total = least * used.sum(axis=1) + rng.integers(0, 20, 8)
    wanted = rng.normal(5.0, 6.0, (8, 6))
    found = apportion(wanted, used, total, least)
    assert np.all(found[used] >= np.broadcast_to(least[:, None], (8, 6))[used])
    assert np.all(found[~used] == 0)
    np.testing.assert_array_equal(found.sum(axis=1), np.where(used.any(axis=1), total, 0))
    np.testing.assert_array_equal(apportion(found.astype(float), used, total, least), found)


def test_equal_parts_merge_neighbours() -> None:
    limits = _limits(5, 11, 3, 1)
    vm_class = equal_classes(limits)
    assert vm_class.tolist() == [[0, 0, 1, 1, 2]]
    assert equal_parts(vm_class, limits)[0, :3].tolist() == [5, 4, 2]
    # Two units at least: 11 units are five classes at most.
    assert _limits(9, 11, 16, 2).parts.tolist() == [5]


def test_the_smallest_parts_are_merged() -> None:
    vm_class, units = merge_smallest(np.array([[1, 6, 0, 4]]), _limits(4, 11, 3, 1))
    assert vm_class.tolist() == [[0, 1, 0, 2]]
    assert units.tolist() == [[1, 6, 1, 4]]


def test_classes_are_numbered_by_first_member() -> None:
    for order in itertools.permutations((3, 7, 5)):
        group = np.array([order[0], order[1], order[0], order[2]])[None]
        assert renumber(group, np.ones((1, 4), dtype=np.bool_)).tolist() == [[0, 1, 0, 2]]
