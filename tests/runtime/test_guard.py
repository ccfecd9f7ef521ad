"""Guard: whatever goes in, what comes out is feasible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.plausibility import LARGEST, plausible_hosts, without_impossible
from gymbal_runtime.telemetry import CONFIGURED_FIELDS, Telemetry, empty_telemetry, implausible

GIB = 2.0**30
LIMITS = [GuardLimits(), GuardLimits(0.1, 0.0), GuardLimits(np.inf, 0.2), GuardLimits(0.0, 0.0)]


def one_host(actual: list[float], budget: float, age_s: float = 0.0) -> Telemetry:
    """A host of VMs between 1 and 8 GiB; sizes in GiB."""
    record = empty_telemetry(1, len(actual))
    return replace(
        record,
        age_s=np.array([age_s]),
        budget_bytes=np.array([budget * GIB]),
        present=np.ones((1, len(actual)), dtype=np.bool_),
        memory_min_bytes=np.full((1, len(actual)), GIB),
        memory_max_bytes=np.full((1, len(actual)), 8 * GIB),
        actual_bytes=np.array([actual]) * GIB,
    )


def targets(*gib: float) -> Command:
    return Command(balloon_bytes=np.array([gib]) * GIB)


def evil_targets(rng: np.random.Generator, shape: tuple[int, ...]) -> Command:
    """Sensible targets with NaN, infinities, negatives and nonsense strewn in."""
    evil = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300, -1e300])
    sensible = rng.uniform(-1, 12, shape) * GIB
    chosen = evil[rng.integers(len(evil), size=shape)]
    return Command(balloon_bytes=np.where(rng.random(shape) < 0.3, chosen, sensible))


def assert_feasible(command: Command, telemetry: Telemetry) -> None:
    target, present = command.balloon_bytes, telemetry.present
    moved = np.isfinite(target)
    assert not np.isinf(target).any()
    assert not (moved & ~present).any()
    fine = plausible_hosts(telemetry)
    assert not moved[~fine].any()
    record = telemetry.take_hosts(np.flatnonzero(fine))
    moved, target = moved[fine], target[fine]
    assert (target >= record.memory_min_bytes)[moved].all()
    assert (target <= record.memory_max_bytes)[moved].all()
    actual = np.where(record.present, record.actual_bytes, 0.0)
    total = np.where(moved, target, actual).sum(axis=1)
    assert (total <= np.maximum(record.budget_bytes, actual.sum(axis=1))).all()


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("num_vms", [1, 6, 64])
def test_guard__evil_targets_on_sound_hosts(limits, num_vms, make_record):
    rng = np.random.default_rng(num_vms)
    telemetry = make_record(rng, 2000, num_vms, occupied=0.8)
    assert plausible_hosts(telemetry).all()
    command, _ = guard(evil_targets(rng, telemetry.present.shape), telemetry, limits)
    assert_feasible(command, telemetry)


@pytest.mark.parametrize("limits", LIMITS)
def test_guard__evil_targets_on_fuzzed_hosts(limits, fuzz_record):
    rng = np.random.default_rng(1)
    telemetry = fuzz_record(rng, 10_000)
    with np.errstate(all="raise"):
        command, report = guard(evil_targets(rng, telemetry.present.shape), telemetry, limits)
    assert_feasible(command, telemetry)
    assert 0.2 < report.implausible.mean() < 0.8


def test_guard__sound_command_passes_to_the_last_bit():
    command = targets(2.5, 4.5)
    guarded, report = guard(command, one_host([3, 4], budget=7))
    np.testing.assert_array_equal(guarded.balloon_bytes, command.balloon_bytes)
    assert report.hits() == {}


def test_guard__each_host_on_its_own(fuzz_record):
    rng = np.random.default_rng(2)
    telemetry = fuzz_record(rng, 200)
    command = evil_targets(rng, telemetry.present.shape)
    together, report = guard(command, telemetry)
    for host in range(0, 200, 7):
        index = np.array([host])
        alone, only = guard(Command(command.balloon_bytes[index]), telemetry.take_hosts(index))
        np.testing.assert_array_equal(alone.balloon_bytes[0], together.balloon_bytes[host])
        assert only.hits() == report.hits(host)


@pytest.mark.parametrize(
    ("asked", "limits", "expected", "rule"),
    [
        pytest.param((0.5, 4), GuardLimits(), (1, np.nan), "clamped", id="floor"),
        pytest.param((np.inf, 3), GuardLimits(), (np.nan, 3), "infinite", id="infinity"),
        pytest.param((3.02, 4), GuardLimits(), (np.nan, np.nan), "dead_band", id="dead-band"),
        pytest.param((1.5, 4), GuardLimits(0.1), (2.7, np.nan), "paced", id="pace"),
        pytest.param((5, 6), GuardLimits(), (4.5, 5.5), "over_budget", id="budget"),
        pytest.param((6, np.nan), GuardLimits(), (6, np.nan), "", id="grow-beside-unchanged"),
        pytest.param((7, np.nan), GuardLimits(np.inf), (6, np.nan), "over_budget", id="actual"),
    ],
)
def test_guard__rules_by_hand(asked, limits, expected, rule):
    command, report = guard(targets(*asked), one_host([3, 4], budget=10), limits)
    np.testing.assert_allclose(command.balloon_bytes[0] / GIB, expected, rtol=1e-6)
    assert set(report.hits()) == ({rule} if rule else set())


def test_guard__nobody_grows_where_the_others_hold_too_much():
    # 3 + 4 are held of 5; VM 0 may not fall below 2.7, so nothing can be given to VM 1.
    telemetry = one_host([3, 4], budget=5)
    command, report = guard(targets(2.5, 6), telemetry, GuardLimits(0.1))
    assert command.balloon_bytes[0, 0] == pytest.approx(2.7 * GIB)
    assert not command.balloon_bytes[0, 1] > 4 * GIB
    assert report.over_budget[0]


def test_guard__not_even_the_floor_where_the_others_hold_too_much():
    # VM 2 holds half of its floor, but nobody gives anything: even its floor has to wait.
    telemetry = one_host([6, 2, 0.5], budget=5)
    command, report = guard(targets(np.nan, np.nan, 8), telemetry)
    assert report.withheld[0]
    assert np.isnan(command.balloon_bytes).all()
    # As soon as VM 1 gives one, VM 2 gets its floor.
    command, report = guard(targets(np.nan, 1, 8), telemetry)
    assert not report.withheld[0]
    np.testing.assert_allclose(command.balloon_bytes[0] / GIB, [np.nan, 1, 1])


def test_guard__ceiling_and_floor_win_over_pace():
    command, _ = guard(targets(4, 4), one_host([0.25, 12], budget=30), GuardLimits(0.1))
    np.testing.assert_allclose(command.balloon_bytes[0] / GIB, [1, 8])


@pytest.mark.parametrize("age_s", [30.1, np.inf, np.nan])
def test_guard__stale_or_ageless_is_left_alone(age_s):
    command, report = guard(targets(2, 2), one_host([3, 4], budget=10, age_s=age_s))
    assert np.isnan(command.balloon_bytes).all()
    assert report.stale[0]


@pytest.mark.parametrize("shape", [(), (2,), (1, 3), (2, 2), (1, 2, 1)])
def test_guard__misshapen_command_changes_nothing(shape):
    command, report = guard(Command(np.full(shape, GIB)), one_host([3, 4], budget=10))
    assert np.isnan(command.balloon_bytes).all()
    assert report.hits() == {"misshapen": 1}


def test_guard__no_vms():
    command, _ = guard(Command(np.zeros((1, 0))), one_host([], budget=10))
    assert command.balloon_bytes.shape == (1, 0)


@pytest.mark.parametrize("value", [-1.0, np.nan])
@pytest.mark.parametrize("name", ["max_change_frac", "dead_band_frac", "max_age_s"])
def test_guard_limits__refuse_nonsense(name, value):
    with pytest.raises(ValueError, match=name):
        GuardLimits(**{name: value})


def test_plausible_hosts__agrees_with_implausible(fuzz_record):
    telemetry = fuzz_record(np.random.default_rng(3), 2000)
    fine = plausible_hosts(telemetry)
    for host in range(telemetry.num_hosts):
        alone = telemetry.take_hosts(np.array([host]))
        if fine[host]:
            assert implausible(alone) == []
        elif not implausible(alone):  # stricter in one way only
            configured = [getattr(alone, n)[alone.present] for n in CONFIGURED_FIELDS]
            assert max(*alone.budget_bytes, *np.concatenate(configured)) > LARGEST


def test_without_impossible__marks_as_not_measured(make_record):
    record = make_record(np.random.default_rng(4))
    assert without_impossible(record) == (record, [])
    mad = record.psi_some_frac.copy()
    mad[0, 2] = -1
    repaired, found = without_impossible(replace(record, psi_some_frac=mad))
    assert found == ["psi_some_frac"]
    assert np.isnan(repaired.psi_some_frac[0, 2])
    assert plausible_hosts(repaired).all()
