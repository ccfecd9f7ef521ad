"""From the engine's tables to the record that a host reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_runtime.telemetry import (
    BESIDE_MEMORY_FIELDS,
    HOST_ABILITY_FIELDS,
    NUM_LLC_POINTS,
    Telemetry,
)

if TYPE_CHECKING:
    from gymbal_envs.simulator.engine import Engine

Floats = NDArray[np.float64]

assert at.NUM_LLC_POINTS == NUM_LLC_POINTS


def read_telemetry(engine: Engine) -> Telemetry:
    """What the sensors of every host show now."""
    now = engine.host[:, at.TICK] * engine.params.clock.tick_s
    seen = engine.visible
    record = Telemetry(
        time_s=now,
        age_s=now - engine.host[:, at.SAMPLED_AT],
        budget_bytes=engine.world_host[:, at.CAPACITY].copy(),
        swap_latency_s=engine.host[:, at.VISIBLE_WAIT].copy(),
        present=engine.world_vm[:, at.PRESENT] > 0,
        shares=engine.world_vm[:, at.SHARES].copy(),
        memory_max_bytes=engine.world_vm[:, at.MEMORY_MAX].copy(),
        memory_min_bytes=engine.world_vm[:, at.MEMORY_MIN].copy(),
        actual_bytes=seen[:, at.SENSED_ACTUAL].copy(),
        usable_bytes=seen[:, at.SENSED_USABLE].copy(),
        swap_in_rate=seen[:, at.SENSED_IN].copy(),
        swap_out_rate=seen[:, at.SENSED_OUT].copy(),
        swap_used_bytes=seen[:, at.SENSED_SWAPPED].copy(),
        major_fault_rate=seen[:, at.SENSED_FAULTS].copy(),
        cpu_cores=seen[:, at.SENSED_CPU].copy(),
        steal_frac=seen[:, at.SENSED_STEAL].copy(),
        psi_some_frac=seen[:, at.SENSED_PSI].copy(),
        active_bytes=seen[:, at.SENSED_ACTIVE].copy(),
        lru_hit_rate=_rows_last(seen, at.SENSED_LRU, at.NUM_SLICES),
        llc_miss_curve=_rows_last(seen, at.SENSED_LLC, at.NUM_LLC_POINTS),
        **_beside_memory(engine),
    )
    for name in engine.params.sensors.silent:
        getattr(record, name)[:] = np.nan
    return record


def _beside_memory(engine: Engine) -> dict[str, Floats]:
    """Readings of the rest of the host, NaN where it is not simulated."""
    host, rows, vm, seen = engine.world_host, engine.world_vm, engine.vm, engine.visible
    b, v = engine.num_worlds, engine.num_vms
    whole = host[:, at.WHOLE] > 0
    if not whole.any():
        return _nothing(b, v)
    cache, devices = host[:, at.LLC_UNITS] > 0, host[:, at.DEVICE_BANDWIDTH] > 0

    def of_host(row: int, where: NDArray[np.bool_]) -> Floats:
        return np.where(where, host[:, row], np.nan)

    def of_vm(values: Floats, where: NDArray[np.bool_]) -> Floats:
        return np.where(where[:, None], values, np.nan)

    traffic = seen[:, at.SENSED_MISSES] * 64.0 * (1.0 + engine.params.cache.write_back)
    return {
        "host_cores": of_host(at.CPU_CAPACITY, whole),
        "llc_bytes": of_host(at.LLC_BYTES, cache),
        "llc_units": of_host(at.LLC_UNITS, cache),
        "llc_classes": of_host(at.LLC_CLASSES, cache),
        "llc_min_units": of_host(at.LLC_MIN_UNITS, cache),
        "llc_recolours": of_host(at.LLC_RECOLOURS, cache),
        "bandwidth_limit_bytes_s": of_host(at.MEMORY_BANDWIDTH, cache),
        "passthrough_slots": of_host(at.DEVICE_SLOTS, devices),
        "cpu_weight": of_vm(vm[:, at.WEIGHT], whole),
        "cpu_cap_cores": np.full((b, v), np.nan),  # caps are not simulated
        "wakeup_delay_s": of_vm(seen[:, at.SENSED_WAKE], whole),
        "llc_class": of_vm(vm[:, at.LLC_CLASS], cache),
        "llc_units_held": of_vm(vm[:, at.UNITS], cache),
        "llc_occupancy_bytes": seen[:, at.SENSED_OCCUPANCY].copy(),
        "llc_reference_rate": seen[:, at.SENSED_REFERENCES].copy(),
        "llc_miss_rate": seen[:, at.SENSED_MISSES].copy(),
        "instruction_rate": seen[:, at.SENSED_INSTRUCTIONS].copy(),
        "cycle_rate": seen[:, at.SENSED_CYCLES].copy(),
        "stall_frac": seen[:, at.SENSED_STALL].copy(),
        "memory_bandwidth_bytes_s": traffic,
        "walk_frac": seen[:, at.SENSED_WALK].copy(),
        "io_rate_bytes_s": of_vm(seen[:, at.SENSED_IO], devices),
        "io_wait_frac": of_vm(seen[:, at.SENSED_IO_WAIT], devices),
        "device_mode": of_vm(vm[:, at.DEVICE_MODE], devices),
        "monitor_level": of_vm(vm[:, at.LEVEL], whole),
        "hint_llc_slowdown": of_vm(rows[:, at.HINT_SLOWDOWN], cache),
        "hint_footprint_bytes": of_vm(rows[:, at.HINT_FOOTPRINT], whole),
    }


def _nothing(num_worlds: int, num_vms: int) -> dict[str, Floats]:
    """NaN for every reading; the arrays are shared, because nobody may write to a record."""
    host, rows = np.full(num_worlds, np.nan), np.full((num_worlds, num_vms), np.nan)
    return {name: host for name in HOST_ABILITY_FIELDS} | {
        name: rows for name in BESIDE_MEMORY_FIELDS
    }


def _rows_last(seen: Floats, first: int, count: int) -> Floats:
    return np.ascontiguousarray(seen[:, first : first + count].transpose(0, 2, 1))
