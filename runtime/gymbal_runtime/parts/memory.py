"""Memory: what is seen of each VM's balloon and working set, and corrections to a split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.parts.memory_quantities import (
    HISTORY_QUANTITIES,
    HOST_QUANTITIES,
    VM_QUANTITIES,
)
from gymbal_runtime.parts.scales import known, log_scaled, total
from gymbal_runtime.telemetry import Telemetry
from gymbal_runtime.workingset import estimated_working_set

Floats = NDArray[np.float64]

CORRECTION_GAIN = 0.5
"""A full correction moves half of the mean of the heuristic's target and the fair share."""

_MB = 1e6


class MemoryPart:
    """Balloon targets as corrections to a heuristic's split."""

    name = "memory"
    actions: tuple[str, ...] = ("balloon",)
    constants: dict[str, float] = {"correction_gain": CORRECTION_GAIN}  # noqa: RUF012
    vm_quantities = VM_QUANTITIES
    tracked: tuple[str, ...] = (
        "usable_of_fair",
        "working_set_of_fair",
        "actual_of_fair",
        "pressure",
        "major_faults",
    )
    history_quantities = HISTORY_QUANTITIES
    host_quantities = HOST_QUANTITIES

    def vm_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H, V) of each quantity of a VM."""
        present = telemetry.present
        working_set = estimated_working_set(telemetry)
        proposed = _filled(base.balloon_bytes, telemetry)
        fair = (telemetry.budget_bytes / np.maximum(present.sum(axis=1), 1))[:, None]
        actual = telemetry.actual_bytes
        weights = np.where(present, telemetry.shares, 0.0)
        mean_share = weights.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
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
            "base_of_actual": proposed / actual - 1.0,
            "base_of_fair": proposed / fair,
            "swapped_of_fair": telemetry.swap_used_bytes / fair,
            "swap_in": log_scaled(telemetry.swap_in_rate, _MB, 1e4),
            "swap_out": log_scaled(telemetry.swap_out_rate, _MB, 1e4),
            "major_faults": log_scaled(telemetry.major_fault_rate, 1.0, 1e6),
            "pressure": telemetry.psi_some_frac,
            "cpu": log_scaled(telemetry.cpu_cores, 1.0, 64.0),
            "steal": telemetry.steal_frac,
            "weight": np.log2(telemetry.shares / mean_share[:, None]) / 2.0,
            "has_guest_stats": np.isfinite(telemetry.usable_bytes),
        }
        return columns | _histogram_columns(telemetry)

    def host_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H,) of each quantity of the host."""
        present, budget = telemetry.present, telemetry.budget_bytes
        weights = np.where(present, telemetry.shares, 0.0)
        pressure = known(telemetry.psi_some_frac) * weights
        working_set = estimated_working_set(telemetry)
        return {
            "free": 1.0 - total(telemetry.actual_bytes, present) / budget,
            "wanted": total(working_set, present) / budget,
            "provisioned": np.log2(1.0 + total(telemetry.memory_max_bytes, present) / budget),
            "swap_latency": np.log10(np.maximum(telemetry.swap_latency_s, 1e-6) / 1e-6) / 5.0,
            "mean_pressure": pressure.sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9),
            "vms": np.log2(np.maximum(present.sum(axis=1), 1)) / 8.0,
        }

    def decode(self, action: Floats, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """Feasible balloon targets.

        ``target = project(base + a (base + fair) / 2 * CORRECTION_GAIN)`` where *project* is the
        Euclidean projection on ``min <= x <= max, sum x <= budget`` and *fair* is the budget over
        the number of VMs. Zero gives ``base``, which is feasible and so is its own projection.
        """
        present = telemetry.present
        proposed = _filled(base.balloon_bytes, telemetry)
        fair = telemetry.budget_bytes / np.maximum(present.sum(axis=1), 1)
        with np.errstate(over="ignore", invalid="ignore"):  # absurd sizes end at the ceiling
            wanted = proposed + action[:, :, 0] * CORRECTION_GAIN * 0.5 * (proposed + fair[:, None])
        target = project_to_budget(
            wanted,
            telemetry.memory_min_bytes,
            telemetry.memory_max_bytes,
            telemetry.budget_bytes,
            present,
        )
        return {"balloon_bytes": np.where(present, target, np.nan)}


MEMORY = MemoryPart()


def _filled(base: Floats, telemetry: Telemetry) -> Floats:
    """A VM that the heuristic leaves alone (NaN) is proposed what it holds."""
    return np.where(np.isnan(base), telemetry.actual_bytes, base)


def _histogram_columns(telemetry: Telemetry) -> dict[str, Floats]:
    hits = telemetry.lru_hit_rate
    faults = known(telemetry.major_fault_rate)
    accesses = known(hits).sum(axis=2) + faults
    share = hits / np.maximum(accesses, 1e-9)[:, :, None]
    columns = {f"lru_slice_{k}": share[:, :, k] for k in range(hits.shape[2])}
    columns["access_rate"] = log_scaled(accesses, 1.0, 1e6)
    columns["fault_share"] = faults / np.maximum(accesses, 1e-9)
    columns["has_histogram"] = np.isfinite(hits[:, :, 0]).astype(np.float64)
    return columns
