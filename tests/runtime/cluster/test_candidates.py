from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.cluster.candidates import (
    MOST_TARGETS,
    choose_candidates,
    pressed_hosts,
    ranked_candidates,
    sensible,
)
from gymbal_runtime.cluster.orders import legal

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


def test_a_host_is_pressed_by_a_stall_or_by_memory_in_use(two_hosts, with_vm):
    record = two_hosts()
    idle = replace(record, hosts=replace(record.hosts, usable_bytes=record.hosts.actual_bytes))
    assert not pressed_hosts(idle).any()
    np.testing.assert_array_equal(
        pressed_hosts(with_vm(idle, 0, 1, psi_some_frac=0.3)), [[True, False]]
    )
    full = idle.capacity_bytes[0, 1]
    used = with_vm(idle, 1, 0, actual_bytes=0.9 * full, usable_bytes=0.05 * full)
    np.testing.assert_array_equal(pressed_hosts(used), [[False, True]])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_sensible_orders_are_legal_ones_to_the_roomiest_hosts(random_cluster, seed):
    record = random_cluster(seed, num_clusters=2, num_hosts=6, num_vms=4)
    allowed = legal(record, choose_candidates(record, 3))
    asked, pressed = sensible(allowed, record), pressed_hosts(record)[:, :, None, None]
    wanted = allowed.migrate & pressed
    assert not (asked.migrate & ~wanted).any()
    count = np.minimum(wanted.sum(axis=3), MOST_TARGETS)
    np.testing.assert_array_equal(asked.migrate.sum(axis=3), count)
    room = np.broadcast_to(record.room_bytes[:, None, None, :], wanted.shape)
    least = np.where(asked.migrate, room, np.inf).min(axis=3)
    left_out = np.where(wanted & ~asked.migrate, room, -np.inf).max(axis=3)
    assert (left_out <= least).all()
    np.testing.assert_array_equal(asked.recall, allowed.recall)
    np.testing.assert_array_equal(asked.cancel, allowed.cancel)
