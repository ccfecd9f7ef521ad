"""Telemetry to feature rows. Everything is relative to the host, so that sizes do not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.quantities import HISTORY_QUANTITIES, HOST_QUANTITIES, VM_QUANTITIES, Quantity
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]

HISTORY_STEPS = 3
"""Decisions that the policy is reminded of."""
NUM_VM_FEATURES = len(VM_QUANTITIES) + HISTORY_STEPS * len(HISTORY_QUANTITIES)
NUM_HOST_FEATURES = len(HOST_QUANTITIES)

_MB = 1e6


@dataclass(frozen=True, slots=True)
class History:
    """What the codec remembers of the last decisions: HISTORY_QUANTITIES, newest first."""

    tracked: Floats  # (HISTORY_STEPS, H, V, len(HISTORY_QUANTITIES)); NaN = not seen yet

    @classmethod
    def empty(cls, num_hosts: int, num_vms: int) -> History:
        """No decision was taken yet."""
        shape = (HISTORY_STEPS, num_hosts, num_vms, len(HISTORY_QUANTITIES))
        return cls(tracked=np.full(shape, np.nan))

    def forget(self, hosts: NDArray[np.bool_]) -> History:
        """The same memory without the marked hosts (H,)."""
        return History(tracked=np.where(hosts[None, :, None, None], np.nan, self.tracked))


_WIDTH = len(VM_QUANTITIES)
_TRACKED_WIDTH = len(HISTORY_QUANTITIES)


def vm_features(
    telemetry: Telemetry, base: Floats, working_set: Floats, history: History
) -> tuple[Floats, History]:
    """Feature rows (H, V, NUM_VM_FEATURES) in the order of the units table, and the new history."""
    rows = np.empty((*telemetry.present.shape, NUM_VM_FEATURES))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        columns, tracked = _instant_columns(telemetry, base, working_set)
        rows[:, :, :_WIDTH] = _stack(columns, VM_QUANTITIES, _VM_BOUNDS)
        for step, then in enumerate(history.tracked):
            change = np.minimum(np.maximum(tracked - then, -1.0), 1.0)
            start = _WIDTH + step * _TRACKED_WIDTH
            rows[:, :, start : start + _TRACKED_WIDTH] = np.where(np.isnan(change), 0.0, change)
    remembered = np.concatenate([tracked[None], history.tracked[:-1]])
    return rows, History(tracked=remembered)


def host_features(telemetry: Telemetry, working_set: Floats) -> Floats:
    """Feature row of each host, (H, NUM_HOST_FEATURES)."""
    present, budget = telemetry.present, telemetry.budget_bytes
    weights = np.where(present, telemetry.shares, 0.0)
    pressure = _known(telemetry.psi_some_frac) * weights
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        columns = {
            "free": 1.0 - _total(telemetry.actual_bytes, present) / budget,
            "wanted": _total(working_set, present) / budget,
            "provisioned": np.log2(1.0 + _total(telemetry.memory_max_bytes, present) / budget),
            "swap_latency": np.log10(np.maximum(telemetry.swap_latency_s, 1e-6) / 1e-6) / 5.0,
            "mean_pressure": pressure.sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9),
            "vms": np.log2(np.maximum(present.sum(axis=1), 1)) / 8.0,
        }
        return _stack(columns, HOST_QUANTITIES, _HOST_BOUNDS)


def _instant_columns(
    telemetry: Telemetry, base: Floats, working_set: Floats
) -> tuple[dict[str, Any], Floats]:
    present = telemetry.present
    fair = (telemetry.budget_bytes / np.maximum(present.sum(axis=1), 1))[:, None]
    actual = telemetry.actual_bytes
    weights = np.where(present, telemetry.shares, 0.0)
    mean_share = weights.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    faults = _log_scaled(telemetry.major_fault_rate, 1.0, 1e6)
    columns: dict[str, Any] = {
        "actual_of_max": actual / telemetry.memory_max_bytes,
        "actual_of_fair": actual / fair,
        "max_of_fair": telemetry.memory_max_bytes / fair,
        "min_of_fair": telemetry.memory_min_bytes / fair,
        "usable_of_actual": telemetry.usable_bytes / actual,
        "usable_of_fair": telemetry.usable_bytes / fair,
        "active_of_actual": telemetry.active_bytes / actual,
        "working_set_of_actual": working_set / actual,
        "working_set_of_fair": working_set / fair,
        "base_of_actual": base / actual - 1.0,
        "base_of_fair": base / fair,
        "swapped_of_fair": telemetry.swap_used_bytes / fair,
        "swap_in": _log_scaled(telemetry.swap_in_rate, _MB, 1e4),
        "swap_out": _log_scaled(telemetry.swap_out_rate, _MB, 1e4),
        "major_faults": faults,
        "pressure": telemetry.psi_some_frac,
        "cpu": _log_scaled(telemetry.cpu_cores, 1.0, 64.0),
        "steal": telemetry.steal_frac,
        "weight": np.log2(telemetry.shares / mean_share[:, None]) / 2.0,
        "has_guest_stats": np.isfinite(telemetry.usable_bytes),
    }
    columns |= _histogram_columns(telemetry)
    tracked = np.empty((*present.shape, _TRACKED_WIDTH))
    names = ("usable_of_fair", "working_set_of_fair", "actual_of_fair", "pressure", "major_faults")
    for k, name in enumerate(names):
        tracked[:, :, k] = columns[name]
    return columns, tracked


def _histogram_columns(telemetry: Telemetry) -> dict[str, Floats]:
    hits = telemetry.lru_hit_rate
    faults = _known(telemetry.major_fault_rate)
    accesses = _known(hits).sum(axis=2) + faults
    share = hits / np.maximum(accesses, 1e-9)[:, :, None]
    columns = {f"lru_slice_{k}": share[:, :, k] for k in range(hits.shape[2])}
    columns["access_rate"] = _log_scaled(accesses, 1.0, 1e6)
    columns["fault_share"] = faults / np.maximum(accesses, 1e-9)
    columns["has_histogram"] = np.isfinite(hits[:, :, 0]).astype(np.float64)
    return columns


def _bounds(quantities: tuple[Quantity, ...]) -> tuple[Floats, Floats]:
    low = np.array([min(q.low, 0.0) for q in quantities])
    return low, np.array([q.high for q in quantities])


_VM_BOUNDS = _bounds(VM_QUANTITIES)
_HOST_BOUNDS = _bounds(HOST_QUANTITIES)


def _stack(
    columns: dict[str, Any], quantities: tuple[Quantity, ...], bounds: tuple[Floats, Floats]
) -> Floats:
    """Columns in the table's order, NaN and infinity as 0, clipped to the table's bounds."""
    # Filling one array column by column costs a third of np.stack, and this runs at every decision.
    stacked = np.empty((*np.shape(columns[quantities[0].name]), len(quantities)))
    for k, quantity in enumerate(quantities):
        stacked[..., k] = columns[quantity.name]
    finite = np.where(np.isfinite(stacked), stacked, 0.0)
    bounded: Floats = np.minimum(np.maximum(finite, bounds[0]), bounds[1])
    return bounded


def _known(values: Floats) -> Floats:
    """The values with 0 for what was not measured."""
    known: Floats = np.where(np.isnan(values), 0.0, values)
    return known


def _log_scaled(value: Floats, unit: float, full_scale: float) -> Floats:
    """log1p(value / unit), 1 at ``unit * full_scale``."""
    scaled: Floats = np.log1p(value / unit) / np.log1p(full_scale)
    return scaled


def _total(value: Floats, present: NDArray[np.bool_]) -> Floats:
    total: Floats = np.where(present, value, 0.0).sum(axis=1)
    return total
