"""Whole clusters as a policy sees and corrects them."""

from dataclasses import fields

import numpy as np
import pytest

from gymbal_runtime.cluster.heuristics.corrections import LayerCorrections
from gymbal_runtime.cluster.heuristics.layered import Layered
from gymbal_runtime.cluster.layers.codec import ACTIONS, SPAN, LayersCodec
from gymbal_runtime.cluster.layers.codec_agent import LayersCodecAgent
from gymbal_runtime.cluster.layers.quantities import LAYOUT
from gymbal_runtime.cluster.telemetry import NOBODY
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.signature import ACTION, MAX_HOSTS
from gymbal_runtime.tasks import OVERLOAD

CODEC = LayersCodec()
GOLDEN = "00708214b24602bb0534e1647a5b3ae2b859fd2876f401f610cb6dc69cc2c978"
NAMES = [q.name for q in (*LAYOUT.row.now, *LAYOUT.row.changes * HISTORY_STEPS)]


def encoded(record, history=None):
    base = Layered(**CODEC.options).act(record)
    return CODEC.encode(record, base, history or CODEC.initial_history(*record.exists.shape))


@pytest.fixture
def drawn(random_cluster, powered):
    def make(seed, *sizes, **options):
        return powered(random_cluster(seed, *sizes, **options), seed)

    return make


def test_rows_are_finite_and_within_their_bounds(drawn):
    bounds = CODEC.bounds()
    for seed in range(30):
        _, history = encoded(drawn(seed, missing_frac=0.2))
        seen, _ = encoded(drawn(seed + 100, missing_frac=0.2), history)
        for name in ("hosts", "cluster"):
            low, high = bounds[name]
            assert seen[name].dtype == np.float32
            assert np.isfinite(seen[name]).all()
            assert (seen[name] >= low).all()
            assert (seen[name] <= high).all()


def test_shapes_follow_the_signature(drawn):
    seen, _ = encoded(drawn(0, 4, 7, 5))
    signature = CODEC.signature
    assert set(seen) == set(signature.inputs)
    sizes = {"clusters": 4, "hosts": 7}
    for name, axes in signature.inputs.items():
        assert seen[name].shape == tuple(sizes.get(axis, axis) for axis in axes)
    assert (signature.output, signature.limit) == (ACTION, MAX_HOSTS)
    assert signature.answer_shape(seen) == (4, 7, len(ACTIONS))
    assert signature.size(seen) == 7


def test_quantities_have_one_name_each():
    for table in (LAYOUT.row, LAYOUT.whole):
        assert len({q.name for q in table.now}) == len(table.now)
        assert set(table.tracked) <= {q.name for q in table.now}
        assert len(table.tracked) == len(table.changes)


def test_absent_hosts_have_empty_rows(drawn):
    record = drawn(2)
    seen, _ = encoded(record)
    assert not seen["hosts"][~record.exists].any()
    np.testing.assert_array_equal(seen["present"], record.exists)


def test_the_order_of_hosts_does_not_matter(drawn, with_hosts_permuted, random_cluster, powered):
    record = random_cluster(5, 3, 4)
    plain = powered(record)
    order = np.array([2, 0, 3, 1])
    moved = powered(with_hosts_permuted(record, order))
    one, other = encoded(plain)[0], encoded(moved)[0]
    told = {"to_sleep", "to_wake", "moves_out", "moves_in", "borrows", "used_after", "turn"}
    proposal = [i for i, name in enumerate(NAMES) if name in told]
    own = np.delete(one["hosts"][:, order], proposal, axis=2)
    np.testing.assert_allclose(np.delete(other["hosts"], proposal, axis=2), own, atol=1e-6)


def test_changes_are_against_earlier_decisions(drawn):
    record = drawn(1)
    _, history = encoded(record)
    seen, history = encoded(record, history)
    changes = seen["hosts"][..., len(LAYOUT.row.now) :]
    assert not changes.any()
    gone = history.forget(np.array([True, False, False]))
    assert np.isnan(gone.rows[:, 0]).all()
    assert not np.isnan(gone.rows[:2, 1]).any()


def test_zero_is_what_the_stack_says(drawn):
    for seed in range(6):
        record, stack = drawn(seed), Layered(**CODEC.options)
        base = stack.act(record)
        zero = np.zeros((*record.exists.shape, len(ACTIONS)))
        assert CODEC.decode(zero, record, base, stack) is base
        fresh = CODEC.decode(zero, record)
        for name in ("verb", "target", "power", "pool_bytes"):
            np.testing.assert_array_equal(getattr(fresh, name), getattr(base, name))


def test_numbers_are_clipped_and_absent_hosts_have_no_say(drawn):
    record = drawn(2)
    action = np.full((*record.exists.shape, len(ACTIONS)), 7.0)
    action[0, 0, 0] = np.nan
    asked = CODEC.corrections(action, record)
    assert asked.fill[0, 0] == 1.0
    assert asked.relief[record.exists].tolist() == [1.0 + SPAN] * int(record.exists.sum())
    for field in fields(LayerCorrections):
        neutral = 1.0 if field.name in ("fill", "relief") else 0.0
        assert (getattr(asked, field.name)[~record.exists] == neutral).all()


def test_the_fingerprint_is_the_golden_one():
    assert LayersCodec().fingerprint() == GOLDEN


def test_only_the_stack_can_be_corrected():
    with pytest.raises(ValueError, match="cannot be corrected"):
        LayersCodec(heuristic="layered_local")
    with pytest.raises(ValueError, match="is for gymbal/Cluster-v0"):
        LayersCodec(task=OVERLOAD)


class TestAgent:
    def test_a_policy_that_says_nothing_is_the_stack(self, drawn):
        zero = lambda seen: np.zeros((*seen["present"].shape, len(ACTIONS)), np.float32)  # noqa: E731
        agent, stack = LayersCodecAgent(CODEC, zero), Layered(**CODEC.options)
        for seed in range(3):
            record = drawn(seed)
            ours, theirs = agent.act(record), stack.act(record)
            np.testing.assert_array_equal(ours.verb, theirs.verb)
            np.testing.assert_array_equal(ours.power, theirs.power)
        agent.act(drawn(0, 2, 6))  # another shape: a new history

    def test_an_answer_that_cannot_be_carried_out_is_refused(self, drawn):
        wrong = LayersCodecAgent(CODEC, lambda seen: np.full(seen["present"].shape, np.nan))
        with pytest.raises(InvalidActionError):
            wrong.act(drawn(0))


def test_who_waits_is_seen(drawn):
    record = drawn(4)
    seen, _ = encoded(record)
    at = [q.name for q in LAYOUT.whole.now].index("waiting")
    some = record.waiting.any(axis=(1, 2))
    np.testing.assert_array_equal(seen["cluster"][:, at] > 0, some)
    assert (record.vm_id[record.waiting] == NOBODY).all()
