"""The cache's part of an observation and of an action."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.cache import CACHE_HEURISTICS
from gymbal_runtime.llc import check_llc_command
from gymbal_runtime.parts.cache import CACHE
from gymbal_runtime.parts.cache_quantities import TRACKED
from gymbal_runtime.telemetry import Telemetry, empty_telemetry

seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=30, deadline=None)
rules = st.sampled_from(sorted(CACHE_HEURISTICS))


def _hosts(seed: int, num_hosts: int = 5, num_vms: int = 6, missing_frac: float = 0.0) -> Telemetry:
    rng = np.random.default_rng(seed)
    shape = (num_hosts, num_vms)
    rate = rng.uniform(1e6, 1e8, shape)
    curve = rate[..., None] * np.sort(rng.random((*shape, 12)), axis=-1)[..., ::-1]
    units = rng.choice([11.0, 20.0, 32.0], num_hosts)
    measured = {
        "llc_class": np.zeros(shape),
        "llc_units_held": np.broadcast_to(units[:, None], shape).copy(),
        "llc_occupancy_bytes": rng.uniform(0, 5e6, shape),
        "llc_reference_rate": rate,
        "llc_miss_rate": curve[..., 4].copy(),
        "llc_miss_curve": curve,
        "instruction_rate": rng.uniform(5e8, 5e9, shape),
        "cycle_rate": rng.uniform(1e9, 3e9, shape),
        "stall_frac": rng.uniform(0.0, 0.6, shape),
        "memory_bandwidth_bytes_s": curve[..., 4] * 64.0,
        "cpu_cores": rng.uniform(0, 4, shape),
        "active_bytes": rng.uniform(0, 4e9, shape),
        "hint_llc_slowdown": rng.uniform(1, 4, shape),
        "hint_footprint_bytes": rng.uniform(0, 4e9, shape),
    }
    for values in measured.values():
        values[rng.random(values.shape) < missing_frac] = np.nan
    return replace(
        empty_telemetry(num_hosts, num_vms),
        present=rng.random(shape) < 0.8,
        shares=rng.choice([500.0, 1000.0, 2000.0], shape),
        host_cores=np.full(num_hosts, 16.0),
        llc_bytes=np.full(num_hosts, 3e7),
        llc_units=units,
        llc_classes=rng.choice([1.0, 3.0, 16.0], num_hosts),
        llc_min_units=rng.choice([1.0, 2.0], num_hosts),
        llc_recolours=rng.choice([0.0, 1.0], num_hosts),
        bandwidth_limit_bytes_s=np.full(num_hosts, 4e10),
        **measured,
    )


def _decode(action: np.ndarray, record: Telemetry, base: Command) -> tuple[np.ndarray, np.ndarray]:
    told = CACHE.decode(action, record, base)
    assert set(told) == {"llc_class", "llc_units"}
    return told["llc_class"], told["llc_units"]


def _one_host(class_units: list[int], held: list[float]) -> tuple[Telemetry, Command]:
    """Two VMs, a class each, held and proposed units of 12."""
    record = replace(
        empty_telemetry(1, 2),
        present=np.ones((1, 2), dtype=np.bool_),
        llc_units=np.array([12.0]),
        llc_classes=np.array([4.0]),
        llc_min_units=np.ones(1),
        llc_class=np.array([[0.0, 1.0]]),
        llc_units_held=np.array([held]),
    )
    base = replace(
        Command.no_change(1, 2),
        llc_class=np.array([[0.0, 1.0]]),
        llc_units=np.array([class_units], dtype=float),
    )
    return record, base


@given(seed=seeds, rule=rules, missing_frac=st.sampled_from([0.0, 0.3]))
@some
def test_zero_is_exactly_the_heuristic(seed: int, rule: str, missing_frac: float) -> None:
    record = _hosts(seed, missing_frac=missing_frac)
    base = CACHE_HEURISTICS[rule]().act(record)
    vm_class, units = _decode(np.zeros((5, 6, 2)), record, base)
    np.testing.assert_array_equal(vm_class, base.llc_class)
    np.testing.assert_array_equal(units, base.llc_units)


@given(seed=seeds, rule=rules)
@some
def test_every_action_is_feasible(seed: int, rule: str) -> None:
    record = _hosts(seed, missing_frac=0.1)
    base = CACHE_HEURISTICS[rule]().act(record)
    rng = np.random.default_rng(seed)
    for action in (rng.uniform(-1, 1, (5, 6, 2)), rng.choice([-1.0, 0.0, 1.0], (5, 6, 2))):
        vm_class, units = _decode(action, record, base)
        assert check_llc_command(vm_class, units, record) == []
        np.testing.assert_array_equal(vm_class, base.llc_class)
        np.testing.assert_array_equal(np.isnan(units), np.isnan(base.llc_units))


@pytest.mark.parametrize(
    ("correction", "follow", "expected"),
    [
        ([0.0, 0.0], [0.0, 0.0], [9, 3]),
        ([0.0, 0.0], [-1.0, -1.0], [4, 8]),  # leave things as they are
        ([0.0, 0.0], [-0.6, 0.5], [8, 4]),  # 9 - 0.6 of 5 and 3: 6 and 3, scaled to 12 in all
        ([0.0, 0.0], [1.0, 1.0], [9, 3]),  # more than following is following
        # Wanted 9 - 2.25 = 6.75 and 3 + 1.35 = 4.35, scaled to 12 in all.
        ([-0.2, 0.2], [0.0, 0.0], [7, 5]),
    ],
)
def test_worked_cases(correction, follow, expected) -> None:
    record, base = _one_host([9, 3], held=[4.0, 8.0])
    _, units = _decode(np.array([correction, follow]).T[None], record, base)
    assert units[0].tolist() == expected


def test_classes_move_as_one() -> None:
    record, base = _one_host([6, 6], held=[12.0, 12.0])
    shared = replace(base, llc_class=np.zeros((1, 2)), llc_units=np.full((1, 2), 12.0))
    _, units = _decode(np.array([[[1.0, -1.0], [-1.0, 0.5]]]), record, shared)
    assert units[0].tolist() == [12, 12]


def test_a_host_that_is_left_alone_stays_so() -> None:
    record, base = _one_host([9, 3], held=[6.0, 6.0])
    for silent in (replace(base, llc_units=np.full((1, 2), np.nan)), Command.no_change(1, 2)):
        for values in _decode(np.ones((1, 2, 2)), record, silent):
            assert np.isnan(values).all()
    no_cache = replace(record, llc_units=np.array([np.nan]))
    assert np.isnan(_decode(np.ones((1, 2, 2)), no_cache, base)[1]).all()


@given(seed=seeds, rule=rules, missing_frac=st.sampled_from([0.0, 0.3, 1.0]))
@some
def test_columns(seed: int, rule: str, missing_frac: float) -> None:
    record = _hosts(seed, missing_frac=missing_frac)
    base = CACHE_HEURISTICS[rule]().act(record)
    seen, host = CACHE.vm_columns(record, base), CACHE.host_columns(record, base)
    assert set(seen) == {q.name for q in CACHE.vm_quantities}
    assert set(host) == {q.name for q in CACHE.host_quantities}
    assert set(TRACKED) <= set(seen)
    assert len(CACHE.tracked) == len(CACHE.history_quantities)
    assert all(np.shape(column) == (5, 6) for column in seen.values())
    assert all(np.shape(column) == (5,) for column in host.values())


def test_units_and_scale_do_not_matter() -> None:
    # A cache twice as large, with everything that is counted in its bytes or units, looks the same.
    record = replace(_hosts(3), llc_units=np.full(5, 16.0), llc_units_held=np.full((5, 6), 16.0))
    base = CACHE_HEURISTICS["equal"]().act(record)
    twice = replace(
        record,
        llc_units=2 * record.llc_units,
        llc_units_held=2 * record.llc_units_held,
        llc_bytes=2 * record.llc_bytes,
        llc_occupancy_bytes=2 * record.llc_occupancy_bytes,
    )
    doubled = replace(base, llc_units=2 * base.llc_units)
    for name, column in CACHE.vm_columns(record, base).items():
        np.testing.assert_allclose(CACHE.vm_columns(twice, doubled)[name], column, err_msg=name)


def test_speed_is_foreseen_from_the_curve() -> None:
    # At full stall on misses, half the misses are half the cycles.
    record, base = _one_host([6, 6], held=[12.0, 12.0])
    curve = np.linspace(110.0, 0.0, 12)[None, None].repeat(2, axis=1)
    record = replace(
        record,
        llc_reference_rate=np.full((1, 2), 120.0),
        llc_miss_curve=curve,
        llc_miss_rate=np.full((1, 2), 120.0),
        stall_frac=np.array([[1.0, 0.5]]),
        cycle_rate=np.full((1, 2), 3e9),
    )
    seen = CACHE.vm_columns(record, base)
    np.testing.assert_allclose(
        seen["slowdown_6"], np.log2([[65 / 120, 0.5 + 32.5 / 120]]) / 3, rtol=0.2
    )
    np.testing.assert_allclose(seen["slowdown_base"], seen["slowdown_6"])
    assert seen["has_curve"].all()


@given(seed=seeds)
@some
def test_absurd_records_do_not_raise(seed: int) -> None:
    record = _hosts(seed)
    base = CACHE_HEURISTICS["ucp"]().act(record)
    rng = np.random.default_rng(seed)
    for field in fields(record):
        values = getattr(record, field.name)
        if field.name != "present":
            values[rng.random(values.shape) < 0.1] = rng.choice([np.inf, -1.0, 1e300, np.nan, 0.0])
    CACHE.vm_columns(record, base)
    CACHE.host_columns(record, base)
    CACHE.decode(rng.uniform(-1, 1, (5, 6, 2)), record, base)
