"""The last-level cache: what is seen of each VM's part, and corrections to a partition."""

from __future__ import annotations

from typing import Any

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.cache.curves import (
    NUM_KNOTS,
    at_fraction,
    lost_progress,
    miss_curves,
    relative_cpi,
    relative_shares,
)
from gymbal_runtime.llc import PAGE_BYTES, PAGE_MOVE_S
from gymbal_runtime.parts.cache_quantities import (
    HISTORY_QUANTITIES,
    HOST_QUANTITIES,
    SLOWDOWN_KNOTS,
    TRACKED,
    VM_QUANTITIES,
)
from gymbal_runtime.parts.cache_split import (
    CORRECTION_GAIN,
    class_members,
    corrected_partition,
)
from gymbal_runtime.parts.scales import known, log_scaled, total
from gymbal_runtime.telemetry import Floats, Telemetry

STEP = 1 / 12
"""Part of the cache by which more and less is looked at."""
_INTERVAL_S = 5.0


class CachePart:
    """Parts of the cache as corrections to a heuristic's partition."""

    name = "cache"
    actions: tuple[str, ...] = ("llc_correction", "llc_follow")
    constants: dict[str, float] = {"correction_gain": CORRECTION_GAIN}  # noqa: RUF012
    vm_quantities = VM_QUANTITIES
    tracked = TRACKED
    history_quantities = HISTORY_QUANTITIES
    host_quantities = HOST_QUANTITIES

    @np.errstate(all="ignore")
    def vm_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H, V) of each quantity of a VM."""
        return _parts(telemetry, base) | _counters(telemetry) | _estimates(telemetry, base)

    @np.errstate(all="ignore")
    def host_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H,) of each quantity of the host."""
        present, units = telemetry.present, telemetry.llc_units
        vms = np.maximum(present.sum(axis=1), 1)
        stall = known(telemetry.stall_frac)
        traffic = total(known(telemetry.memory_bandwidth_bytes_s), present)
        churn = np.abs(known(_base(telemetry, base)[1] - telemetry.llc_units_held))
        return {
            "bandwidth": traffic / telemetry.bandwidth_limit_bytes_s,
            "units": np.log2(units) / 7.0,
            "units_of_vms": np.log2(units / vms) / 6.0,
            "min_units": telemetry.llc_min_units * vms / units,
            "classes_of_vms": telemetry.llc_classes / vms,
            "recolours": telemetry.llc_recolours,
            "vms": np.log2(vms) / 8.0,
            "stall": total(stall * relative_shares(telemetry), present) / vms,
            "stall_sum": total(stall, present) / 8.0,
            "base_churn": total(churn, present) / vms / units,
        }

    def decode(self, action: Floats, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """A feasible partition; see `corrected_partition`."""
        vm_class, vm_units = corrected_partition(action, telemetry, *_base(telemetry, base))
        return {"llc_class": vm_class, "llc_units": vm_units}


CACHE = CachePart()


def _base(telemetry: Telemetry, base: Command) -> tuple[Floats, Floats]:
    """The heuristic's class and units (H, V), NaN where it says nothing."""
    silent = np.full(telemetry.present.shape, np.nan)
    if base.llc_class is None or base.llc_units is None:
        return silent, silent
    return base.llc_class, base.llc_units


def _parts(telemetry: Telemetry, base: Command) -> dict[str, Any]:
    """Columns about who holds, and is to hold, which part of the cache."""
    present = telemetry.present
    base_class, base_units = _base(telemetry, base)
    units = telemetry.llc_units[:, None]
    held = telemetry.llc_units_held / units
    proposed = base_units / units
    occupied = telemetry.llc_occupancy_bytes / telemetry.llc_bytes[:, None]
    vms = np.maximum(present.sum(axis=1), 1)[:, None]
    changed = np.abs(base_units - telemetry.llc_units_held)
    moved = changed / np.maximum(np.maximum(base_units, telemetry.llc_units_held), 1.0)
    hot = np.where(
        np.isnan(telemetry.active_bytes), telemetry.hint_footprint_bytes, telemetry.active_bytes
    )
    recolours = telemetry.llc_recolours[:, None] > 0.0
    move_all = np.where(recolours, hot / PAGE_BYTES * (PAGE_MOVE_S / _INTERVAL_S), 0.0)
    return {
        "held": held,
        "held_alone": 1.0 / class_members(telemetry.llc_class, present),
        "base": proposed,
        "base_alone": 1.0 / class_members(base_class, present),
        "base_change": proposed - held,
        "base_of_fair": proposed * vms,
        "occupancy": occupied,
        "occupancy_of_held": occupied / held,
        "move_all": move_all,
        "move_to_base": move_all * moved,
    }


def _counters(telemetry: Telemetry) -> dict[str, Any]:
    """Columns that are counters on a scale of their own."""
    limit = telemetry.bandwidth_limit_bytes_s[:, None]
    return {
        "misses_of_references": telemetry.llc_miss_rate / telemetry.llc_reference_rate,
        "references": log_scaled(telemetry.llc_reference_rate, 1e4, 1e5),
        "misses": log_scaled(telemetry.llc_miss_rate, 1e4, 1e5),
        "cpi": np.log2(telemetry.cycle_rate / telemetry.instruction_rate) / 4.0,
        "stall": telemetry.stall_frac,
        "bandwidth": telemetry.memory_bandwidth_bytes_s / limit,
        "cpu": log_scaled(telemetry.cpu_cores, 1.0, 64.0),
        "weight": np.log2(relative_shares(telemetry)) / 2.0,
        "hint_slowdown": np.log2(telemetry.hint_llc_slowdown) / 4.0,
    }


def _estimates(telemetry: Telemetry, base: Command) -> dict[str, Any]:
    """Columns that foresee speed from the miss curve and the price of a miss."""
    curve = miss_curves(telemetry)
    slower = np.log2(relative_cpi(telemetry, curve)) / 3.0
    columns = {f"slowdown_{k}": slower[..., k] for k in SLOWDOWN_KNOTS}
    base_class, base_units = _base(telemetry, base)
    members = class_members(base_class, telemetry.present)
    part = base_units / members / telemetry.llc_units[:, None]
    unknown = np.isnan(part)
    foreseen = at_fraction(slower, np.where(unknown, 0.0, part))
    columns["slowdown_base"] = np.where(unknown, np.nan, foreseen)
    lost = lost_progress(telemetry, curve)
    known_part = np.where(unknown, 0.0, part)
    here = at_fraction(lost, known_part)
    columns["gain_more"] = 10.0 * (here - at_fraction(lost, known_part + STEP))
    columns["loss_less"] = 10.0 * (at_fraction(lost, known_part - STEP) - here)
    columns["has_curve"] = ~np.isnan(curve[..., NUM_KNOTS - 1])
    return columns
