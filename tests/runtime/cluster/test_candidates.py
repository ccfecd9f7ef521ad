from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.cluster.candidates import choose_candidates, ranked_candidates

GIB = 2.0**30


def test_suffering_then_borrowing_then_moving_then_the_best_mover(two_hosts, with_vm):
    record = two_hosts(num_vms=6)
    for slot in range(2, 6):
        record = with_vm(record, 0, slot, present=True, vm_id=slot + 10, size_bytes=GIB)
    record = with_vm(record, 0, 4, psi_some_frac=0.3)
    record = with_vm(record, 0, 5, psi_some_frac=0.6)
    record = with_vm(record, 0, 3, far_bytes=GIB)
    record = with_vm(record, 0, 2, move_phase=2, move_target=1)
    record = with_vm(record, 0, 1, dirty_rate_bytes_s=1e9, dirty_set_bytes=3 * GIB)
    np.testing.assert_array_equal(choose_candidates(record, 6)[0, 0], [5, 4, 3, 2, 0, 1])
    np.testing.assert_array_equal(choose_candidates(record, 2)[0, 0], [5, 4])


def test_a_host_with_fewer_vms_has_nobody_in_the_rest(two_hosts):
    chosen = choose_candidates(two_hosts(), 5)
    assert chosen.shape == (1, 2, 5)
    np.testing.assert_array_equal(chosen[0, 1], [0, -1, -1, -1, -1])


@given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=30, deadline=None)
def test_candidates_are_present_and_named_once(random_cluster, seed, missing):
    record = random_cluster(seed, missing_frac=missing)
    slots, rank = ranked_candidates(record, 3)
    somebody = slots >= 0
    present = np.take_along_axis(record.present, np.maximum(slots, 0), axis=2)
    assert present[somebody].all()
    assert (somebody.sum(axis=2) == np.minimum(record.present.sum(axis=2), 3)).all()
    assert (np.diff(rank, axis=2) <= 0).all()
    for row in slots.reshape(-1, 3):
        assert len(set(row[row >= 0])) == (row >= 0).sum()


def test_what_absent_slots_hold_does_not_matter(random_cluster):
    record = random_cluster(5)
    garbage = np.where(record.present, record.size_bytes, np.nan)
    np.testing.assert_array_equal(
        choose_candidates(replace(record, size_bytes=garbage), 3), choose_candidates(record, 3)
    )
