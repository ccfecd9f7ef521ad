"""What every rule for overloaded hosts promises, whatever it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.cluster.heuristics import OVERLOAD_HEURISTICS, make_cluster_heuristic
from gymbal_runtime.cluster.orders import CLONE, MIGRATE, WAIT, legal
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.tasks import OVERLOAD

all_rules = pytest.mark.parametrize("name", list(OVERLOAD_HEURISTICS))
some = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def _make(name):
    return make_cluster_heuristic(name, **({"clone": True} if name == "balance_first" else {}))


def _sequence(random_cluster, later, seed, count=4, **options):
    records = [random_cluster(seed, **options)]
    for k in range(count - 1):
        records.append(later(records[-1], seed + k, 40.0))
    return records


def _same(one, other):
    for name in ("verb", "target", "balance", "pool_bytes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


def test_registry__is_that_of_the_task():
    assert heuristics_of(OVERLOAD) == OVERLOAD_HEURISTICS
    for name, rule in OVERLOAD_HEURISTICS.items():
        assert make_heuristic(name).name == name
        for parameter, (low, high) in rule.TUNABLE.items():
            for value in (low, high):
                make_cluster_heuristic(name, **{parameter: value})


def test_make__names_what_there_is():
    with pytest.raises(ValueError, match="balance_first"):
        make_cluster_heuristic("sometimes")
    with pytest.raises(ValueError, match="theta_s"):
        make_cluster_heuristic("delay", theta=1.0)
    with pytest.raises(ValueError, match="stall_floor"):
        make_cluster_heuristic("never_migrate", stall_floor=2.0)


@all_rules
@given(seed=seeds, missing=st.sampled_from([0.0, 0.3, 1.0]))
@some
def test_no_order_is_illegal_and_moves_fit_together(random_cluster, later, name, seed, missing):
    rule = _make(name)
    for record in _sequence(random_cluster, later, seed, missing_frac=missing):
        orders = rule.act(record)
        orders.check(record.shape)
        assert legal(record).of(orders).all()
        assert (orders.verb[~record.present] == WAIT).all()
        room, slots = record.room_bytes.copy(), record.vacant.sum(axis=2)
        for c, h, v in np.argwhere((orders.verb == MIGRATE) | (orders.verb == CLONE)):
            goal = orders.target[c, h, v]
            clone = orders.verb[c, h, v] == CLONE
            size = record.clone_bytes if clone else record.size_bytes
            room[c, goal] -= size[c, h, v]
            slots[c, goal] -= 1
        assert (room >= -1e-3).all()
        assert (slots >= 0).all()


@all_rules
@given(seed=seeds)
@some
def test_a_cluster_gets_the_same_orders_in_any_batch(random_cluster, later, name, seed):
    records = _sequence(random_cluster, later, seed)
    together = _make(name)
    alone = [_make(name) for _ in range(records[0].num_clusters)]
    for record in records:
        orders = together.act(record)
        for c, rule in enumerate(alone):
            own = rule.act(record.take_clusters(np.array([c])))
            np.testing.assert_array_equal(own.verb[0], orders.verb[c])
            np.testing.assert_array_equal(own.target[0], orders.target[c])
            np.testing.assert_array_equal(own.pool_bytes[0], orders.pool_bytes[c])


@all_rules
@given(seed=seeds)
@some
def test_permuting_hosts_permutes_orders(random_cluster, later, with_hosts_permuted, name, seed):
    # Which of two twins is told to merge is a matter of their places.
    records = [
        replace(r, twin=np.full_like(r.twin, -1)) for r in _sequence(random_cluster, later, seed)
    ]
    order = np.random.default_rng(seed).permutation(4)
    place = np.append(np.argsort(order), -1)
    one, other = _make(name), _make(name)
    for record in records:
        orders, turned = one.act(record), other.act(with_hosts_permuted(record, order))
        np.testing.assert_array_equal(turned.verb, orders.verb[:, order])
        np.testing.assert_array_equal(turned.target, place[orders.target[:, order]])
        np.testing.assert_allclose(turned.pool_bytes, orders.pool_bytes[:, order])


@all_rules
@given(seed=seeds)
@some
def test_permuting_vms_permutes_orders(random_cluster, later, with_vms_permuted, name, seed):
    order = np.random.default_rng(seed).permutation(5)
    one, other = _make(name), _make(name)
    for record in _sequence(random_cluster, later, seed):
        orders, turned = one.act(record), other.act(with_vms_permuted(record, order))
        np.testing.assert_array_equal(turned.verb, orders.verb[:, :, order])
        np.testing.assert_array_equal(turned.target, orders.target[:, :, order])


@all_rules
def test_reset__of_some_clusters_makes_only_those_new(random_cluster, later, name):
    records = _sequence(random_cluster, later, 7, count=6)
    kept, partly, fresh = _make(name), _make(name), _make(name)
    for record in records[:-1]:
        kept.act(record)
        partly.act(record)
    partly.reset(3, 5, np.array([True, False, False]))
    orders, new = partly.act(records[-1]), fresh.act(records[-1])
    old = kept.act(records[-1])
    np.testing.assert_array_equal(orders.verb[0], new.verb[0])
    np.testing.assert_array_equal(orders.verb[1:], old.verb[1:])
    np.testing.assert_array_equal(orders.pool_bytes[1:], old.pool_bytes[1:])


@all_rules
def test_reset__of_all_is_a_new_rule_also_for_another_shape(random_cluster, later, name):
    used = _make(name)
    for record in _sequence(random_cluster, later, 8):
        used.act(record)
    used.reset(2, 6)
    record = random_cluster(9, 2, 3, 6)
    _same(used.act(record), _make(name).act(record))


@all_rules
def test_act__leaves_the_record_as_it_is(random_cluster, later, name):
    record = random_cluster(10)
    before = [record.hosts.psi_some_frac.copy(), record.room_bytes.copy(), record.vm_id.copy()]
    rule = _make(name)
    rule.act(record)
    rule.act(later(record, 1, 40.0))
    for then, now in zip(
        before, (record.hosts.psi_some_frac, record.room_bytes, record.vm_id), strict=True
    ):
        np.testing.assert_array_equal(now, then)


@all_rules
def test_a_calm_cluster_is_left_alone(two_hosts, at_time, name):
    rule = _make(name)
    for time_s in range(0, 600, 10):
        assert (rule.act(at_time(two_hosts(), float(time_s))).verb == WAIT).all()
