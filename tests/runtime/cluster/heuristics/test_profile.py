from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.cluster.heuristics.profile import PRIOR_S, worth_waiting


def _ask(lengths, elapsed, rate, move_s, prior_weight=0.0):
    row = np.full((1, 16), np.nan)
    row[0, : len(lengths)] = lengths
    answer = worth_waiting(
        row, np.array([elapsed]), np.array([rate]), np.array([move_s]), prior_weight
    )
    return bool(answer[0])


def _brute_force(lengths, elapsed, rate, move_s):
    """Least expected cost of waiting until any later moment, against moving now."""
    left = [length for length in lengths if length > elapsed]
    if not left:
        return False
    costs = []
    for theta in np.linspace(elapsed + 0.01, max(left) + 1.0, 4000):
        waited = [rate * (min(length, theta) - elapsed) for length in left]
        moved = [move_s * (length > theta) for length in left]
        costs.append(np.mean(np.add(waited, moved)))
    return min(costs) < move_s


def test_a_vm_whose_overloads_are_short_waits_and_one_whose_are_long_does_not():
    assert _ask([20.0] * 10, 0.0, 0.2, 10.0)
    assert not _ask([2000.0] * 10, 0.0, 0.2, 10.0)


def test_mostly_short_overloads_are_waited_for_until_this_one_is_older():
    lengths = [30.0] * 9 + [3000.0]
    assert _ask(lengths, 0.0, 0.2, 20.0)
    assert not _ask(lengths, 31.0, 0.2, 20.0)


def test_an_overload_longer_than_all_known_ones_lasts():
    assert not _ask([20.0] * 5, 5000.0, 0.2, 10.0, prior_weight=4.0)


def test_the_prior_decides_for_a_vm_without_a_past():
    assert _ask([], 0.0, 0.2, 20.0, prior_weight=4.0)
    assert not _ask([], 200.0, 0.2, 20.0, prior_weight=4.0)


def test_what_cannot_move_waits():
    assert _ask([2000.0], 100.0, 0.5, np.inf)


def test_the_prior_has_the_share_of_short_overloads_that_was_measured():
    assert np.mean(np.asarray(PRIOR_S) < 120.0) == pytest.approx(0.875)


@pytest.mark.parametrize("seed", range(40))
def test_the_answer_is_that_of_trying_every_moment(seed):
    rng = np.random.default_rng(seed)
    lengths = list(rng.lognormal(4.0, 1.2, rng.integers(1, 16)))
    elapsed, rate = rng.exponential(60.0), rng.uniform(0.01, 0.5)
    move_s = rng.uniform(1.0, 60.0)
    assert _ask(lengths, elapsed, rate, move_s) == _brute_force(lengths, elapsed, rate, move_s)
