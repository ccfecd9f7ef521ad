"""CPU, devices and monitors as a policy meets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.command import Command
from gymbal_runtime.parts.cpu import CPU
from gymbal_runtime.parts.device import DEVICE
from gymbal_runtime.parts.monitor import MONITOR
from gymbal_runtime.parts.part import Part
from gymbal_runtime.telemetry import Telemetry, empty_telemetry

PARTS = (CPU, DEVICE, MONITOR)
FIELDS = {"cpu": "cpu_weight", "device": "device_mode", "monitor": "monitor_level"}
all_parts = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
seeds = st.integers(0, 2**32 - 1)
NAN = np.nan


def _host(num_vms: int, host: dict[str, float] | None = None, **measured: Any) -> Telemetry:
    row = np.ones((1, num_vms))
    memory = {"actual_bytes": row * 8e8, "memory_max_bytes": row * 1e9}
    values = {name: row * np.asarray(value) for name, value in measured.items()}
    hosts = {name: np.array([float(value)]) for name, value in (host or {}).items()}
    blank = empty_telemetry(1, num_vms)
    return replace(
        blank, present=row > 0.0, budget_bytes=np.array([1e10]), **memory, **values, **hosts
    )


def _base(t: Telemetry, **fields: Any) -> Command:
    rows = {name: np.ones(t.present.shape) * np.asarray(v) for name, v in fields.items()}
    return replace(Command.no_change(*t.present.shape), **rows)


def _decoded(part: Part, action: list[float], t: Telemetry, base: Command) -> np.ndarray:
    told = part.decode(np.array(action, dtype=float)[None, :, None], t, base)
    assert list(told) == [FIELDS[part.name]]
    return told[FIELDS[part.name]][0]


@all_parts
def test_tables_are_complete_and_names_carry_the_prefix(part: Part) -> None:
    t = _host(2)
    for quantities, columns, shape in (
        (part.vm_quantities, part.vm_columns(t, _base(t)), (1, 2)),
        (part.host_quantities, part.host_columns(t, _base(t)), (1,)),
    ):
        names = [q.name for q in quantities]
        assert set(names) == set(columns)
        assert len(set(names)) == len(names)
        assert all(name.startswith((f"{part.name}_", "io_")) for name in names)
        assert all(np.shape(column) == shape for column in columns.values())
        assert all(q.low < q.high for q in quantities)
    assert [f"{name}_change" for name in part.tracked] == [q.name for q in part.history_quantities]
    assert set(part.tracked) <= {q.name for q in part.vm_quantities}
    assert len(part.actions) == 1


def _random(seed: int) -> tuple[Telemetry, Command, np.ndarray]:
    """Hosts with anything in them, a feasible proposal that may be silent, and an action."""
    rng = np.random.default_rng(seed)
    shape = (3, 6)

    def some(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(values.shape) < 0.2, NAN, values)

    t = replace(
        empty_telemetry(*shape),
        present=rng.random(shape) < 0.8,
        shares=rng.choice([500.0, 1000.0], shape),
        actual_bytes=rng.uniform(0.0, 1e9, shape),
        host_cores=some(np.full(3, 8.0)),
        passthrough_slots=some(rng.choice([0.0, 1.0, 2.0], 3)),
        cpu_weight=some(rng.uniform(0.0, 1e4, shape)),
        cpu_cores=some(rng.uniform(0.0, 4.0, shape)),
        steal_frac=some(rng.uniform(0.0, 1.0, shape)),
        wakeup_delay_s=some(rng.exponential(0.1, shape)),
        io_rate_bytes_s=some(rng.choice([0.0, 1e8], shape)),
        io_wait_frac=some(rng.uniform(0.0, 1.0, shape)),
        device_mode=some(np.zeros(shape)),
        monitor_level=some(rng.choice([0.0, 1.0, 2.0], shape)),
        walk_frac=some(rng.random(shape)),
        llc_miss_rate=some(rng.exponential(1e6, shape)),
        instruction_rate=some(rng.choice([0.0, 1e9], shape)),
        cycle_rate=some(rng.choice([0.0, 1e9], shape)),
        major_fault_rate=some(rng.exponential(10.0, shape)),
    )
    slots = np.nan_to_num(t.passthrough_slots)[:, None]
    settable = t.present & np.isfinite(t.device_mode)
    modes = np.where(settable & (settable.cumsum(axis=1) <= slots), 1.0, 0.0)
    silent = rng.random(shape) < 0.2
    base = Command(
        balloon_bytes=np.full(shape, NAN),
        cpu_weight=np.where(silent, NAN, rng.uniform(1.0, 1e4, shape)),
        device_mode=np.where(silent | ~settable, NAN, modes),
        monitor_level=np.where(silent, NAN, rng.choice([0.0, 1.0, 2.0], shape)),
    )
    if rng.random() < 0.2:
        base = Command.no_change(*shape)
    action = rng.choice([-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0], (*shape, 1))
    return t, base, action


@all_parts
@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_zero_is_the_heuristic_and_anything_is_feasible(part: Part, seed: int) -> None:
    t, base, action = _random(seed)
    name = FIELDS[part.name]
    proposed = getattr(base, name)
    zero = part.decode(np.zeros_like(action), t, base)[name]
    if proposed is not None:
        said = t.present & np.isfinite(proposed)
        np.testing.assert_array_equal(zero[said], proposed[said])
    told = part.decode(action, t, base)[name]
    assert np.isnan(told[~t.present]).all()
    assert not np.isinf(told).any()
    if part is CPU:
        assert not (told <= 0.0).any()
    elif part is MONITOR:
        assert np.isin(told[np.isfinite(told)], [0.0, 1.0, 2.0]).all()
    else:
        assert np.isin(told[np.isfinite(told)], [0.0, 1.0]).all()
        known = np.isfinite(t.passthrough_slots)
        assert (np.nansum(told, axis=1) <= t.passthrough_slots)[known].all()
    with np.errstate(all="ignore"):  # as the codec does
        part.vm_columns(t, base)
        part.host_columns(t, base)


@all_parts
@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_host_does_not_depend_on_the_batch_nor_a_vm_on_its_slot(part: Part, seed: int) -> None:
    t, base, action = _random(seed)
    values = {name: getattr(base, name) for name in ("balloon_bytes", *FIELDS.values())}
    name = FIELDS[part.name]

    def taken(index: Any) -> Command:
        return Command(**{k: None if v is None else v[index] for k, v in values.items()})

    told, columns = part.decode(action, t, base)[name], part.vm_columns(t, base)
    one, only = np.array([1]), slice(1, 2)
    alone = part.decode(action[only], t.take_hosts(one), taken(only))[name]
    np.testing.assert_array_equal(alone, told[only])
    for column, own in part.vm_columns(t.take_hosts(one), taken(only)).items():
        np.testing.assert_array_equal(own, columns[column][only], err_msg=column)
    if part is DEVICE:
        return  # equal actions of equally busy VMs must be told apart by something
    order = np.random.default_rng(seed).permutation(6)
    moved = part.decode(action[:, order], t.take_vms(order), taken((slice(None), order)))[name]
    np.testing.assert_array_equal(moved, told[:, order])


def test_cpu_weights_go_from_a_quarter_to_fourfold() -> None:
    t = _host(4, cpu_weight=[10.0, 10.0, 10.0, NAN])
    base = _base(t, cpu_weight=[100.0, 100.0, NAN, NAN])
    np.testing.assert_allclose(_decoded(CPU, [1, -1, 0.5, 1], t, base), [400, 25, 20, NAN])


def test_cpu_columns_by_hand() -> None:
    t = _host(
        2,
        {"host_cores": 4},
        cpu_weight=[1000.0, 3000.0],
        shares=[1000.0, 1000.0],
        cpu_cores=[1.0, 2.0],
        steal_frac=[0.5, 0.0],
        wakeup_delay_s=[1.0, 0.0],
    )
    base = _base(t, cpu_weight=[2000.0, 2000.0])
    columns = CPU.vm_columns(t, base)
    half = np.log2(3.0) / 4.0
    expected = {
        "cpu_used_of_host": [0.25, 0.5],
        "cpu_entitled_of_host": [0.25, 0.75],
        "cpu_used_of_entitled": [1.0, 2.0 / 3.0],
        "cpu_wanted_of_entitled": [2.0, 2.0 / 3.0],
        "cpu_weight_of_owner": [-half, half],
        "cpu_base_of_owner": [0.0, 0.0],
        "cpu_base_of_weight": [half, -half],
        "cpu_wakeup_delay": [1.0, 0.0],
        "cpu_has_weight": [1.0, 1.0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(columns[name][0], values, atol=1e-3, err_msg=name)
    host = {name: float(value[0]) for name, value in CPU.host_columns(t, base).items()}
    assert host == pytest.approx(
        {
            "cpu_host_used": 0.75,
            "cpu_host_wanted": 1.0,
            "cpu_host_steal": 0.25,
            "cpu_host_cores": 0.25,
        }
    )


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ([0, 0, 0, 0], [1, 0, 0, 0]),
        ([0, 0.5, 0, 0], [1, 0, 0, 0]),  # up to half, the heuristic's word stands
        ([-0.6, 0, 0, 0], [0, 0, 0, 0]),
        ([0, 1, 1, 0], [1, 0, 0, 0]),  # 0.5 each: who has a device keeps it
        ([-0.1, 1, 0.8, 0], [0, 1, 0, 0]),
        ([-1, 1, 1, 1], [0, 0, 1, 0]),  # equal scores: the busiest that can be set
    ],
)
def test_devices_go_to_the_highest_scores(action, expected) -> None:
    t = _host(
        4,
        {"passthrough_slots": 1},
        device_mode=[1, 0, 0, NAN],
        io_rate_bytes_s=[1e8, 2e8, 3e8, 4e8],
    )
    base = _base(t, device_mode=[1, 0, NAN, NAN])
    np.testing.assert_array_equal(_decoded(DEVICE, action, t, base), [*expected[:3], NAN])


def test_without_known_slots_the_heuristic_is_not_corrected() -> None:
    t = _host(2, device_mode=[1, 0])
    np.testing.assert_array_equal(_decoded(DEVICE, [-1, 1], t, _base(t)), [1, 0])


def test_device_columns_by_hand() -> None:
    t = _host(
        2,
        {"passthrough_slots": 1},
        device_mode=[1, 0],
        io_rate_bytes_s=[1e6, 3e6],
        io_wait_frac=[0.5, 0.0],
        active_bytes=[4e8, 16e8],
    )
    columns = DEVICE.vm_columns(t, _base(t, device_mode=[0, 1]))
    np.testing.assert_allclose(columns["io_of_host"][0], [0.4, 0.6])
    np.testing.assert_allclose(columns["device_base"][0], [0, 1])
    np.testing.assert_allclose(columns["device_pin_gap"][0], [-0.5, 1.0])
    host = DEVICE.host_columns(t, _base(t))
    assert host["device_slots"] == 0.5
    assert host["device_slots_free"] == 0.0
    assert host["io_host_wait"] == 0.25


@pytest.mark.parametrize(
    ("base", "action", "expected"),
    [(1, 0.4, 1), (1, 0.5, 2), (1, -0.5, 0), (0, 1, 1), (2, -1, 1), (2, 1, 2), (NAN, 0.5, 1)],
)
def test_monitor_levels_are_gained_and_lost_by_rounding(base, action, expected) -> None:
    t = _host(1, monitor_level=0.0)
    assert _decoded(MONITOR, [action], t, _base(t, monitor_level=base)) == expected


def test_monitor_columns_by_hand() -> None:
    t = _host(
        2,
        monitor_level=[2, 1],
        walk_frac=[0.25, NAN],
        instruction_rate=[2e9, 0.0],
        cycle_rate=[1e9, 0.0],
        llc_miss_rate=[2e6, 0.0],
        active_bytes=[1.0, NAN],
        major_fault_rate=0.0,
    )
    t.lru_hit_rate[0, 0] = 1e4 / 8
    columns = MONITOR.vm_columns(t, _base(t, monitor_level=[1, 2]))
    assert columns["monitor_overhead"][0, 0] == pytest.approx(0.015 / 0.16)
    assert columns["monitor_walk"][0, 0] == 0.5
    assert columns["monitor_ipc"][0, 0] == 0.5
    assert columns["monitor_mpki"][0, 0] == pytest.approx(np.log(2) / np.log(101))
    for name, expected in (
        ("monitor_level", [1, 0.5]),
        ("monitor_base", [0.5, 1]),
        ("monitor_has_histogram", [1, 0]),
        ("monitor_has_sampler", [1, 0]),
        ("monitor_has_curve", [0, 0]),
    ):
        np.testing.assert_array_equal(columns[name][0], expected, err_msg=name)
    assert MONITOR.host_columns(t, _base(t))["monitor_tracked"] == 0.5


def test_column_names_are_unique_over_the_parts() -> None:
    names = [q.name for part in PARTS for q in (*part.vm_quantities, *part.host_quantities)]
    assert len(set(names)) == len(names)
