from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_runtime.centre.codec import ACTIONS, THRESHOLD_SPAN, CentreCodec, correctable
from gymbal_runtime.centre.corrections import Correctable, Corrections
from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.loads import Loads, Past, needed_hosts
from gymbal_runtime.centre.orders import SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.quantities import LAYOUT
from gymbal_runtime.centre.telemetry import NOWHERE, PER_CENTRE, PER_HOST
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.signature import ACTION, MAX_HOSTS
from gymbal_runtime.tasks import BALLOON

CODEC = CentreCodec()
GOLDEN = "2ba514b3f2ff520218d84e627347d3e1ca0be82f016c8a128d4e6f7d9485b736"
NAMES = [q.name for q in (*LAYOUT.row.now, *LAYOUT.row.changes * HISTORY_STEPS)]


def encoded(record, base=None, history=None, codec=CODEC):
    base = base or make_centre_heuristic(codec.heuristic, **codec.options).act(record)
    history = history or codec.initial_history(*record.exists.shape)
    return codec.encode(record, base, history)


def column(seen, name):
    return seen["hosts"][..., NAMES.index(name)]


def permuted(record, order):
    """The same centres with their hosts in other places."""
    inverse = np.argsort(order)
    values = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if f.name in PER_HOST:
            value = value[:, order]
        elif f.name in ("host_of", "moving_to"):
            value = np.where(value == NOWHERE, NOWHERE, inverse[value])
        values[f.name] = value
    return type(record)(**values)


def test_rows_are_finite_and_within_their_bounds(random_centres):
    bounds = CODEC.bounds()
    for seed in range(30):
        _, history = encoded(random_centres(seed))
        seen, _ = encoded(random_centres(seed + 100), history=history)
        for name in ("hosts", "centre"):
            low, high = bounds[name]
            assert seen[name].dtype == np.float32
            assert np.isfinite(seen[name]).all()
            assert (seen[name] >= low).all()
            assert (seen[name] <= high).all()


def test_shapes_follow_the_signature(random_centres):
    seen, _ = encoded(random_centres(0, 4, 7, 11))
    signature = CODEC.signature
    assert set(seen) == set(signature.inputs)
    sizes = {"centres": 4, "hosts": 7}
    for name, axes in signature.inputs.items():
        assert seen[name].shape == tuple(sizes.get(axis, axis) for axis in axes)
    assert (signature.output, signature.limit) == (ACTION, MAX_HOSTS)
    assert signature.answer_shape(seen) == (4, 7, len(ACTIONS))
    assert signature.size(seen) == 7
    widths = {"hosts": CODEC.layout.row.width, "centre": CODEC.layout.whole.width}
    assert signature.widths == widths


def test_quantities_have_one_name_each():
    for table in (LAYOUT.row.now, LAYOUT.row.changes):
        assert len({q.name for q in table}) == len(table)
    assert CODEC.layout.row.width == len(LAYOUT.row.now) + HISTORY_STEPS * len(LAYOUT.row.changes)


def test_rows_say_what_is_there(centre):
    record = centre(
        [[0.5, 0.2], [0.1], []], waiting=[0.3], past=np.full((4, 3), 0.1), cpu_mips=2000.0,
        state=[0, 0, 2], used_mips=[700.0, 100.0, 0.0],
    )  # fmt: skip
    orders = CentreOrders.none(1, 3, 4)
    orders.target[0, 2] = 0
    orders.target[0, 3] = 0
    orders.power[0] = [0, SLEEP, WAKE]
    seen, _ = encoded(record, orders)
    expected = {
        "is_on": [1, 1, 0], "is_asleep": [0, 0, 1], "utilisation": [0.35, 0.05, 0],
        "used": [0.35, 0.05, 0], "mean_utilisation": [0.1625, 0.05, 0],
        "max_utilisation": [0.35, 0.05, 0], "memory_held": [0.5, 0.25, 0],
        "largest": [0.25, 0.05, 0], "movable": [1, 1, 0], "to_sleep": [0, 1, 0],
        "to_wake": [0, 0, 1], "moves_out": [0, 1, 0], "utilisation_after": [0.55, 0, 0],
        "turn": [0.5, 0, 0], "got": [1, 1, 1], "idle_share": [0.5, 0.5, 0.5],
        "wake_s": [2 / 3] * 3, "wake_cost": [4 / 3] * 3, "weight": [0, 0, 0],
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(column(seen, name)[0], values, atol=1e-6, err_msg=name)
    names = [q.name for q in LAYOUT.whole.columns]
    whole = dict(zip(names, seen["centre"][0], strict=False))
    load = 1.1 * 1000 / 6000
    for name, value in (
        ("load", load), ("load_on", 1.1 / 4), ("on", 2 / 3), ("needed", 1 / 3),
        ("surplus", 1 / 3), ("memory_on", 0.5), ("proposed_moves", 0.5),
        ("proposed_sleeps", 1 / 3), ("proposed_wakes", 1 / 3),
        ("waiting", np.log(2) / np.log(1024)),
    ):  # fmt: skip
        assert whole[name] == pytest.approx(value, rel=1e-5), name


def test_a_line_through_the_past_says_what_comes():
    nan = np.nan
    rising, falling = [0.4, 0.3, 0.2, nan], [0.0, 1.0, 2.0, 3.0]
    past = Past.of(np.array([rising, [0.5, nan, nan, nan], [nan] * 4, falling]))
    np.testing.assert_allclose(past.ahead, [0.5, 0.5, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(past.mean, [0.3, 0.5, 0.0, 1.5])
    np.testing.assert_allclose(past.largest, [0.4, 0.5, 0.0, 3.0])
    np.testing.assert_allclose(past.spread[:2], [np.sqrt(0.02 / 3), 0.0], atol=1e-12)


def test_needed_hosts_are_a_bound(centre):
    record = centre([[1.0, 1.0], [1.0], []], cpu_mips=[4000.0, 1000.0, 1000.0])
    loads = Loads.of(record, CentreOrders.none(1, 3, 3))
    assert loads.total.tolist() == [3000.0]
    assert needed_hosts(record, loads.total).tolist() == [1.0]
    assert needed_hosts(record, np.array([5500.0])).tolist() == [3.0]
    assert needed_hosts(record, np.array([9e9])).tolist() == [3.0]  # there are no more


def test_empty_places_are_zero_and_change_nothing(random_centres):
    record, other = random_centres(5), random_centres(6)
    garbage = {}
    for f in fields(record):
        if f.name in (*PER_CENTRE, "exists", "present", "sharing"):
            continue
        mine, its = getattr(record, f.name), getattr(other, f.name)
        absent = ~(record.exists if f.name in PER_HOST else record.present)
        garbage[f.name] = np.where(absent.reshape(*absent.shape, *[1] * (mine.ndim - 2)), its, mine)
    again, _ = encoded(replace(record, **garbage))
    seen, _ = encoded(record)
    assert (seen["hosts"][~record.exists] == 0).all()
    for name in seen:
        np.testing.assert_array_equal(seen[name], again[name])


def test_permuting_the_hosts_permutes_the_rows(random_centres):
    record = random_centres(7, 3, 8, 14)
    order = np.random.default_rng(0).permutation(8)
    base = CentreOrders.none(*record.shape)
    seen, _ = encoded(record, base)
    other, _ = encoded(permuted(record, order), base)
    for name in set(NAMES) - {"turn"}:  # equals are in the order of their places
        mine, its = column(seen, name)[:, order], column(other, name)
        np.testing.assert_allclose(mine, its, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(seen["centre"], other["centre"], atol=1e-6)


def test_a_centre_is_encoded_the_same_in_any_batch(random_centres):
    record, few = random_centres(8), np.array([2, 0])
    seen, _ = encoded(record)
    other, _ = encoded(record.take_centres(few))
    for name in seen:
        np.testing.assert_array_equal(seen[name][few], other[name])


def test_history_tells_changes_and_can_be_forgotten(centre):
    before, after = centre([[0.2], [0.2]]), centre([[0.7], [0.2]])
    _, history = encoded(before)
    seen, _ = encoded(after, history=history)
    assert column(seen, "utilisation_change")[0].tolist() == pytest.approx([0.5, 0.0])
    seen, _ = encoded(after, history=history.forget(np.array([True])))
    assert not column(seen, "utilisation_change").any()


@pytest.mark.parametrize("name", correctable())
def test_zero_is_the_rule_bit_for_bit(random_centres, name):
    codec = CentreCodec(heuristic=name)
    for seed in range(20):
        record = random_centres(seed, 4, 9, 20)
        rule = make_centre_heuristic(name)
        assert isinstance(rule, Correctable)
        base = rule.act(record)
        zero = np.zeros((4, 9, 3))
        corrected = rule.act_corrected(record, Corrections.none(4, 9))
        for orders in (codec.decode(zero, record, base), codec.decode(zero, record), corrected):
            np.testing.assert_array_equal(orders.target, base.target)
            np.testing.assert_array_equal(orders.power, base.power)


def test_corrections_are_bounded_and_absent_hosts_have_none(random_centres):
    record = random_centres(3)
    action = np.full((*record.exists.shape, 3), 5.0)
    action[0, 0] = np.nan
    asked = CODEC.corrections(action, record)
    here = record.exists
    for factor in (asked.fill, asked.relief):
        assert set(np.unique(factor)) <= {1.0, 1.0 + THRESHOLD_SPAN}
        assert (factor[~here] == 1).all()
        assert factor[0, 0] == 1.0
    assert (asked.keep[~here] == 0).all()
    assert asked.keep[0, 0] == 0.0
    assert not asked.nothing


def test_a_centre_that_is_not_corrected_does_what_the_rule_says(random_centres):
    record = random_centres(11, 3, 9, 20)
    base = make_centre_heuristic(CODEC.heuristic).act(record)
    action = np.random.default_rng(0).uniform(-1, 1, (3, 9, 3))
    action[1] = 0.0
    orders = CODEC.decode(action, record, base)
    np.testing.assert_array_equal(orders.target[1], base.target[1])
    np.testing.assert_array_equal(orders.power[1], base.power[1])
    assert not (orders.target == base.target).all() or not (orders.power == base.power).all()


def test_rules_that_cannot_be_corrected_are_refused():
    with pytest.raises(ValueError, match=r"'always_on' cannot be corrected.*thr_mmt"):
        CentreCodec(heuristic="always_on")
    with pytest.raises(ValueError, match="cannot be corrected"):
        CentreCodec(heuristic="none_such")
    with pytest.raises(ValueError, match="is for gymbal/Consolidation-v0"):
        CentreCodec(task=BALLOON)


def test_the_fingerprint_changes_only_on_purpose():
    assert CODEC.fingerprint() == GOLDEN
    others = [CentreCodec(heuristic="iqr_mmt"), CentreCodec(options={"dwell_s": 60.0})]
    assert len({CODEC.fingerprint(), *(codec.fingerprint() for codec in others)}) == 3
