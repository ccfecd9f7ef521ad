from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.sites.heuristics import SITES_HEURISTICS, make_sites_heuristic
from gymbal_runtime.sites.orders import (
    COLD,
    CONTINUE,
    COPY,
    COPY_REDUCED,
    REPLICATE,
    STOP,
    THIRTY_ROUNDS,
    UNTIL_TOLD,
    legal,
)
from gymbal_runtime.sites.telemetry import AT_SOURCE, BULK, MIRROR, PRECOPY
from gymbal_runtime.tasks import SITES

NAMES = sorted(SITES_HEURISTICS)
GB = 1e9


def verbs(record, name, **options):
    return make_sites_heuristic(name, **options).act(record).verb


@pytest.mark.parametrize("name", NAMES)
def test_every_verb_is_legal(wild, name):
    for seed in range(20):
        record = wild(seed)
        for options in ({}, {"concurrency": 4.0, "order": "smallest"}):
            verb = verbs(record, name, **options).astype(int)
            assert np.take_along_axis(legal(record), verb[..., None], axis=2).all()


@pytest.mark.parametrize("name", NAMES)
def test_worlds_and_slots_do_not_matter(wild, name):
    record = wild(3)
    whole = verbs(record, name)
    order = np.random.default_rng(2).permutation(record.num_vms)
    np.testing.assert_array_equal(verbs(record.take_vms(order), name), whole[:, order])
    few = np.array([4, 1])
    np.testing.assert_array_equal(verbs(record.take_worlds(few), name), whole[few])


@pytest.mark.parametrize("name", NAMES)
def test_tunable_ranges_can_be_built(name):
    kind = SITES_HEURISTICS[name]
    assert kind.name == name
    assert {"concurrency", "quiet_activity"} <= set(kind.TUNABLE)
    for option, (low, high) in kind.TUNABLE.items():
        for value in (low, high):
            assert getattr(make_sites_heuristic(name, **{option: value}), option) == value
    assert heuristics_of(SITES)[name] is kind
    assert type(make_heuristic(name)) is kind


def test_options_out_of_range_are_refused():
    for wrong, message in (
        ({"concurrency": 0.0}, "concurrency"),
        ({"order": "best"}, "order"),
        ({"window": 9.0}, "window"),
        ({"least_redundancy": 2.0}, "least_redundancy"),
    ):
        with pytest.raises(ValueError, match=message):
            make_sites_heuristic("smart_stop_cbr", **wrong)
    with pytest.raises(ValueError, match="there are cold"):
        make_sites_heuristic("senpai")


@pytest.mark.parametrize(("at_once", "count"), [(1.0, 1), (2.4, 2), (8.0, 5)])
def test_so_many_start_at_a_time(plain, at_once, count):
    record = plain(1, 5)
    assert (verbs(record, "smart_stop", concurrency=at_once) == REPLICATE).sum() == count
    busy = replace(record, phase=np.array([[BULK, 0, 0, 0, 0]]))
    found = (verbs(busy, "smart_stop", concurrency=at_once) == REPLICATE).sum()
    assert found == min(count - 1, 4)


def test_who_is_next(plain):
    sizes = np.array([[4.0, 1.0, 8.0]]) * GB
    record = plain(1, 3, memory_bytes=sizes, memory_left_bytes=sizes, disk_left_bytes=0.0)
    for order, first in (("smallest", 1), ("largest", 2), ("worth", 1)):
        assert np.flatnonzero(verbs(record, "xen_30_rounds", order=order)[0]).tolist() == [first]
    dear = replace(record, shares=np.array([[1000.0, 100.0, 1000.0]]))
    assert np.flatnonzero(verbs(dear, "xen_30_rounds", order="worth")[0]).tolist() == [0]


def test_memory_follows_the_disk_when_the_vm_is_quiet_or_patience_ends(plain):
    record = plain(1, 1, phase=MIRROR, disk_left_bytes=1e6, disk_new_bytes=0.0, phase_s=50.0)
    assert verbs(record, "smart_stop")[0, 0] == COPY
    assert verbs(record, "smart_stop_cbr")[0, 0] == COPY_REDUCED
    assert verbs(record, "smart_stop", quiet_activity=0.2)[0, 0] == CONTINUE
    quiet = replace(record, activity=np.array([[0.1]]))
    assert verbs(quiet, "smart_stop", quiet_activity=0.2)[0, 0] == COPY
    assert verbs(record, "smart_stop", quiet_activity=0.2, patience_s=40.0)[0, 0] == COPY
    behind = replace(record, disk_left_bytes=np.array([[5e9]]))
    assert verbs(behind, "smart_stop")[0, 0] == CONTINUE


def test_a_memory_that_is_due_goes_before_new_disks(plain):
    phase = np.array([[AT_SOURCE, MIRROR, AT_SOURCE]])
    record = plain(1, 3, phase=phase, disk_left_bytes=1e6)
    assert verbs(record, "smart_stop")[0].tolist() == [CONTINUE, COPY, CONTINUE]
    assert (verbs(record, "smart_stop", concurrency=2.0)[0] > 0).sum() == 2


def test_cold_moves_are_cold(plain):
    assert verbs(plain(1, 1), "cold")[0, 0] == COLD
    assert verbs(plain(1, 1), "cold", disk_first=True)[0, 0] == REPLICATE
    ready = plain(1, 1, phase=MIRROR, disk_left_bytes=0.0)
    assert verbs(ready, "cold", disk_first=True)[0, 0] == COLD


def test_xen_leaves_the_stop_to_the_hypervisor(plain):
    ready = plain(1, 1, phase=MIRROR, disk_left_bytes=0.0)
    orders = make_sites_heuristic("xen_30_rounds").act(ready)
    assert orders.verb[0, 0] == COPY
    assert orders.stop_rule[0, 0] == THIRTY_ROUNDS
    assert make_sites_heuristic("smart_stop").act(ready).stop_rule[0, 0] == UNTIL_TOLD
    far = plain(1, 1, phase=PRECOPY, round=500.0)
    assert verbs(far, "xen_30_rounds")[0, 0] == CONTINUE


def precopying(plain, left, ends, **changes):
    residuals = np.full((1, 1, 6), np.nan)
    residuals[0, 0, : len(ends)] = ends
    return plain(
        1, 1, phase=PRECOPY, memory_left_bytes=left, disk_left_bytes=0.0, residuals=residuals,
        round=float(len(ends)), **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("left", "ends", "stops"),
    [
        (2e9, [], False),
        (3e8, [3e8], False),
        (2e8, [2e8, 4e8, 9e8], False),  # still falling
        (2e8, [2e8, 1.9e8, 4e8], True),  # no longer, and as low as before
        (4e8, [2e8, 1.9e8, 4e8], False),  # no longer, but a bad moment
        (1e6, [1e6, 4e8], True),  # next to nothing
    ],
)
def test_smart_stop_stops_where_another_round_no_longer_helps(plain, left, ends, stops):
    record = precopying(plain, left, ends)
    assert (verbs(record, "smart_stop", slack_frac=0.06)[0, 0] == STOP) == stops


def test_smart_stop_ends_in_any_case(plain):
    record = precopying(plain, 4e8, [2e8, 1e8])
    record = replace(record, round=np.array([[30.0]]))
    assert verbs(record, "smart_stop")[0, 0] == STOP
    assert verbs(record, "smart_stop", most_rounds=100.0)[0, 0] == CONTINUE


def test_elimination_where_there_is_enough(plain):
    record = plain(1, 2, redundancy_disk=np.array([[0.1, 0.6]]), redundancy_memory=0.2)
    found = verbs(record, "smart_stop_cbr", least_redundancy=0.3, concurrency=2.0)
    assert found[0].tolist() == [REPLICATE, COPY_REDUCED]
