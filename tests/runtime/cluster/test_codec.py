from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.cluster.candidates import MOST_TARGETS, pressed_hosts
from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.cluster.history import ClusterHistory
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
    WAIT,
    Orders,
    legal,
)
from gymbal_runtime.cluster.quantities import (
    HISTORY_QUANTITIES,
    VM_QUANTITIES,
)
from gymbal_runtime.tasks import BALLOON

GIB = 2.0**30
NAMES = [q.name for q in VM_QUANTITIES]
GOLDEN = "858bbf898aef76aa0620659efbb662de35afdcce6919f33e0da7afd2349e8686"
"""Changes with every change of what a policy sees; then bump CLUSTER_CODEC_VERSION or retrain."""


@pytest.fixture(scope="module")
def codec() -> ClusterCodec:
    return ClusterCodec()


def _encode(codec, record, base=None, history=None):
    base = base or Orders.none(*record.shape)
    history = history or codec.initial_history(*record.shape)
    return codec.encode(record, base, history)


def _busy_orders(record, seed):
    """Every kind of order, legal or not, all over the place."""
    rng = np.random.default_rng(seed)
    orders = Orders.none(*record.shape)
    orders.verb[...] = np.where(record.present, rng.integers(0, 8, record.shape), WAIT)
    orders.target[...] = rng.integers(0, record.num_hosts, record.shape)
    return orders


def test_fingerprint__is_the_golden_one(codec):
    assert codec.fingerprint() == GOLDEN


def test_fingerprint__depends_on_what_gives_numbers_their_meaning(codec):
    others = [
        ClusterCodec(heuristic="delay"),
        ClusterCodec(options={"patience_s": 1.0}),
        ClusterCodec(candidates=4),
    ]
    assert len({codec.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_a_codec_of_another_task_is_refused():
    with pytest.raises(ValueError, match="cluster codec is for"):
        ClusterCodec(task=BALLOON)
    with pytest.raises(ValueError, match="candidates"):
        ClusterCodec(candidates=0)


@given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=30, deadline=None)
def test_observation__lies_within_its_bounds(random_cluster, codec, seed, missing):
    record = random_cluster(seed, missing_frac=missing)
    seen, _ = _encode(codec, record, _busy_orders(record, seed))
    for name, (low, high) in codec.bounds().items():
        rows = seen[name]
        assert rows.dtype == np.float32
        assert rows.shape[-1] == len(low)
        assert np.isfinite(rows).all()
        assert ((rows >= low) & (rows <= high)).all()
    assert seen["vms"].shape == (3, 4, 3, codec.num_vm_features)
    assert seen["hosts"].shape == (3, 4, codec.num_host_features)
    assert seen["cluster"].shape == (3, codec.num_cluster_features)
    assert seen["mask"].shape == (3, codec.actions_of(4))
    assert (seen["vms"][seen["vm_present"] == 0] == 0).all()
    assert (seen["hosts"][seen["host_present"] == 0] == 0).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_mask__each_allowed_action_is_one_legal_order_and_each_other_is_pointless(
    random_cluster, codec, seed
):
    record = random_cluster(seed, num_clusters=2, num_hosts=3, num_vms=5)
    mask = codec.mask(record)
    np.testing.assert_array_equal(_encode(codec, record)[0]["mask"], mask)
    allowed, calm = legal(record), ~pressed_hosts(record)
    assert mask[:, 0].all()
    told = set()
    for action in range(mask.shape[1]):
        orders = codec.decode(np.full(2, action), record)
        orders.check(record.shape)
        given_orders = orders.verb != WAIT
        right = allowed.of(orders)
        for c in range(2):
            count = int(given_orders[c].sum())
            if action == 0:
                assert count == 0
            elif mask[c, action]:
                assert count == 1
                assert right[c][given_orders[c]].all()
                at = tuple(np.argwhere(given_orders[c])[0])
                key = (c, at, int(orders.verb[c][at]), int(orders.target[c][at]))
                assert key not in told  # no order has two names
                told.add(key)
            elif count and right[c][given_orders[c]].any():
                host, slot = np.argwhere(given_orders[c])[0][:2]
                better = allowed.migrate[c, host, slot] & (
                    record.room_bytes[c] >= record.room_bytes[c, orders.target[c, host, slot]]
                )
                assert calm[c, host] or better.sum() > MOST_TARGETS


def test_home__is_merge_for_twins_cancel_for_movers_and_recall_else(two_hosts, with_vm, codec):
    record = with_vm(two_hosts(), 0, 0, far_bytes=GIB)
    record = with_vm(record, 0, 1, move_phase=2, move_target=1)
    record = with_vm(record, 1, 0, twin=0)
    home = 1 + np.array([0, 1, 3]) * 6 + 2  # candidates (0, 0), (0, 1) and (1, 0), two hosts
    verbs = [codec.decode(np.array([a]), record).verb.max() for a in home]
    assert verbs == [RECALL, CANCEL, MERGE]


def test_clone__goes_to_the_legal_host_with_most_room(two_hosts, codec):
    room = np.array([[9.0, 2.0, 5.0]]) * GIB
    record = two_hosts(num_hosts=3, room_bytes=room)
    orders = codec.decode(np.array([1 + 3]), record)
    assert orders.verb[0, 0, 0] == CLONE
    assert orders.target[0, 0, 0] == 2


def test_decode__refuses_a_number_that_is_no_action(two_hosts, codec):
    record = two_hosts()
    for wrong in (-1, codec.actions_of(2)):
        with pytest.raises(ValueError, match="actions must be"):
            codec.decode(np.array([wrong]), record)


def test_decode__keeps_what_is_the_heuristics(two_hosts, codec):
    record = two_hosts()
    pools = np.array([[GIB, 0.0]])
    base = replace(Orders.none(1, 2, 3), balance=np.array([False]), pool_bytes=pools)
    orders = codec.decode(np.array([0]), record, base)
    assert not orders.balance[0]
    np.testing.assert_array_equal(orders.pool_bytes, pools)
    assert (orders.verb == WAIT).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_proposed__is_the_heuristics_most_urgent_order(random_cluster, codec, seed):
    record = random_cluster(seed)
    base = _busy_orders(record, seed)
    seen, _ = _encode(codec, record, base)
    action = seen["proposed"][:, 0].astype(int)
    assert (seen["mask"][np.arange(3), action] == 1).all()
    followed = codec.decode(action, record, base)
    np.testing.assert_array_equal(followed.verb, base.verb)
    np.testing.assert_array_equal(followed.target, base.target)
    orders = codec.decode(action, record)
    told = orders.verb != WAIT
    np.testing.assert_array_equal(orders.verb[told], base.verb[told])
    directed = orders.verb == MIGRATE
    np.testing.assert_array_equal(orders.target[directed], base.target[directed])


def test_proposed__a_move_goes_before_borrowing_and_0_is_nothing(two_hosts, codec):
    record = two_hosts()
    base = Orders.none(1, 2, 3)
    assert _encode(codec, record, base)[0]["proposed"][0, 0] == 0
    base.verb[0, 0, :2] = [BORROW, MIGRATE]
    base.target[0, 0, 1] = 1
    seen, _ = _encode(codec, record, base)
    orders = codec.decode(seen["proposed"][:, 0].astype(int), record)
    assert orders.verb[0, 0, 1] == MIGRATE
    assert orders.verb[0, 0, 0] == WAIT
    first = seen["vms"][0, 0, :, NAMES.index("told_first")]
    np.testing.assert_array_equal(first, [0, 1, 0])
    np.testing.assert_array_equal(seen["hosts"][0, :, -1], [0, 1])


def _run(codec, records, bases):
    history = codec.initial_history(*records[0].shape)
    for record, base in zip(records, bases, strict=True):
        seen, history = codec.encode(record, base, history)
    return seen


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_permuting_hosts_permutes_rows_and_actions(
    random_cluster, later, with_hosts_permuted, codec, seed
):
    record = random_cluster(seed)
    records = [record, later(record, seed, 10.0)]
    bases = [_busy_orders(r, seed) for r in records]
    order = np.random.default_rng(seed).permutation(4)
    place = np.argsort(order)
    moved = [with_hosts_permuted(r, order) for r in records]
    turned = [
        replace(b, verb=b.verb[:, order], target=place[b.target[:, order]].astype(np.int16))
        for b in bases
    ]
    one, other = _run(codec, records, bases), _run(codec, moved, turned)
    for name in ("vms", "vm_present", "hosts", "host_present"):
        np.testing.assert_allclose(other[name], one[name][:, order], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(other["cluster"], one["cluster"], atol=1e-6)
    blocks = one["mask"][:, 1:].reshape(3, 4, 3, 8)[:, order]
    blocks = np.concatenate([blocks[..., :4], blocks[..., 4:][..., order]], axis=-1)
    np.testing.assert_array_equal(other["mask"][:, 1:], blocks.reshape(3, -1))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_permuting_vms_changes_nothing_that_a_policy_sees(
    random_cluster, later, with_vms_permuted, codec, seed
):
    record = random_cluster(seed)
    # Candidates that are equally urgent keep the order of their slots.
    record = replace(record, move_progress=np.random.default_rng(seed).random(record.shape))
    records = [record, later(record, seed, 10.0)]
    bases = [Orders.none(*record.shape)] * 2
    order = np.random.default_rng(seed).permutation(5)
    one = _run(codec, records, bases)
    other = _run(codec, [with_vms_permuted(r, order) for r in records], bases)
    for name in one:
        np.testing.assert_allclose(other[name], one[name], atol=1e-6, err_msg=name)


def test_a_cluster_is_seen_the_same_in_any_batch(random_cluster, later, codec):
    record = random_cluster(11, num_clusters=4)
    records = [record, later(record, 1, 10.0)]
    bases = [_busy_orders(r, 2) for r in records]
    together = _run(codec, records, bases)
    for c in range(4):
        alone = _run(
            codec,
            [r.take_clusters(np.array([c])) for r in records],
            [Orders(b.verb[[c]], b.target[[c]], b.balance[[c]], b.pool_bytes[[c]]) for b in bases],
        )
        for name, rows in alone.items():
            np.testing.assert_array_equal(rows[0], together[name][c], err_msg=name)


def _of(seen, name, host=0, k=0):
    return float(seen["vms"][0, host, k, NAMES.index(name)])


def test_history__times_an_overload_and_remembers_its_length(two_hosts, with_vm, at_time, codec):
    calm = two_hosts()
    short = with_vm(calm, 0, 0, psi_some_frac=0.5)
    history = codec.initial_history(*calm.shape)
    for time_s in (0.0, 10.0, 20.0):
        seen, history = _encode(codec, at_time(short, time_s), history=history)
    assert _of(seen, "suffering") == 1.0
    assert _of(seen, "suffering_s") == pytest.approx(np.log1p(20.0) / np.log1p(3600.0))
    assert _of(seen, "past_overloads") == 0.0
    for time_s in (30.0, 40.0, 50.0):
        seen, history = _encode(codec, at_time(calm, time_s), history=history)
    assert _of(seen, "suffering") == 0.0
    assert _of(seen, "past_overloads") == pytest.approx(0.25)
    assert _of(seen, "past_overload_s") == pytest.approx(np.log1p(20.0) / np.log1p(3600.0))


def test_history__follows_a_vm_to_another_host(two_hosts, with_vm, at_time, codec):
    before = with_vm(two_hosts(), 0, 0, psi_some_frac=0.5)
    history = codec.initial_history(*before.shape)
    for time_s in (0.0, 10.0):
        _, history = _encode(codec, at_time(before, time_s), history=history)
    after = with_vm(before, 0, 0, present=False, vm_id=-1)
    after = with_vm(
        after, 1, 1, present=True, vm_id=0, psi_some_frac=0.4, actual_bytes=3 * GIB,
        usable_bytes=GIB, swap_in_rate=0.0, size_bytes=3 * GIB, memory_max_bytes=6 * GIB,
    )  # fmt: skip
    seen, _ = _encode(codec, at_time(after, 20.0), history=history)
    assert _of(seen, "suffering_s", host=1) == pytest.approx(np.log1p(20.0) / np.log1p(3600.0))
    change = [q.name for q in HISTORY_QUANTITIES].index("pressure_change")
    newest = seen["vms"][0, 1, 0, len(NAMES) + change]
    assert newest == pytest.approx(-0.1, abs=1e-6)
    assert _of(seen, "suffering", host=0) == 0.0  # nobody inherits


def test_history__forget_makes_only_the_marked_clusters_new(random_cluster, later, codec):
    record = random_cluster(12)
    _, history = _encode(codec, record)
    following = later(record, 3, 10.0)
    gone = np.array([False, True, False])
    seen, _ = _encode(codec, following, history=history.forget(gone))
    fresh, _ = _encode(codec, following)
    kept, _ = _encode(codec, following, history=history)
    np.testing.assert_array_equal(seen["vms"][1], fresh["vms"][1])
    np.testing.assert_array_equal(seen["vms"][[0, 2]], kept["vms"][[0, 2]])
    assert (fresh["vms"][0] != kept["vms"][0]).any()


def test_encode__changes_neither_record_nor_history(random_cluster, codec):
    record = random_cluster(13)
    empty = ClusterHistory.empty(*record.shape)
    _, history = _encode(codec, record, history=empty)
    assert np.isnan(empty.onset_s).all()
    assert all(np.isnan(step).all() for step in empty.tracked)
    copies = [step.copy() for step in history.tracked]
    moved = replace(record, vm_id=np.roll(record.vm_id, 1, axis=1))
    _encode(codec, moved, history=history)
    for step, copy in zip(history.tracked, copies, strict=True):
        np.testing.assert_array_equal(step, copy)


def test_squeeze_is_an_action(two_hosts, codec):
    assert codec.decode(np.array([1]), two_hosts()).verb[0, 0, 0] == SQUEEZE


def test_signature__is_that_of_the_observation(random_cluster, codec):
    record = random_cluster(14, 2, 3, 5)
    seen, _ = _encode(codec, record)
    sizes = {"clusters": 2, "hosts": 3, "actions": codec.actions_of(3)}
    signature = codec.signature
    assert set(signature.inputs) == set(seen)
    for name, axes in signature.inputs.items():
        assert seen[name].shape == tuple(sizes.get(axis, axis) for axis in axes), name
    assert signature.widths == {name: len(low) for name, (low, _) in codec.bounds().items()}
    assert signature.size(seen) == 3
    assert signature.answer_shape(seen) == seen["mask"].shape
