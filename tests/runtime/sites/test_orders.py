import numpy as np
import pytest

from gymbal_runtime.sites.orders import (
    COLD,
    CONTINUE,
    COPY,
    COPY_REDUCED,
    LEGAL,
    NUM_VERBS,
    REPLICATE,
    STOP,
    SUSPEND,
    SitesOrders,
    legal,
    only_legal,
)
from gymbal_runtime.sites.telemetry import (
    ARRIVED,
    AT_SOURCE,
    BULK,
    HAND_OVER,
    LAST_COPY,
    MIRROR,
    PRECOPY,
)


@pytest.mark.parametrize(
    ("phase", "suspended", "reduced", "verbs"),
    [
        (AT_SOURCE, 0, 0, {REPLICATE, COPY_REDUCED, COLD}),
        (BULK, 0, 0, {COPY_REDUCED, COLD, SUSPEND}),
        (BULK, 0, 1, {REPLICATE, COLD, SUSPEND}),
        (BULK, 1, 0, {REPLICATE, COPY_REDUCED, COLD}),
        (MIRROR, 0, 0, {COPY, COPY_REDUCED, COLD, SUSPEND}),
        (MIRROR, 0, 1, {REPLICATE, COPY, COPY_REDUCED, COLD, SUSPEND}),
        (MIRROR, 1, 0, {REPLICATE, COPY, COPY_REDUCED, COLD}),
        (PRECOPY, 0, 0, {COPY_REDUCED, STOP, SUSPEND}),
        (PRECOPY, 0, 1, {COPY, STOP, SUSPEND}),
        (PRECOPY, 1, 1, {COPY, COPY_REDUCED, STOP}),
        (LAST_COPY, 0, 1, set()),
        (HAND_OVER, 0, 0, set()),
        (ARRIVED, 0, 1, set()),
    ],
)
def test_what_is_legal_follows_from_the_phase(phase, suspended, reduced, verbs):
    found = set(np.flatnonzero(LEGAL[phase, suspended, reduced]))
    assert found == verbs | {CONTINUE}


def test_there_is_always_something_legal():
    assert LEGAL[..., CONTINUE].all()


def test_nothing_can_be_told_where_no_vm_is(plain):
    record = plain(present=False)
    assert legal(record).sum(axis=-1).tolist() == [[1, 1]]


def test_legality_of_a_vm_does_not_depend_on_others(wild):
    record = wild(1)
    order = np.random.default_rng(0).permutation(record.num_vms)
    np.testing.assert_array_equal(legal(record.take_vms(order)), legal(record)[:, order])
    few = np.array([3, 0])
    np.testing.assert_array_equal(legal(record.take_worlds(few)), legal(record)[few])


def test_what_is_not_legal_becomes_continue(wild):
    record = wild(2)
    verb = np.random.default_rng(1).integers(-3, NUM_VERBS + 3, record.present.shape)
    cleaned = only_legal(verb, record)
    allowed = np.take_along_axis(legal(record), cleaned[..., None].astype(int), axis=2)
    assert allowed.all()
    kept = (cleaned == verb) | (cleaned == CONTINUE)
    assert kept.all()
    assert (cleaned != CONTINUE).any()


def test_orders_are_checked():
    SitesOrders.none(2, 3).check((2, 3))
    with pytest.raises(ValueError, match="the worlds have"):
        SitesOrders.none(2, 3).check((3, 2))
    with pytest.raises(ValueError, match="verb"):
        SitesOrders.of(np.array([[7]])).check((1, 1))
    wrong = SitesOrders(np.zeros((1, 1), np.int8), np.full((1, 1), 5, np.int8))
    with pytest.raises(ValueError, match="stop_rule"):
        wrong.check((1, 1))
