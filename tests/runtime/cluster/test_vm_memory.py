from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.cluster.telemetry import NOBODY, empty_cluster
from gymbal_runtime.cluster.vm_memory import VmMemory, changes_between

WIDTHS = {"seen": (), "pair": (2,)}


def _record(ids):
    ids = np.asarray(ids, dtype=np.int64)
    return replace(empty_cluster(*ids.shape), vm_id=ids)


def test_nobody_moved__is_none():
    ids = np.arange(6).reshape(1, 2, 3)
    assert changes_between(ids, ids.copy()) is None


def test_memory_follows_a_vm_and_forgets_one_that_left():
    memory = VmMemory()
    memory.follow(_record([[[7, 8], [9, NOBODY]]]), WIDTHS)
    memory.arrays["seen"][...] = [[[1.0, 2.0], [3.0, np.nan]]]
    memory.arrays["pair"][0, 0, 0] = [4.0, 5.0]
    memory.follow(_record([[[NOBODY, 11], [9, 7]]]), WIDTHS)
    np.testing.assert_array_equal(memory.arrays["seen"], [[[np.nan, np.nan], [3.0, 1.0]]])
    np.testing.assert_array_equal(memory.arrays["pair"][0, 1, 1], [4.0, 5.0])
    assert np.isnan(memory.arrays["pair"][0, 0]).all()


def test_two_vms_that_swap_places_swap_their_memory():
    memory = VmMemory()
    memory.follow(_record([[[1], [2]]]), WIDTHS)
    memory.arrays["seen"][...] = [[[10.0], [20.0]]]
    memory.follow(_record([[[2], [1]]]), WIDTHS)
    np.testing.assert_array_equal(memory.arrays["seen"], [[[20.0], [10.0]]])


def test_the_same_identity_in_another_cluster_is_somebody_else():
    memory = VmMemory()
    memory.follow(_record([[[5, NOBODY]], [[NOBODY, NOBODY]]]), WIDTHS)
    memory.arrays["seen"][0, 0, 0] = 1.0
    memory.follow(_record([[[NOBODY, NOBODY]], [[5, NOBODY]]]), WIDTHS)
    assert np.isnan(memory.arrays["seen"]).all()


@given(seed=st.integers(0, 100_000))
@settings(max_examples=100, deadline=None)
def test_every_vm_keeps_its_memory_through_any_shuffle(seed):
    rng = np.random.default_rng(seed)
    shape = (3, 3, 4)
    memory, truth = VmMemory(), {}
    for _ in range(5):
        ids = rng.permuted(np.tile(np.arange(20), (3, 1)), axis=1)[:, :12].reshape(shape)
        ids = np.where(rng.random(shape) < 0.3, NOBODY, ids)
        memory.follow(_record(ids), WIDTHS)
        remembered = memory.arrays["seen"]
        now = {}
        for place in np.argwhere(ids != NOBODY):
            key = (place[0], ids[tuple(place)])
            value = remembered[tuple(place)]
            assert np.isnan(value) if key not in truth else value == truth[key]
            now[key] = remembered[tuple(place)] = rng.random()
        assert np.isnan(remembered[ids == NOBODY]).all()
        truth = now


def test_forget__some_clusters_alone():
    memory = VmMemory()
    record = _record(np.arange(8).reshape(2, 2, 2))
    memory.follow(record, WIDTHS)
    memory.arrays["seen"][...] = 1.0
    memory.forget(np.array([False, True]))
    memory.follow(record, WIDTHS)
    assert (memory.arrays["seen"][0] == 1.0).all()
    assert np.isnan(memory.arrays["seen"][1]).all()
