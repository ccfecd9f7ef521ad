"""VMs of a size, evenly packed, and windows that see overloads but not the long ones more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.scenarios.cluster_packing import (
    alike,
    deal,
    onsets,
    pack,
    per_host,
    window_start,
)


def rng(seed=0):
    return np.random.Generator(np.random.Philox(key=seed))


@settings(max_examples=60, deadline=None)
@given(
    memory=st.lists(st.floats(1, 500), min_size=1, max_size=60),
    band=st.floats(1, 4),
    wanted=st.integers(1, 200),
    seed=st.integers(0, 99),
)
def test_alike_vms_are_of_a_size_but_never_too_few(memory, band, wanted, seed):
    memory = np.array(memory)
    near = alike(rng(seed), memory, band, wanted)
    assert near.sum() >= min(wanted, memory.size) / 2
    # whoever lies between two that were taken is taken, too
    low, high = memory[near].min(), memory[near].max()
    assert near[(memory >= low) & (memory <= high)].all()


def test_a_wide_enough_band_is_kept():
    memory = np.array([1.0, 2.0, 4.0, 8.0] * 20)
    for seed in range(20):
        near = alike(rng(seed), memory, 2.0, 20)
        assert memory[near].max() / memory[near].min() <= 4.0


def test_dealing_uses_every_vm_before_any_twice():
    rows, copy = deal(rng(), np.arange(10, 17), 17)
    assert sorted(rows[:7]) == sorted(rows[7:14]) == list(range(10, 17))
    assert copy.tolist() == [0] * 7 + [1] * 7 + [2] * 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 99))
def test_packing_fills_every_place_and_balances_memory(counts, seed):
    counts = np.array(counts)
    memory = rng(seed).uniform(1, 4, counts.sum())
    host = pack(memory, counts)
    np.testing.assert_array_equal(np.bincount(host, minlength=counts.size), counts)
    each = per_host(memory, host, counts.size) / counts
    assert each.max() - each.min() <= memory.max() - memory.min()


def test_sums_per_host_keep_time():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(per_host(values, np.array([1, 0, 1]), 2), [[3, 4], [6, 8]])


def test_onsets_are_where_overloads_begin():
    load = np.array([[2.0, 0.5, 1.5, 1.5, 0.2], [0.1, 1.0, 1.1, 0.0, 3.0]])
    assert onsets(load).tolist() == [[0, 2], [1, 2], [1, 4]]


def overloads(lengths, gap, host_samples):
    """One host with overloads of these lengths, each after a gap."""
    load = np.zeros((1, host_samples))
    at = gap
    for length in lengths:
        load[0, at : at + length] = 1.5
        at += length + gap
    assert at <= host_samples
    return load


def test_planned_windows_see_an_overload_begin():
    load = overloads([1, 3, 9], 40, 300)
    for seed in range(60):
        start = window_start(rng(seed), load, 13, 1.0)
        begun = onsets(load)[:, 1] - start
        assert np.any((begun >= 1) & (begun <= 8))


def test_long_overloads_are_not_drawn_more_often_than_short_ones():
    load = overloads([1, 60], 40, 300)
    starts = np.array([window_start(rng(seed), load, 13, 1.0) for seed in range(400)])
    short = np.mean(starts < 45)
    assert short == pytest.approx(0.5, abs=0.08)
    evenly = np.array([window_start(rng(seed), load, 13, 0.0) for seed in range(400)])
    sees = np.array([load[0, s : s + 13].any() for s in evenly])
    assert np.mean(evenly[sees] < 45) < 0.35  # what is drawn evenly sees the long one


def test_windows_stay_inside_and_calm_clusters_are_drawn_evenly():
    calm = np.zeros((2, 50))
    starts = {window_start(rng(seed), calm, 13, 1.0) for seed in range(400)}
    assert starts == set(range(38))
    edge = np.zeros((1, 20))
    edge[0, -1] = 2.0
    assert all(0 <= window_start(rng(seed), edge, 13, 1.0) <= 7 for seed in range(30))
