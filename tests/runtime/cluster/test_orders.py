from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
    Legal,
    Orders,
    legal,
)

GIB = 2.0**30


def test_legal__of_a_calm_cluster(two_hosts):
    allowed = legal(two_hosts())
    np.testing.assert_array_equal(allowed.squeeze[0], [[1, 1, 0], [0, 0, 0]])  # alone on host 1
    np.testing.assert_array_equal(allowed.borrow[0], [[1, 1, 0], [1, 0, 0]])
    assert not allowed.recall.any()
    assert not allowed.merge.any()
    assert not allowed.cancel.any()
    np.testing.assert_array_equal(allowed.migrate[0, 0], [[0, 1], [0, 1], [0, 0]])
    np.testing.assert_array_equal(allowed.migrate[0, 1, 0], [1, 0])


def test_migrate__needs_room_for_the_vm_to_the_byte(two_hosts):
    record = two_hosts(room_bytes=np.array([[0.0, 3.0 * GIB]]))
    assert legal(record).migrate[0, 0, 0, 1]
    record = two_hosts(room_bytes=np.array([[0.0, 3.0 * GIB - 1.0]]))
    assert not legal(record).migrate[0, 0, 0, 1]
    assert legal(record).clone[0, 0, 0, 1]  # a quarter of it fits


@pytest.mark.parametrize("taken", ["present", "arriving"])
def test_migrate__needs_a_slot_that_is_neither_held_nor_reserved(two_hosts, with_vm, taken):
    record = two_hosts()
    record = with_vm(record, 1, 1, **{taken: True})
    assert legal(record).migrate[0, 0, 0, 1]
    record = with_vm(record, 1, 2, **{taken: True})
    assert not legal(record).migrate[0, 0, 0, 1]


def test_migrate__never_leads_to_an_absent_host(two_hosts):
    record = two_hosts(exists=np.array([[True, False]]))
    assert not legal(record).migrate[..., 1].any()


@pytest.mark.parametrize(
    ("phase", "possible"),
    [(1, {BORROW, CANCEL}), (2, {BORROW, CANCEL}), (3, set()), (4, set())],
)
def test_a_moving_vm__can_be_cancelled_before_its_last_copy(two_hosts, with_vm, phase, possible):
    allowed = legal(with_vm(two_hosts(), 0, 0, move_phase=phase, move_target=1))
    now = {BORROW: allowed.borrow, CANCEL: allowed.cancel, RECALL: allowed.recall}
    assert {verb for verb, where in now.items() if where[0, 0, 0]} == possible
    assert not allowed.migrate[0, 0, 0].any()
    assert not allowed.clone[0, 0, 0].any()


def test_a_vm_with_a_twin__can_only_merge_and_be_squeezed_for(two_hosts, with_vm):
    record = with_vm(two_hosts(), 0, 0, twin=1, far_bytes=GIB, borrowing=True)
    allowed = legal(record)
    at = (0, 0, 0)
    assert allowed.merge[at]
    assert allowed.squeeze[at]
    for refused in (allowed.recall, allowed.borrow, allowed.migrate, allowed.clone):
        assert not refused[at].any()


def test_borrow__needs_another_host_that_would_lend(two_hosts):
    allowed = legal(two_hosts(lendable_bytes=np.array([[GIB, 0.0]])))
    assert not allowed.borrow[0, 0].any()
    assert allowed.borrow[0, 1, 0]


def test_recall__needs_far_pages_or_borrowing(two_hosts, with_vm):
    assert legal(with_vm(two_hosts(), 0, 0, borrowing=True)).recall[0, 0, 0]
    assert legal(with_vm(two_hosts(), 0, 0, far_bytes=1.0)).recall[0, 0, 0]


def test_a_pinned_vm__moves_but_is_not_cloned(two_hosts, with_vm):
    allowed = legal(with_vm(two_hosts(), 0, 0, pinned=True))
    assert allowed.migrate[0, 0, 0, 1]
    assert not allowed.clone[0, 0, 0].any()


def test_clone__needs_an_origin_that_serves_its_pages(two_hosts):
    allowed = legal(two_hosts(lends=np.array([[False, True]])))
    assert not allowed.clone[0, 0].any()
    assert allowed.clone[0, 1, 0, 0]


def test_legal_of_some_slots__is_what_it_is_for_all(random_cluster):
    record = random_cluster(3, 4, 5, 6)
    slots = np.random.default_rng(0).integers(-1, 6, (4, 5, 3))
    of_all, of_some = legal(record), legal(record, slots)
    for field in fields(Legal):
        everyone = getattr(of_all, field.name)
        places = np.maximum(slots, 0)
        places = places.reshape(*places.shape, *[1] * (everyone.ndim - 3))
        somebody = (slots >= 0).reshape(places.shape)
        expected = np.take_along_axis(everyone, places, axis=2) & somebody
        np.testing.assert_array_equal(getattr(of_some, field.name), expected, field.name)


def test_nothing_is_legal_for_nobody(random_cluster):
    record = random_cluster(4)
    for field in fields(Legal):
        assert not getattr(legal(record), field.name)[~record.present].any(), field.name


def test_of__answers_for_each_order(two_hosts):
    record = two_hosts()
    orders = Orders.none(*record.shape)
    orders.verb[0, 0] = [SQUEEZE, MIGRATE, MIGRATE]
    orders.target[0, 0] = [-1, 1, 1]
    orders.verb[0, 1, 0], orders.target[0, 1, 0] = MERGE, -1
    np.testing.assert_array_equal(legal(record).of(orders)[0], [[1, 1, 0], [0, 1, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verb": np.full((1, 2, 3), 9, dtype=np.int8)}, "a verb is not"),
        ({"verb": np.full((1, 2, 3), CLONE, dtype=np.int8)}, "need a target"),
        ({"verb": np.zeros((1, 2, 4), dtype=np.int8)}, "slots"),
        ({"balance": np.ones(2, dtype=np.bool_)}, "does not fit"),
        ({"pool_bytes": np.full((1, 2), -1.0)}, "pool_bytes"),
        ({"thrift": np.zeros((1, 3))}, "thrift is for"),
        ({"thrift": np.array([[0.0, 1.5]])}, "thrift must lie"),
        ({"thrift": np.array([[np.nan, 0.0]])}, "thrift must lie"),
    ],
)
def test_check__refuses_what_does_not_fit(change, message):
    orders = Orders.none(1, 2, 3)
    orders.check((1, 2, 3))
    with pytest.raises(ValueError, match=message):
        replace(orders, **change).check((1, 2, 3))
