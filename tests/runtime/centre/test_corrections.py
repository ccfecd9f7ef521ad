"""What corrections do to the rules that can be corrected."""

import numpy as np
import pytest

from gymbal_runtime.centre.codec import correctable
from gymbal_runtime.centre.corrections import CALL, VETO, Corrections
from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, ON

THR = make_centre_heuristic("thr_mmt")


def corrected(record, fill=None, keep=None, relief=None, rule=THR):
    hosts = record.num_hosts
    none = Corrections.none(1, hosts)
    fill = none.fill if fill is None else np.array([fill], dtype=float)
    relief = none.relief if relief is None else np.array([relief], dtype=float)
    keep = none.keep if keep is None else np.array([keep], dtype=float)
    return rule.act_corrected(record, Corrections(fill, relief, keep))


def test_a_lower_threshold_relieves_a_host_and_a_higher_one_spares_it(centre):
    record = centre([[0.25, 0.45], [0.1, 0.6]])
    assert (THR.act(record).target == NOWHERE).all()
    lower = corrected(record, fill=[1.0, 1.3], relief=[0.8, 1.3]).target[0]
    assert lower.tolist() == [1, NOWHERE, NOWHERE, NOWHERE]
    assert (corrected(record, relief=[0.8, 1.3]).target == NOWHERE).all()  # and no room elsewhere
    over = centre([[0.5, 0.35], [0.2]])
    assert (THR.act(over).target != NOWHERE).any()
    higher = corrected(over, relief=[1.25, 1.0], keep=[0.6, 0.6]).target[0]
    assert (higher == NOWHERE).all()


def test_a_host_is_filled_up_to_its_own_threshold(centre):
    record = centre([[0.2], [0.5]])
    assert THR.act(record).target[0].tolist() == [1, NOWHERE]
    assert (corrected(record, fill=[0.8, 0.8]).target == NOWHERE).all()
    assert (make_centre_heuristic("thr_mmt", fill_frac=0.8).act(record).target == NOWHERE).all()
    full = centre([[0.2], [0.65]])
    assert (THR.act(full).target == NOWHERE).all()
    assert corrected(full, fill=[1.1, 1.1]).target[0].tolist() == [1, NOWHERE]


def test_who_is_emptied_first_can_be_said(centre):
    record = centre([[0.2], [0.25]])
    assert THR.act(record).target[0].tolist() == [1, NOWHERE]
    assert corrected(record, keep=[0.1, 0.0]).target[0].tolist() == [NOWHERE, 0]
    assert corrected(record, keep=[0.0, -0.1]).target[0].tolist() == [NOWHERE, 0]


def test_a_host_that_is_kept_is_neither_emptied_nor_put_to_sleep(centre):
    keep = [VETO + 0.01, VETO + 0.01]
    record = centre([[0.2], [0.25]])
    assert (corrected(record, keep=keep).target == NOWHERE).all()
    empty = centre([[0.2], []])
    assert THR.act(empty).power[0].tolist() == [LEAVE, SLEEP]
    assert corrected(empty, keep=keep).power[0].tolist() == [LEAVE, LEAVE]
    draining = centre([[0.2], []], draining=[False, True])
    assert corrected(draining, keep=keep).power[0].tolist() == [LEAVE, WAKE]


def test_a_host_can_be_called(centre):
    record = centre([[0.2], []], state=[ON, ASLEEP])
    assert corrected(record, keep=[1.0, CALL]).power[0].tolist() == [LEAVE, LEAVE]
    assert corrected(record, keep=[0.0, CALL + 0.01]).power[0].tolist() == [LEAVE, WAKE]


def test_a_host_that_is_avoided_gets_vms_only_if_nobody_else_has_room(centre):
    record = centre([[0.2], [0.25], [0.3]])
    assert THR.act(record).target[0, 0] == 1
    assert corrected(record, keep=[0.0, -VETO - 0.01, 0.0]).target[0].tolist() == [NOWHERE, 0, 0]
    waits = centre([[0.2]], waiting=[0.3])
    assert corrected(waits, keep=[-1.0]).target[0, 1] == 0


@pytest.mark.parametrize("name", correctable())
def test_corrected_orders_are_legal(random_centres, name):
    rng = np.random.default_rng(0)
    for seed in range(25):
        record = random_centres(seed, 3, 8, 18)
        factors, keep = rng.uniform(0.7, 1.3, (2, 3, 8)), rng.uniform(-1, 1, (3, 8))
        orders = make_centre_heuristic(name).act_corrected(record, Corrections(*factors, keep))
        orders.check(record.shape)
        told = orders.target != NOWHERE
        assert not (told & (~record.present | (record.moving_to != NOWHERE))).any()
        for c in range(3):
            assert record.running[c][orders.target[c][told[c]]].all()
            coming = np.zeros(8)
            np.add.at(coming, orders.target[c][told[c]], record.vm_memory_bytes[c][told[c]])
            free = record.memory_bytes[c] - record.held_bytes[c]
            assert (coming <= free + 1e-6)[coming > 0].all()


def test_none_changes_nothing(random_centres):
    record = random_centres(1)
    power = THR.act(record).power
    before = power.copy()
    Corrections.none(*record.exists.shape).heed(record, power)
    np.testing.assert_array_equal(power, before)
