"""Custody: what was changed can be put back, also by another process."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.custody import FOUND_IN, Custody
from gymbal_runtime.guard import guard
from gymbal_runtime.telemetry import Telemetry

NAMES = tuple("abcdef")


def told(record, slot: int, bytes_: float = 1e9) -> Command:
    targets = np.full(record.present.shape, np.nan)
    targets[0, slot] = bytes_
    return Command(targets)


def test_only_what_was_changed_is_put_back_to_how_it_was_first_found(record, tmp_path):
    path = tmp_path / "state.json"
    custody = Custody("rack", path)
    custody.note(told(record, 2), record, NAMES)
    later = replace(record, actual_bytes=record.actual_bytes * 0.5)
    custody.note(told(later, 2), later, NAMES)
    custody.note(told(later, 4), later, NAMES)
    expected = np.full((1, 6), np.nan)
    expected[0, 2], expected[0, 4] = record.actual_bytes[0, 2], later.actual_bytes[0, 4]
    np.testing.assert_array_equal(custody.command(later, NAMES).balloon_bytes, expected)
    heir = Custody("rack", path)
    heir.load()
    np.testing.assert_array_equal(heir.command(later, NAMES).balloon_bytes, expected)
    moved = ("x", "x2", "e", "x3", "c", "x4")
    heir.forget_absent(moved)
    np.testing.assert_array_equal(
        heir.command(later, moved).balloon_bytes[0, [4, 2]], expected[0, [2, 4]]
    )
    heir.clear()
    assert not path.exists()
    assert heir.command(later, NAMES).silent


def test_every_field_of_a_command_can_be_put_back(make_whole_record):
    record = make_whole_record(np.random.default_rng(0))
    custody = Custody("rack")
    ones = np.ones((1, 6))
    custody.note(Command(**dict.fromkeys(FOUND_IN, ones)), record, NAMES)
    back = custody.command(record, NAMES)
    for field, found in FOUND_IN.items():
        np.testing.assert_array_equal(getattr(back, field), getattr(record, found))
    assert set(FOUND_IN.values()) <= set(Telemetry.__slots__)


def test_that_there_was_no_cap_outlives_a_crash(make_whole_record, tmp_path):
    record = make_whole_record(np.random.default_rng(0))
    record.cpu_cap_cores[0] = [np.inf, 2.5, np.nan, np.inf, 1.0, 1.0]
    caps = np.array([[1.0, 1.0, 1.0, np.nan, np.inf, np.nan]])
    nothing = np.full((1, 6), np.nan)
    Custody("rack", tmp_path / "state").note(Command(nothing, cpu_cap_cores=caps), record, NAMES)
    heir = Custody("rack", tmp_path / "state")
    heir.load()
    back = heir.command(record, NAMES)
    np.testing.assert_array_equal(back.cpu_cap_cores, [[np.inf, 2.5, np.nan, np.nan, 1.0, np.nan]])
    safe, report = guard(back, record)  # as it is on its way out
    np.testing.assert_array_equal(safe.cpu_cap_cores, back.cpu_cap_cores)
    assert report.hits() == {}


def test_a_vm_that_left_is_forgotten(record):
    custody = Custody("rack")
    custody.note(told(record, 0), record, NAMES)
    custody.forget_absent(NAMES[1:])
    assert custody.command(record, NAMES).silent
    custody.note(told(record, 1), record, NAMES)
    custody.note(told(record, 2), record, ("new", "newer", *NAMES[2:]))
    back = custody.command(record, NAMES).balloon_bytes[0]
    assert np.isfinite(back).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"host": "other", "found": {}}', b'{"host": "rack", "found": {"x": {}}}'],
)
def test_a_damaged_or_foreign_state_is_said_and_not_used(record, tmp_path, content):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    custody = Custody("rack", path)
    with pytest.raises(ValueError, match="not used"):
        custody.load()
    assert custody.command(record, NAMES).silent


def test_without_a_state_file_there_is_nothing_to_load(tmp_path):
    Custody("rack", tmp_path / "none").load()
    Custody("rack").load()
