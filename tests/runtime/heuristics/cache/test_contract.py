"""What every cache heuristic promises, whatever its rule."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.agent import Agent
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.cache import CACHE_HEURISTICS
from gymbal_runtime.heuristics.cache.limits import cache_limits
from gymbal_runtime.llc import check_llc_command
from gymbal_runtime.telemetry import Telemetry

all_rules = pytest.mark.parametrize("rule", list(CACHE_HEURISTICS.values()), ids=CACHE_HEURISTICS)
variants = pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ucp", {"by_stall": True, "min_gain_frac": 0.1, "history": 0.0}),
        ("kpart", {"by_stall": True, "min_gain_frac": 0.1}),
        ("colour_hot", {"by_stall": False, "dwell_s": 1e4}),
    ],
)
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=20, deadline=None)


def _check(told: Command, t: Telemetry) -> None:
    assert told.llc_class is not None
    assert told.llc_units is not None
    assert np.all(np.isnan(told.balloon_bytes))
    assert check_llc_command(told.llc_class, told.llc_units, t) == []
    expected = t.present & cache_limits(t).divisible[:, None]
    np.testing.assert_array_equal(np.isnan(told.llc_class), ~expected)
    np.testing.assert_array_equal(np.isnan(told.llc_units), ~expected)


def _later(record: Telemetry, other: Telemetry, seconds: float) -> Telemetry:
    """What the sensors of the same hosts say some time later."""
    host = ("llc_units", "llc_classes", "llc_min_units", "llc_recolours", "present")
    same = {name: getattr(record, name) for name in host}
    return replace(other, **same, time_s=record.time_s + seconds)


def _same(a: Command, b: Command, rows: object, of: object = slice(None)) -> None:
    np.testing.assert_array_equal(a.llc_class[rows], b.llc_class[of])
    np.testing.assert_array_equal(a.llc_units[rows], b.llc_units[of])


@all_rules
@given(seed=seeds, missing_frac=st.sampled_from([0.0, 0.2, 1.0]))
@some
def test_every_answer_is_feasible(random_cache_hosts, rule, seed, missing_frac) -> None:
    record = random_cache_hosts(seed, 4, 6, missing_frac=missing_frac)
    agent = rule()
    assert isinstance(agent, Agent)
    for k in range(4):
        _check(agent.act(record), record)
        record = _later(record, random_cache_hosts(seed + k, 4, 6, missing_frac=missing_frac), 16.0)


@variants
@given(seed=seeds, missing_frac=st.sampled_from([0.0, 0.3]))
@some
def test_options_keep_answers_feasible(random_cache_hosts, name, options, seed, missing_frac):
    record = random_cache_hosts(seed, 4, 6, missing_frac=missing_frac)
    agent = CACHE_HEURISTICS[name](**options)
    for k in range(3):
        _check(agent.act(record), record)
        record = _later(record, random_cache_hosts(seed + k, 4, 6, missing_frac=missing_frac), 16.0)


@all_rules
@given(seed=seeds, value=st.sampled_from([0.0, 1e300, -1.0, np.inf, -np.inf, 5e-324]))
@some
def test_absurd_readings_do_not_matter(random_cache_hosts, rule, seed, value) -> None:
    record = random_cache_hosts(seed, 4, 5)
    rng = np.random.default_rng(seed)
    for field in fields(record):
        values = getattr(record, field.name)
        if field.name not in ("present", "time_s", "age_s") and rng.random() < 0.5:
            values[rng.random(values.shape) < 0.3] = value
    agent = rule()
    for _ in range(2):
        _check(agent.act(record), record)
        record = replace(record, time_s=record.time_s + 16.0)


@all_rules
@given(seed=seeds)
@some
def test_a_host_does_not_depend_on_the_batch(random_cache_hosts, rule, seed) -> None:
    record = random_cache_hosts(seed, 6, 7, missing_frac=0.05)
    together, alone = rule(), [rule() for _ in range(6)]
    for k in range(3):
        told = together.act(record)
        for h, agent in enumerate(alone):
            _same(agent.act(record.take_hosts(np.array([h]))), told, 0, h)
        record = _later(record, random_cache_hosts(seed + k, 6, 7, missing_frac=0.05), 16.0)


@all_rules
def test_reset_forgets_the_marked_hosts_only(random_cache_hosts, rule) -> None:
    record = random_cache_hosts(5, 6, 4)
    agent, steady, marked = rule(), rule(), np.arange(6) % 2 == 0
    for seconds in (0.0, 16.0, 32.0):
        then = _later(record, random_cache_hosts(int(seconds), 6, 4), seconds)
        agent.act(then)
        steady.act(then)
    agent.reset(6, 4, marked)
    now = _later(record, random_cache_hosts(6, 6, 4), 48.0)
    told = agent.act(now)
    _same(told, rule().act(now), marked, marked)
    _same(told, steady.act(now), ~marked, ~marked)


@all_rules
def test_parts_are_repeated_until_the_period_is_over(random_cache_hosts, rule) -> None:
    record = random_cache_hosts(7, 4, 5)
    agent = rule(period_s=15.0)
    told = agent.act(record)
    _same(agent.act(_later(record, random_cache_hosts(8, 4, 5), 10.0)), told, slice(None))
    # A VM that leaves is noticed at once.
    record.present[0, np.flatnonzero(record.present[0])[0]] = False
    fewer = _later(record, random_cache_hosts(8, 4, 5), 11.0)
    _check(agent.act(fewer), fewer)


@all_rules
def test_the_record_is_not_changed(random_cache_hosts, rule) -> None:
    record = random_cache_hosts(9, 3, 4)
    before = {f.name: getattr(record, f.name).copy() for f in fields(record)}
    agent = rule()
    told = agent.act(record)
    again = agent.act(record)
    told.llc_units[:] = -1.0  # nor does the agent share its memory with whoever asked
    _same(agent.act(record), again, slice(None))
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(record, name), values)


@all_rules
def test_hosts_without_a_cache_and_a_wrong_shape(random_cache_hosts, rule) -> None:
    record = random_cache_hosts(9, 3, 3)
    record.present[0] = False
    record.llc_units[1] = np.nan
    record.llc_units[2] = 0.0
    agent = rule()
    agent.reset(3, 3)
    assert np.all(np.isnan(agent.act(record).llc_units))
    with pytest.raises(ValueError, match=r"reset for \(3, 3\) hosts x VMs, got \(4, 3\)"):
        agent.act(random_cache_hosts(9, 4, 3))


@all_rules
def test_tunable_options_exist_and_ranges_are_checked(rule) -> None:
    for name, (low, high) in rule.TUNABLE.items():
        rule(**{name: low}), rule(**{name: high})
    with pytest.raises(ValueError, match=rf"{rule.name}: period_s must lie in \[0, inf\], got -1"):
        rule(period_s=-1.0)
