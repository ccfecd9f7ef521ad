"""What every rule of consolidation promises, whatever it does."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.centre.agent import CentreAgent
from gymbal_runtime.centre.heuristics import CENTRE_HEURISTICS, make_centre_heuristic
from gymbal_runtime.centre.orders import SLEEP
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.tasks import CONSOLIDATION, short_name

NAMES = [
    "always_on", "delayed_off", "thr_mmt", "iqr_mmt", "mad_mmt", "lr_mmt", "drs",
    "workload_balance",
    "workload_stabilization", "vm_workload_consolidation", "basic_consolidation", "saving_energy",
]  # fmt: skip
VARIANTS = {
    **{name: (name, {}) for name in NAMES},
    "mu": ("thr_mmt", {"selector": "mu", "parameter": 0.5, "placement": "first_fit"}),
    "rs": ("mad_mmt", {"selector": "rs", "spare_hosts": 2.0}),
    "mc": ("lr_mmt", {"selector": "mc", "dwell_s": 600.0, "awake_s": 900.0}),
    "patient": ("iqr_mmt", {"patience": 2.0, "placement": "best_fit", "arrival_frac": 0.0}),
    "eager": ("drs", {"cost_weight": 0.0, "level": 5.0, "awake_s": 0.0, "width": 0.05}),
    "full": ("workload_stabilization", {"retry_count": 0.0, "memory_weight": 1.0}),
    "cores": ("basic_consolidation", {"vcpus_per_core": 2.0, "margin_frac": 0.1}),
}
all_rules = pytest.mark.parametrize("variant", list(VARIANTS))
some = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def make(variant):
    name, options = VARIANTS[variant]
    return make_centre_heuristic(name, **options)


def sequence(random_centres, seed, count=3, **options):
    return [random_centres(seed + k, time_s=300.0 * k, **options) for k in range(count)]


def assert_same(one, other):
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.power, other.power)


def test_registry__is_that_of_the_task():
    assert short_name(CONSOLIDATION) == "consolidation"
    assert list(CENTRE_HEURISTICS) == NAMES
    assert heuristics_of(CONSOLIDATION) == CENTRE_HEURISTICS
    for name, rule in CENTRE_HEURISTICS.items():
        agent = make_heuristic(name)
        assert isinstance(agent, CentreAgent)
        assert agent.name == name
        assert rule.TUNABLE
        options = {f.name: f.default for f in fields(rule) if f.init}
        for parameter, (low, high) in rule.TUNABLE.items():
            assert low <= options[parameter] <= high
            for value in (low, high):
                make_centre_heuristic(name, **{parameter: value})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("sometimes", {}, "no heuristic 'sometimes'; there are always_on"),
        ("drs", {"stars": 3}, "'drs' has no option 'stars'; there are"),
        ("drs", {"level": 6.0}, r"drs: level must lie in \[1, 5\], got 6"),
        ("thr_mmt", {"selector": "all"}, "thr_mmt: selector must be one of mmt, mu, rs, mc"),
        ("always_on", {"placement": "worst"}, "always_on: placement must be one of pabfd, first"),
    ],
)
def test_make__names_what_is_wrong(name, options, said):
    with pytest.raises(ValueError, match=said):
        make_centre_heuristic(name, **options)


@all_rules
@given(seed=seeds)
@some
def test_every_order_is_legal(random_centres, assert_legal, variant, seed):
    rule = make(variant)
    for record in sequence(random_centres, seed):
        assert_legal(record, rule.act(record))


@all_rules
@given(seed=seeds)
@some
def test_a_centre_gets_the_same_orders_in_any_batch(random_centres, variant, seed):
    together, alone = make(variant), [make(variant) for _ in range(3)]
    for record in sequence(random_centres, seed):
        orders = together.act(record)
        for c, rule in enumerate(alone):
            own = rule.act(record.take_centres(np.array([c])))
            np.testing.assert_array_equal(own.target[0], orders.target[c])
            np.testing.assert_array_equal(own.power[0], orders.power[c])


@all_rules
def test_reset__of_all_is_a_new_rule_also_for_another_shape(random_centres, variant):
    used, fresh = make(variant), make(variant)
    for record in sequence(random_centres, 5):
        used.act(record)
    used.reset(2, 12)
    for record in sequence(random_centres, 6, centres=2, hosts=7, vms=12):
        assert_same(used.act(record), fresh.act(record))


@all_rules
def test_reset__of_some_centres_makes_only_those_new(random_centres, variant):
    records = sequence(random_centres, 7, count=5)
    kept, partly, fresh = make(variant), make(variant), make(variant)
    for record in records[:-1]:
        kept.act(record)
        partly.act(record)
    partly.reset(3, 9, np.array([True, False, False]))
    old, new, orders = (rule.act(records[-1]) for rule in (kept, fresh, partly))
    np.testing.assert_array_equal(orders.target, old.target)
    np.testing.assert_array_equal(orders.power[0], new.power[0])
    np.testing.assert_array_equal(orders.power[1:], old.power[1:])


@all_rules
def test_act__leaves_the_record_as_it_is(random_centres, variant):
    record, untouched = random_centres(8), random_centres(8)
    make(variant).act(record)
    for f in fields(record):
        np.testing.assert_array_equal(getattr(record, f.name), getattr(untouched, f.name))


@all_rules
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_empty_places_mean_nothing(random_centres, variant, seed):
    record = random_centres(seed)
    rng = np.random.default_rng(seed)
    rubbish = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if value is None:  # not measured
            continue
        absent = ~record.present if value.shape[:2] == record.present.shape else ~record.exists
        if value.dtype != np.float64 or value.ndim < 2:
            continue
        changed = value.copy()
        changed[absent] = rng.choice([np.nan, -1.0, 1e30])
        rubbish[f.name] = changed
    assert_same(make(variant).act(record), make(variant).act(replace(record, **rubbish)))


@all_rules
def test_a_centre_without_vms(centre, variant):
    record = replace(centre([[0.1], []]), present=np.zeros((1, 1), dtype=bool))
    orders = make(variant).act(record)
    assert (orders.target == NOWHERE).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_vm_without_a_host_gets_one_before_anything_else(centre, name):
    orders = make_centre_heuristic(name).act(centre([[0.1], [0.2]], waiting=[0.1]))
    assert orders.target[0, 2] in (0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_one_that_fits_nowhere_has_a_host_woken(centre, name):
    record = centre([[0.9], []], waiting=[0.5], state=[0, ASLEEP])
    orders = make_centre_heuristic(name).act(record)
    assert orders.target[0, 1] == NOWHERE
    assert orders.power[0, 1] == 2
    assert orders.power[0, 0] != SLEEP
