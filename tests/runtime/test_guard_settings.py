"""The guard of what is not memory: the impossible is left as it is, and counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.guard import guard
from gymbal_runtime.guard_settings import LARGEST_WEIGHT_RATIO, LEAST_CAP_CORES, SETTINGS


@pytest.fixture
def whole(make_whole_record):
    record = make_whole_record(np.random.default_rng(0), 1, 4)
    shares = np.full((1, 4), 1000.0)
    slots = np.array([2.0])
    return replace(record, shares=shares, passthrough_slots=slots, device_mode=np.zeros((1, 4)))


def told(record, **values):
    given = {name: np.array([row], dtype=float) for name, row in values.items()}
    command, report = guard(Command(np.full((1, 4), np.nan), **given), record)
    return command, report.hits()


def test_what_is_possible_passes(whole) -> None:
    asked = {
        "cpu_weight": [250.0, 1000.0, 4000.0, np.nan],
        "cpu_cap_cores": [LEAST_CAP_CORES, 2.5, np.inf, np.nan],
        "device_mode": [1, 0, 1, np.nan],
        "monitor_level": [0, 1, 2, np.nan],
    }
    command, hits = told(whole, **asked)
    assert hits == {}
    for name, row in asked.items():
        np.testing.assert_array_equal(command.given[name][0], row)


@pytest.mark.parametrize(
    ("name", "row", "kept"),
    [
        ("cpu_weight", [0.0, -1.0, np.inf, 500.0], [False, False, False, True]),
        (
            "cpu_weight",
            [1.01e3 * LARGEST_WEIGHT_RATIO, 1e3 * LARGEST_WEIGHT_RATIO, 9.9, 10.0],
            [False, True, False, True],
        ),
        ("cpu_cap_cores", [0.0, -np.inf, 0.99 * LEAST_CAP_CORES, np.inf], [0, 0, 0, 1]),
        ("device_mode", [2.0, 0.5, -1.0, 1.0], [False, False, False, True]),
        ("device_mode", [1.0, 1.0, 1.0, 0.0], [False, False, False, True]),  # two devices
        ("monitor_level", [3.0, 0.5, -1.0, 2.0], [False, False, False, True]),
    ],
)
def test_what_is_impossible_is_left_as_it_is(whole, name, row, kept) -> None:
    command, hits = told(whole, **{name: row})
    np.testing.assert_array_equal(~np.isnan(command.given[name][0]), kept)
    assert hits == {f"{name}_refused": 4 - sum(kept)}


def test_a_device_can_be_passed_on_when_all_are_in_use(whole) -> None:
    full = replace(whole, device_mode=np.array([[1.0, 1.0, 0.0, 0.0]]))
    command, hits = told(full, device_mode=[0, 1, 1, 0])
    assert hits == {}
    np.testing.assert_array_equal(command.device_mode[0], [0, 1, 1, 0])
    command, hits = told(full, device_mode=[np.nan, np.nan, 1, np.nan])
    assert hits == {"device_mode_refused": 1}


def test_without_known_devices_nobody_is_switched(whole) -> None:
    unknown = replace(whole, passthrough_slots=np.array([np.nan]))
    command, hits = told(unknown, device_mode=[1, 0, 0, np.nan])
    assert np.isnan(command.device_mode).all()
    assert hits == {"device_mode_refused": 3}


def test_a_field_of_another_shape_is_left_out(whole) -> None:
    odd = {name: np.zeros((1, 3)) for name in SETTINGS}
    command, report = guard(Command(np.full((1, 4), np.nan), **odd), whole)
    assert all(np.isnan(command.given[name]).all() for name in SETTINGS)
    assert report.hits() == {f"{name}_refused": 4 for name in SETTINGS}


def test_a_stale_record_changes_nothing(whole) -> None:
    stale = replace(whole, age_s=np.array([1e3]))
    command, hits = told(stale, monitor_level=[0, 1, 2, 0], cpu_weight=[500.0] * 4)
    assert np.isnan(command.monitor_level).all()
    assert np.isnan(command.cpu_weight).all()
    assert hits == {"stale": 1}


def test_whatever_is_asked_it_answers(fuzz_record) -> None:
    rng = np.random.default_rng(1)
    record = fuzz_record(rng, 2000)
    evil = np.array([np.nan, np.inf, -np.inf, 1e300, -1.0, 0.0, 1.0, 2.0, 500.0])
    asked = {name: rng.choice(evil, record.present.shape) for name in SETTINGS}
    command, _ = guard(Command(record.actual_bytes, **asked), record)
    weight = command.cpu_weight[np.isfinite(command.cpu_weight)]
    assert (weight > 0).all()
    assert (command.cpu_cap_cores[~np.isnan(command.cpu_cap_cores)] >= LEAST_CAP_CORES).all()
    assert set(np.unique(command.monitor_level[np.isfinite(command.monitor_level)])) <= {0, 1, 2}
    now = record.present & (record.device_mode == 1.0)
    switched = np.isfinite(command.device_mode)
    after = np.where(switched, command.device_mode == 1.0, now).sum(axis=1)
    assert (after <= np.maximum(np.nan_to_num(record.passthrough_slots), now.sum(axis=1))).all()
