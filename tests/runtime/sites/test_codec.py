from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.signature import SCORES
from gymbal_runtime.sites.codec import SitesCodec
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.sites.orders import (
    COLD,
    NUM_VERBS,
    REPLICATE,
    STOP,
    THIRTY_ROUNDS,
    UNTIL_TOLD,
    SitesOrders,
    only_legal,
)
from gymbal_runtime.sites.rows import LAYOUT, SitesHistory
from gymbal_runtime.sites.telemetry import MIRROR, PRECOPY, empty_sites
from gymbal_runtime.tasks import BALLOON, SITES

CODEC = SitesCodec()


def encoded(record, base=None, history=None, codec=CODEC):
    base = base or make_sites_heuristic(codec.heuristic, **codec.options).act(record)
    history = history or codec.initial_history(*record.present.shape)
    return codec.encode(record, base, history)


def test_rows_are_finite_and_within_their_bounds(wild):
    bounds = CODEC.bounds()
    for seed in range(30):
        record = wild(seed)
        seen, history = encoded(record)
        seen, _ = encoded(wild(seed + 100), history=history)
        for name in ("vms", "host"):
            low, high = bounds[name]
            assert seen[name].dtype == np.float32
            assert np.isfinite(seen[name]).all()
            assert (seen[name] >= low).all()
            assert (seen[name] <= high).all()


def test_shapes_follow_the_signature(wild):
    seen, _ = encoded(wild(0, 4, 7))
    signature = CODEC.signature
    assert set(seen) == set(signature.inputs)
    sizes = {"worlds": 4, "vms": 7}
    for name, axes in signature.inputs.items():
        assert seen[name].shape == tuple(sizes.get(axis, axis) for axis in axes)
    assert signature.output == SCORES
    assert signature.answer_shape(seen) == (4, 7, NUM_VERBS)
    assert signature.size(seen) == 7
    assert signature.widths == {"vms": CODEC.num_vm_features, "host": CODEC.num_host_features}


def test_quantities_have_one_name_each():
    for table in (LAYOUT.vm, LAYOUT.history):
        names = [q.name for q in table]
        assert len(set(names)) == len(names)
    assert CODEC.num_vm_features == len(LAYOUT.vm) + HISTORY_STEPS * len(LAYOUT.history)


def test_absent_slots_are_zero_and_change_nothing(wild):
    record = wild(5)
    other = wild(6)
    absent = ~record.present
    garbage = {}
    for f in fields(record):
        mine, its = getattr(record, f.name), getattr(other, f.name)
        if mine.ndim > 1 and f.name != "present":
            where = absent.reshape(absent.shape + (1,) * (mine.ndim - 2))
            garbage[f.name] = np.where(where, its, mine)
    seen, _ = encoded(record)
    again, _ = encoded(replace(record, **garbage))
    assert (seen["vms"][absent] == 0).all()
    for name in seen:
        np.testing.assert_array_equal(seen[name], again[name])


def test_permuting_the_vms_permutes_the_rows(wild):
    record = wild(7)
    order = np.random.default_rng(0).permutation(record.num_vms)
    seen, _ = encoded(record)
    other, _ = encoded(record.take_vms(order))
    for name in ("vms", "present", "proposed", "mask"):
        np.testing.assert_allclose(seen[name][:, order], other[name], atol=1e-6)
    np.testing.assert_allclose(seen["host"], other["host"], atol=1e-6)


def test_a_world_is_encoded_the_same_in_any_batch(wild):
    record = wild(8)
    few = np.array([3, 0])
    seen, _ = encoded(record)
    other, _ = encoded(record.take_worlds(few))
    for name in seen:
        np.testing.assert_array_equal(seen[name][few], other[name])


def test_history_tells_changes_and_can_be_forgotten(plain):
    before, after = plain(2, 1, activity=0.2), plain(2, 1, activity=0.7)
    _, history = encoded(before)
    seen, _ = encoded(after, history=history)
    column = len(LAYOUT.vm) + [q.name for q in LAYOUT.history].index("activity_change")
    assert seen["vms"][:, 0, column].tolist() == pytest.approx([0.5, 0.5])
    forgotten = history.forget(np.array([True, False]))
    seen, _ = encoded(after, history=forgotten)
    assert seen["vms"][:, 0, column].tolist() == pytest.approx([0.0, 0.5])
    assert isinstance(forgotten, SitesHistory)


def test_what_is_proposed_is_legal_and_shown(plain):
    record = plain(1, 2)
    base = SitesOrders.of(np.array([[REPLICATE, 4]]))  # STOP is not legal at the source
    seen, _ = encoded(record, base)
    assert seen["proposed"].tolist() == [[REPLICATE, 0.0]]
    names = [q.name for q in LAYOUT.vm]
    assert seen["vms"][0, 0, names.index("proposes_replicate")] == 1.0


def test_decoding_gives_legal_orders(wild):
    record = wild(9)
    action = np.random.default_rng(1).integers(0, NUM_VERBS, record.present.shape)
    orders = SitesCodec(longest_pause_s=np.inf).decode(action, record)
    np.testing.assert_array_equal(orders.verb, only_legal(action, record))
    assert (orders.stop_rule == UNTIL_TOLD).all()
    few = CODEC.decode(action, record).verb
    assert ((few == orders.verb) | (few == 0)).all()
    assert (few != orders.verb).any()


def test_long_pauses_are_the_heuristics_alone(plain):
    record = plain(1, 3, disk_left_bytes=np.array([[8e9, 1e6, 8e9]]))
    record = replace(record, memory_left_bytes=np.array([[2e9, 1e8, 2e9]]))
    base = SitesOrders.of(np.array([[0, 0, COLD]]))
    assert CODEC.mask(record, base)[0, :, COLD].tolist() == [False, True, True]
    assert CODEC.mask(record)[0, :, COLD].tolist() == [False, True, False]
    told = np.full((1, 3), COLD)
    assert CODEC.decode(told, record, base).verb.tolist() == [[0, COLD, COLD]]
    copying = replace(record, phase=np.full((1, 3), PRECOPY))
    assert CODEC.mask(copying)[0, :, STOP].tolist() == [False, True, False]
    with pytest.raises(ValueError, match="longest_pause_s"):
        SitesCodec(longest_pause_s=-1.0)


def test_following_the_heuristic_takes_its_stop_rule(plain):
    record = plain(1, 2, phase=MIRROR, disk_left_bytes=0.0)
    base = make_sites_heuristic("xen_30_rounds", concurrency=2.0).act(record)
    orders = CODEC.decode(base.verb, record, base)
    np.testing.assert_array_equal(orders.stop_rule, base.stop_rule)
    other = CODEC.decode(np.array([[base.verb[0, 0], 3]]), record, base)
    assert other.stop_rule.tolist() == [[THIRTY_ROUNDS, UNTIL_TOLD]]


def test_the_fingerprint_names_everything_that_matters():
    assert CODEC.fingerprint() == SitesCodec().fingerprint()
    others = [
        SitesCodec(heuristic="smart_stop"),
        SitesCodec(options={"concurrency": 2.0}),
        SitesCodec(longest_pause_s=30.0),
    ]
    assert len({CODEC.fingerprint(), *(codec.fingerprint() for codec in others)}) == 4
    assert CODEC.spec()["action"]["choices"][0] == "continue"


def test_other_tasks_have_other_codecs():
    with pytest.raises(ValueError, match=SITES):
        SitesCodec(BALLOON)


def test_an_empty_record_can_be_encoded():
    seen, _ = encoded(empty_sites(2, 3))
    assert all(np.isfinite(values).all() for values in seen.values())
    assert seen["mask"].sum() == 6
