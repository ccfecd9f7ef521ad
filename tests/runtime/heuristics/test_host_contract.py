"""What the heuristics for a whole host and its single resources promise, whatever their rule."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.agent import Agent
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.host import HOST_HEURISTICS
from gymbal_runtime.telemetry import NUM_LLC_POINTS, Telemetry, implausible

EVERY_FIELD = [f.name for f in fields(Command)]
# The last-level cache has heuristics, and tests, of its own.
NAMES = [*HOST_HEURISTICS]
all_heuristics = pytest.mark.parametrize("name", NAMES)
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=20, deadline=None)
PAGE_BYTES = 4096.0


def _make(name: str, **options: Any) -> Agent:
    if name == "stacked":
        options.setdefault("cache", None)
    return HOST_HEURISTICS[name](**options)


def _whole_hosts(random_hosts, seed: int, num_hosts: int, num_vms: int, missing_frac: float = 0.1):
    """Hosts that can divide everything, with fields missing at random and garbage where absent."""
    record = random_hosts(seed, num_hosts, num_vms, missing_frac=missing_frac)
    rng = np.random.default_rng(seed)
    shape = record.present.shape
    values = {
        "host_cores": rng.choice([4.0, 16.0, np.nan], num_hosts),
        "passthrough_slots": rng.choice([0.0, 1.0, 2.0, 9.0, np.nan], num_hosts),
    }
    measured = {
        "cpu_weight": rng.choice([500.0, 1000.0, 4000.0], shape),
        "wakeup_delay_s": rng.exponential(0.01, shape),
        "llc_reference_rate": rng.exponential(1e7, shape),
        "llc_miss_rate": rng.exponential(1e6, shape),
        "instruction_rate": rng.exponential(1e9, shape),
        "cycle_rate": rng.choice([0.0, 1e9, 2e9], shape),
        "walk_frac": rng.uniform(0.0, 0.3, shape),
        "io_rate_bytes_s": rng.choice([0.0, 1e6, 1e8, 1e9], shape) * rng.random(shape),
        "io_wait_frac": rng.uniform(0.0, 1.0, shape),
        "device_mode": rng.choice([0.0, 1.0], shape),
        "monitor_level": rng.choice([0.0, 1.0, 2.0], shape),
        "llc_miss_curve": rng.exponential(1e6, (*shape, NUM_LLC_POINTS)),
    }
    for value in measured.values():
        value[rng.random(shape) < missing_frac] = np.nan
        value[~record.present] = -np.inf
    return replace(record, **values, **measured)


def _obeyed(record: Telemetry, command: Command, seconds: float) -> Telemetry:
    """The record some time later, had everybody done as told, in whole pages."""
    told: dict[str, Any] = {"time_s": record.time_s + seconds}
    for setting, source in (
        ("actual_bytes", "balloon_bytes"),
        ("cpu_weight", "cpu_weight"),
        ("device_mode", "device_mode"),
        ("monitor_level", "monitor_level"),
    ):
        value = getattr(command, source)
        if value is not None:
            told[setting] = np.where(np.isnan(value), getattr(record, setting), value)
    # Whole pages. VMs that hold exactly the budget are a tie: whether MEB's dead band keeps within
    # it is then left to rounding, and so to the order in which slots are added up.
    told["actual_bytes"] = np.floor(told["actual_bytes"] / PAGE_BYTES) * PAGE_BYTES
    return replace(record, **told)


def _check(command: Command, t: Telemetry) -> None:
    for name in EVERY_FIELD:
        value = getattr(command, name)
        if value is not None:
            assert value.shape == t.present.shape
            assert np.all(np.isnan(value[~t.present])), name
            assert not np.any(np.isinf(value)), name
    if command.cpu_weight is not None:
        assert not np.any(command.cpu_weight <= 0.0)
        assert np.all(np.isnan(command.cpu_weight[np.isnan(t.cpu_weight)]))
    if command.monitor_level is not None:
        assert np.all(np.isnan(command.monitor_level) | np.isin(command.monitor_level, [0, 1, 2]))
    if command.device_mode is not None:
        assert np.all(np.isnan(command.device_mode) | np.isin(command.device_mode, [0, 1]))
        passed = np.nansum(command.device_mode, axis=1)
        assert not np.any(passed > np.nan_to_num(t.passthrough_slots))


def _same(one: Command, other: Command, rtol: float = 0.0) -> None:
    for name in EVERY_FIELD:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=rtol, err_msg=name)


def _taken(command: Command, index: Any) -> Command:
    values = {name: getattr(command, name) for name in EVERY_FIELD}
    return Command(**{k: None if v is None else v[index] for k, v in values.items()})


@all_heuristics
@given(seed=seeds, missing_frac=st.sampled_from([0.0, 0.3, 1.0]))
@some
def test_every_answer_is_feasible(random_hosts, name, seed, missing_frac) -> None:
    record = _whole_hosts(random_hosts, seed, 4, 6, missing_frac)
    assert not implausible(record)
    agent = _make(name)
    for _ in range(4):
        command = agent.act(record)
        _check(command, record)
        record = _obeyed(record, command, 5.0)


@all_heuristics
@given(seed=seeds)
@some
def test_vms_may_come_and_go_between_decisions(random_hosts, name, seed) -> None:
    record = _whole_hosts(random_hosts, seed, 4, 6)
    agent = _make(name)
    agent.act(record)
    changed = _whole_hosts(random_hosts, seed + 1, 4, 6)
    changed = replace(changed, time_s=record.time_s + 1.0)
    _check(agent.act(changed), changed)


@all_heuristics
@given(seed=seeds)
@some
def test_permuting_vms_permutes_the_answer(random_hosts, name, seed) -> None:
    record = _whole_hosts(random_hosts, seed, 3, 6)
    order = np.random.default_rng(seed).permutation(6)
    agent, permuted_agent = _make(name), _make(name)
    for _ in range(3):
        command = agent.act(record)
        permuted = permuted_agent.act(record.take_vms(order))
        _same(permuted, _taken(command, (slice(None), order)), rtol=1e-6)
        record = _obeyed(record, command, 5.0)


@all_heuristics
@given(seed=seeds)
@some
def test_a_host_does_not_depend_on_the_batch(random_hosts, name, seed) -> None:
    record = _whole_hosts(random_hosts, seed, 5, 5)
    together, alone = _make(name), [_make(name) for _ in range(5)]
    for _ in range(3):
        command = together.act(record)
        for h, agent in enumerate(alone):
            own = agent.act(record.take_hosts(np.array([h])))
            _same(own, _taken(command, slice(h, h + 1)))
        record = _obeyed(record, command, 5.0)


@all_heuristics
def test_reset_forgets_the_marked_hosts_only(random_hosts, name) -> None:
    record = _whole_hosts(random_hosts, 5, 6, 4)
    agent, steady, marked = _make(name), _make(name), np.arange(6) % 2 == 0
    for seconds in (0.0, 5.0, 10.0):
        then = replace(record, time_s=record.time_s + seconds)
        agent.act(then)
        steady.act(then)
    agent.reset(6, 4, marked)
    now = replace(
        _whole_hosts(random_hosts, 6, 6, 4), present=record.present, time_s=record.time_s + 15.0
    )
    command = agent.act(now)
    _same(_taken(command, marked), _taken(_make(name).act(now), marked))
    _same(_taken(command, ~marked), _taken(steady.act(now), ~marked))


@all_heuristics
def test_the_record_is_not_changed_nor_memory_shared(random_hosts, name) -> None:
    record = _whole_hosts(random_hosts, 3, 3, 4)
    before = {f.name: getattr(record, f.name).copy() for f in fields(record)}
    agent, untouched = _make(name), _make(name)
    untouched.act(record)
    command = agent.act(record)
    for field_name in EVERY_FIELD:
        if getattr(command, field_name) is not None:
            getattr(command, field_name)[:] = 0.0
    later = replace(record, time_s=record.time_s + 1.0)
    _same(agent.act(later), untouched.act(later))
    for field_name, values in before.items():
        np.testing.assert_array_equal(getattr(record, field_name), values)


@all_heuristics
def test_an_empty_host_and_a_wrong_shape(random_hosts, name) -> None:
    record = _whole_hosts(random_hosts, 9, 2, 3)
    record.present[0] = False
    agent = _make(name)
    agent.reset(2, 3)
    _check(agent.act(record), record)
    with pytest.raises(ValueError, match=r"reset for \(2, 3\) hosts x VMs, got \(4, 3\)"):
        agent.act(_whole_hosts(random_hosts, 9, 4, 3))


@all_heuristics
def test_options_are_plain_and_tunables_hold_their_defaults(name) -> None:
    heuristic = HOST_HEURISTICS[name]
    agent = _make(name)
    assert isinstance(agent, Agent)
    assert agent.name == name
    options = {f.name: getattr(agent, f.name) for f in fields(heuristic) if f.init}
    assert _make(name, **json.loads(json.dumps(options))).name == name
    for parameter, (low, high) in heuristic.TUNABLE.items():
        assert low <= options[parameter] <= high
        for value in (low, high):
            _make(name, **{parameter: value})
