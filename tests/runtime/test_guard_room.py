"""within_room: memory is given when it is there, and not while another guest still holds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.guard_room import within_room
from gymbal_runtime.telemetry import empty_telemetry

GIB = 2.0**30


def one_host(actual: list[float], budget: float):
    """VMs between 1 and 8 GiB; sizes in GiB."""
    shape = (1, len(actual))
    return replace(
        empty_telemetry(*shape),
        budget_bytes=np.array([budget * GIB]),
        present=np.ones(shape, dtype=np.bool_),
        memory_min_bytes=np.full(shape, GIB),
        memory_max_bytes=np.full(shape, 8 * GIB),
        actual_bytes=np.array([actual]) * GIB,
    )


@pytest.mark.parametrize(
    ("actual", "told", "outstanding", "expected", "cut"),
    [
        pytest.param((3, 3), (2, 5), (np.nan, np.nan), (2, 4), 1, id="only-what-is-free"),
        pytest.param((3, 3), (2, 4), (np.nan, np.nan), (2, 4), 0, id="fits"),
        pytest.param((4, 3), (2, 4), (2, np.nan), (2, 3), 1, id="nothing-free-yet"),
        pytest.param((2, 3), (np.nan, 5), (3, np.nan), (np.nan, 4), 1, id="promised-to-another"),
        pytest.param((2, 3), (2, 5), (3, np.nan), (2, 5), 0, id="promise-taken-back"),
        pytest.param((2, 3), (6, 5), (np.nan, np.nan), (3.3333, 3.6667), 2, id="shared-alike"),
        pytest.param((0.25, 5), (5, np.nan), (np.nan, np.nan), (2, np.nan), 1, id="from-below"),
        pytest.param((0.25, 6.5), (5, np.nan), (np.nan, np.nan), (np.nan,) * 2, 1, id="waits"),
    ],
)
def test_within_room__by_hand(actual, told, outstanding, expected, cut):
    record = one_host(list(actual), budget=7)
    command, cuts = within_room(
        Command(np.array([told]) * GIB), record, np.array([outstanding]) * GIB
    )
    np.testing.assert_allclose(command.balloon_bytes[0] / GIB, expected, rtol=1e-4)
    assert cuts[0] == cut


def test_within_room__a_host_of_slow_guests_never_exceeds_its_budget():
    """Guests move a random part of the way to their target at each step; some never move."""
    rng = np.random.default_rng(0)
    for trial in range(40):
        record = one_host(list(rng.uniform(1, 2, 6)), budget=12)
        actual = record.actual_bytes.copy()
        heading, outstanding = actual.copy(), np.full((1, 6), np.nan)
        for _ in range(40):
            record = replace(record, actual_bytes=actual)
            asked = Command(rng.uniform(0, 8, (1, 6)) * GIB)
            command, _ = guard(asked, record, GuardLimits(np.inf, 0.0))
            command, _ = within_room(command, record, outstanding)
            targets = command.balloon_bytes
            outstanding = np.where(np.isfinite(targets), targets, outstanding)
            heading = np.where(np.isfinite(targets), targets, heading)
            actual = actual + rng.uniform(0, 1, (1, 6)) * (trial % 4 > 0) * (heading - actual)
            assert actual.sum() <= 12 * GIB * (1 + 1e-12)
            assert np.maximum(actual, heading).sum() <= 12 * GIB * (1 + 1e-12)


def test_within_room__no_vms():
    command, cuts = within_room(Command(np.zeros((1, 0))), one_host([], 4), np.zeros((1, 0)))
    assert command.balloon_bytes.shape == (1, 0)
    assert cuts[0] == 0
