from __future__ import annotations

import itertools

import numpy as np
import pytest

from gymbal_runtime.heuristics.miss_curve import MissCurve, least_misses


def _curves(rng: np.random.Generator, num_vms: int, *, convex: bool) -> MissCurve:
    actual = rng.uniform(100.0, 1000.0, (1, num_vms))
    hits = rng.exponential(50.0, (1, num_vms, 8))
    missing = actual * rng.uniform(0.125, 0.5, (1, num_vms))
    faults = rng.exponential(50.0, (1, num_vms))
    if convex:
        hits = -np.sort(-hits, axis=-1)
        faults = np.minimum(faults, hits[..., -1] * 8.0 / actual * missing)
    return MissCurve.from_histogram(actual, missing, hits, faults)


def test_curve_by_hand() -> None:
    # A = 800 in slices of 100. 10 faults/s at A, gone at A + 200; 90 hits in the first slice and 40
    # in the last one.
    hits = np.zeros((1, 1, 8))
    hits[..., 0], hits[..., 7] = 90.0, 40.0
    curve = MissCurve.from_histogram(*np.array([[[800.0]], [[200.0]]]), hits, np.array([[10.0]]))
    memory = [0.0, 50.0, 100.0, 700.0, 750.0, 800.0, 900.0, 1000.0, 2000.0]
    misses = [140.0, 95.0, 50.0, 50.0, 30.0, 10.0, 5.0, 0.0, 0.0]
    found = [float(curve.at(np.array([[x]]))[0, 0]) for x in memory]
    np.testing.assert_allclose(found, misses)


def _pairwise_climb(
    curve: MissCurve, low: np.ndarray, high: np.ndarray, budget: float
) -> np.ndarray:
    """The published hill climb, one pair at a time."""
    memory = low + (budget - low.sum()) * (high - low) / (high - low).sum()
    step = budget / 8.0
    pairs = list(itertools.permutations(range(low.shape[1]), 2))
    while step > budget / 4096.0:
        trials = []
        for giver, taker in pairs:
            trial = memory.copy()
            trial[0, giver] -= step
            trial[0, taker] += step
            if np.all((trial >= low) & (trial <= high)):
                trials.append((curve.at(trial).sum(), giver, taker, trial))
        best = min(trials, default=None, key=lambda found: found[0])
        if best is not None and best[0] < curve.at(memory).sum() * (1.0 - 1e-9):
            memory = best[3]
        else:
            step /= 2.0
    return memory


@pytest.mark.parametrize("seed", range(10))
def test_convex_curves_reach_the_optimum_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curve = _curves(rng, 3, convex=True)
    low, high = curve.knots[-2] * 0.1, curve.knots[-2] * 1.5
    budget = float(low.sum() + 0.5 * (high - low).sum())
    found = least_misses(curve, low, high, np.array([budget]))
    assert found.sum() == pytest.approx(budget)
    first, second = np.meshgrid(*(np.linspace(low[0, v], high[0, v], 200) for v in range(2)))
    splits = np.stack([first, second, budget - first - second], axis=-1).reshape(-1, 3)
    splits = splits[(splits[:, 2] >= low[0, 2]) & (splits[:, 2] <= high[0, 2])]
    misses = sum(
        np.interp(splits[:, v], curve.knots[:, 0, v], curve.misses[:, 0, v]) for v in range(3)
    )
    ours = curve.at(found).sum()
    assert ours <= np.min(misses) * (1.0 + 1e-9)
    assert ours >= np.min(misses) * 0.97, "the grid is this coarse"
    climbed = curve.at(_pairwise_climb(curve, low, high, budget)).sum()
    assert ours <= climbed * (1.0 + 1e-9)
    assert ours == pytest.approx(climbed, rel=0.01), "where the published climb ends"


def _hull_at(curve: MissCurve, low: float, high: float, vm: int, memory: float) -> float:
    """Lower convex hull of one curve within [low, high] at ``memory``, by all chords."""
    ends = np.clip(curve.knots[:, 0, vm], low, high)
    ends = np.unique(np.append(ends, high))
    heights = np.interp(ends, curve.knots[:, 0, vm], curve.misses[:, 0, vm])
    chords = [
        np.interp(memory, [a, b], [fa, fb])
        for (a, fa), (b, fb) in itertools.combinations(zip(ends, heights, strict=True), 2)
        if a <= memory <= b
    ]
    return float(min(chords))


@pytest.mark.parametrize("seed", range(10))
def test_all_but_one_vm_end_where_curve_and_hull_agree(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    curve = _curves(rng, 6, convex=False)
    low, high = curve.knots[-2] * 0.05, curve.knots[-2] * 1.2
    budget = float(low.sum() + 0.4 * (high - low).sum())
    found = least_misses(curve, low, high, np.array([budget]))
    gaps = [
        float(curve.at(found)[0, v]) - _hull_at(curve, low[0, v], high[0, v], v, found[0, v])
        for v in range(6)
    ]
    assert min(gaps) >= -1e-6
    assert sum(gap > 1e-6 for gap in gaps) <= 1


def test_equal_vms_share_alike_and_spare_memory_is_shared() -> None:
    hits = np.full((1, 2, 8), 10.0)
    actual = np.full((1, 2), 800.0)
    curve = MissCurve.from_histogram(actual, actual / 8.0, hits, np.zeros((1, 2)))
    low, high = np.zeros((1, 2)), np.full((1, 2), 2000.0)
    np.testing.assert_allclose(least_misses(curve, low, high, np.array([900.0])), [[450, 450]])
    np.testing.assert_allclose(least_misses(curve, low, high, np.array([3000.0])), [[1500, 1500]])
