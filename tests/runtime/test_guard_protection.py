"""Protection: memory is not taken from a guest that needs it, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.guard_protection import Protection, in_trouble, protective_floors
from gymbal_runtime.plausibility import plausible_hosts
from gymbal_runtime.telemetry import empty_telemetry
from gymbal_runtime.workingset import estimated_working_set

GIB = 2.0**30


def guests(**measured: list[float]):
    """Guests of 1 to 8 GiB that hold 4 GiB each on a roomy host; sizes are in GiB."""
    count = len(next(iter(measured.values())))
    shape = (1, count)
    values = {
        name: np.array([given]) * (GIB if name.endswith("_bytes") else 1.0)
        for name, given in measured.items()
    }
    record = replace(
        empty_telemetry(*shape),
        budget_bytes=np.array([64 * GIB]),
        present=np.ones(shape, dtype=np.bool_),
        memory_min_bytes=np.full(shape, GIB),
        memory_max_bytes=np.full(shape, 8 * GIB),
        actual_bytes=np.full(shape, 4 * GIB),
    )
    return replace(record, **values)


def told(record, gib: float, protection: Protection | None = None):
    targets = np.full(record.present.shape, gib * GIB)
    command, report = guard(Command(targets), record, protection=protection or Protection())
    return command.balloon_bytes[0] / GIB, report.hits()


def test_a_guest_keeps_its_working_set_and_headroom():
    record = guests(usable_bytes=[3.0, 2.0, 0.2, np.nan])  # so 1, 2 and 3.8 GiB are needed
    targets, hits = told(record, 1.5)
    np.testing.assert_allclose(targets, [1.5, 2.2, np.nan, np.nan], rtol=1e-9)
    assert hits == {"protected": 3}
    targets, _ = told(record, 1.5, Protection(headroom_frac=0.5))
    np.testing.assert_allclose(targets[:2], [1.5, 3.0], rtol=1e-9)


def test_a_guest_in_trouble_gives_nothing():
    record = guests(
        usable_bytes=[3.0] * 4,
        swap_in_rate=[0.0, 2.0**21, np.nan, 0.0],
        psi_some_frac=[np.nan, 0.0, 0.1, 0.3],
    )
    assert in_trouble(record, Protection()).tolist() == [[False, True, False, True]]
    targets, hits = told(record, 2.0)
    np.testing.assert_allclose(targets, [2.0, np.nan, 2.0, np.nan])
    assert hits == {"protected": 2}


def test_it_limits_taking_and_never_gives():
    record = guests(usable_bytes=[0.0, 0.0], actual_bytes=[2.0, 2.0])  # in need of every byte
    targets, hits = told(record, 3.0)
    np.testing.assert_allclose(targets, [3.0, 3.0])
    assert hits == {}


def test_configured_floor_and_ceiling_hold_beside_it():
    record = guests(usable_bytes=[3.9, 0.0], memory_max_bytes=[8.0, 3.0])
    targets, _ = told(record, 0.5)
    np.testing.assert_allclose(targets, [1.0, 3.0])  # the second was promised no more than 3


def test_without_it_the_guard_is_that_of_training(fuzz_record):
    rng = np.random.default_rng(0)
    record = fuzz_record(rng, 3000)
    command = Command(rng.uniform(-1, 9, record.present.shape) * GIB)
    plain, report = guard(command, record)
    assert not report.protected.any()
    mild = Protection(headroom_frac=0.0, swap_in_rate=np.inf, psi_some_frac=np.inf)
    allowed, _ = guard(command, record, protection=mild)
    assert not np.array_equal(plain.balloon_bytes, allowed.balloon_bytes, equal_nan=True)


@pytest.mark.parametrize("limits", [GuardLimits(), GuardLimits(np.inf, 0.0), GuardLimits(0.1, 0.0)])
def test_no_target_below_a_protective_floor_whatever_comes(fuzz_record, limits):
    rng = np.random.default_rng(1)
    record = fuzz_record(rng, 5000)
    evil = rng.choice([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300], record.present.shape)
    asked = rng.uniform(-1, 9, record.present.shape) * GIB
    command = Command(np.where(rng.random(asked.shape) < 0.2, evil, asked))
    allowed, _ = guard(command, record, limits, Protection())
    targets = allowed.balloon_bytes
    moved = np.isfinite(targets)
    assert moved.sum() > 3000
    assert not moved[~plausible_hosts(record)].any()
    with np.errstate(all="ignore"):
        floors = protective_floors(record, Protection())
        needed = np.minimum(record.actual_bytes, 1.1 * estimated_working_set(record))
    assert (targets >= floors)[moved].all()
    below = targets < np.minimum(needed, record.memory_max_bytes) * (1 - 1e-9)
    assert not (below & moved & ~np.isnan(needed)).any()
    held = np.where(record.present, record.actual_bytes, 0.0)
    total = np.where(moved, targets, held).sum(axis=1)
    fine = plausible_hosts(record)
    assert (total <= np.maximum(record.budget_bytes, held.sum(axis=1)))[fine].all()


def test_misshapen_command_is_left_to_the_guard():
    record = guests(usable_bytes=[1.0, 1.0])
    _, report = guard(Command(np.zeros(5)), record, protection=Protection())
    assert report.hits() == {"misshapen": 1}


@pytest.mark.parametrize("name", ["headroom_frac", "swap_in_rate", "psi_some_frac"])
@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_nonsense_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be zero or positive"):
        Protection(**{name: value})
