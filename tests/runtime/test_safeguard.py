"""Safeguard: what needs to know what went before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import FIELDS, Command
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.safeguard import Safeguard

NAMES = tuple("abcdef")
FREE = GuardLimits(np.inf, 0.0)


def halved(record) -> Command:
    return Command(record.memory_min_bytes * 0.5 + record.actual_bytes * 0.5)


def test_a_vm_is_left_alone_until_it_was_seen(record):
    safeguard = Safeguard(FREE, hold_steps=2)
    for _ in range(2):
        safe = safeguard(halved(record), record, NAMES)
        assert safe.command.silent
        assert safe.hits == {"holding": 6}
    safe = safeguard(halved(record), record, NAMES)
    assert np.isfinite(safe.command.balloon_bytes).all()
    safe = safeguard(halved(record), record, ("new", *NAMES[1:]))
    assert np.isnan(safe.command.balloon_bytes).tolist() == [[True, *[False] * 5]]
    assert safe.hits == {"holding": 1}
    absent = replace(record, present=record.present & (np.arange(6) != 2))
    safeguard(halved(record), absent, NAMES)
    safe = safeguard(halved(record), record, NAMES)
    assert np.isnan(safe.command.balloon_bytes[0, [0, 2]]).all()  # back after having been away


def test_while_a_vm_is_new_the_cache_is_not_divided(make_whole_record):
    record = make_whole_record(np.random.default_rng(0))
    shared = Command(
        record.actual_bytes,
        llc_class=np.zeros((1, 6)),
        llc_units=np.broadcast_to(record.llc_units, (1, 6)).copy(),
    )
    safeguard = Safeguard(FREE, hold_steps=1)
    assert safeguard(shared, record, NAMES).command.llc_units is None
    safe = safeguard(shared, record, NAMES)
    np.testing.assert_array_equal(safe.command.llc_units, shared.llc_units)
    assert safe.hits == {}


def test_fields_that_nobody_obeys_are_dropped_and_counted(make_whole_record):
    record = make_whole_record(np.random.default_rng(0))
    weights = record.shares.copy()
    weights[0, 3] = np.nan
    command = Command(record.memory_min_bytes, cpu_weight=weights, monitor_level=np.ones((1, 6)))
    safe = Safeguard(FREE)(command, record, NAMES, frozenset({"monitor_level"}))
    assert safe.not_obeyed == {"balloon_bytes": 6, "cpu_weight": 5}
    assert np.isnan(safe.command.balloon_bytes).all()
    assert safe.command.cpu_weight is None
    np.testing.assert_array_equal(safe.command.monitor_level, 1)
    safe = Safeguard(FREE)(command, record, NAMES, frozenset(FIELDS))
    assert safe.not_obeyed == {}
    assert Safeguard()(Command.no_change(1, 6), record, NAMES, frozenset()).not_obeyed == {}


@pytest.mark.parametrize("shrink_first", [False, True])
def test_memory_is_given_once_it_is_there(record, shrink_first):
    full = replace(record, budget_bytes=record.actual_bytes.sum(axis=1))
    safeguard = Safeguard(FREE, shrink_first=shrink_first)
    give = 0.1 * (full.actual_bytes[0, 0] - full.memory_min_bytes[0, 0])
    swap = full.actual_bytes.copy()
    swap[0, 0] -= give
    swap[0, 1] += give
    roomy = replace(full, memory_max_bytes=2 * full.memory_max_bytes)
    safe = safeguard(Command(swap), roomy, NAMES)
    grown = safe.command.balloon_bytes[0, 1] > full.actual_bytes[0, 1]
    assert grown != shrink_first
    assert safe.hits.get("awaiting_room", 0) == shrink_first
    safeguard.told(safe.command, roomy, NAMES)
    arrived = replace(roomy, actual_bytes=np.where(np.arange(6) == 0, swap, full.actual_bytes))
    safe = safeguard(Command(swap), arrived, NAMES)
    assert safe.command.balloon_bytes[0, 1] == pytest.approx(swap[0, 1], rel=1e-6)
