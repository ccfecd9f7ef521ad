"""Monitors as a policy meets them: how closely each VM is watched."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.monitors import COUNTERS, HISTOGRAMS
from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.parts.corrections import base_setting, tracked_change
from gymbal_runtime.parts.part import Floats, Part
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity
from gymbal_runtime.telemetry import Telemetry

LEVEL_GAIN = 1.2
"""Levels that a full correction is worth: beyond 0.42 a level is gained or lost, never two."""
TRAP_COST_S = 1.5e-6
"""s of a traced access, 1 to 2 us (models.md 2.2)."""
HIGHEST_OVERHEAD = 0.16
"""Fraction of its time that a VM loses to a full LRU histogram (ATC 2011; models.md 2.4)."""

_VM = (
    Quantity("monitor_level", "1", 0, 1, "level / 2", BY_DEFINITION),
    Quantity("monitor_base", "1", 0, 1, "the heuristic's level / 2", BY_DEFINITION),
    Quantity("monitor_has_sampler", "1", 0, 1, "1 where active memory is known", BY_DEFINITION),
    Quantity("monitor_has_histogram", "1", 0, 1, "1 where an LRU histogram is", BY_DEFINITION),
    Quantity("monitor_has_curve", "1", 0, 1, "1 where an LLC miss curve is", BY_DEFINITION),
    Quantity(
        "monitor_overhead",
        "1",
        0,
        1,
        "min((LRU hits + faults) * 1.5 us, 0.16) / 0.16; 0 without histogram",
        "ATC 2011: 16 %",
    ),
    Quantity("monitor_walk", "1", 0, 1, "sqrt(page-walk cycles / cycles)", BY_DEFINITION),
    Quantity("monitor_ipc", "1", 0, 1, "instructions / cycles / 4", "4 wide"),
    Quantity(
        "monitor_mpki", "1", 0, 1, "log1p(LLC misses per 1000 instructions) / log1p(100)", CLIP
    ),
)
_TRACKED = ("monitor_walk", "monitor_ipc", "monitor_mpki", "monitor_level")
_HOST = (
    Quantity("monitor_tracked", "1", 0, 1, "share of VMs with histograms on", BY_DEFINITION),
    Quantity("monitor_known", "1", 0, 1, "share of VMs with an LRU histogram", BY_DEFINITION),
)


class MonitorPart:
    """One action per VM: the level is the heuristic's plus 1.2 times the action, rounded.

    The changes of the free counters over the last decisions say whether a program has changed
    phase, which is when looking closely pays.
    """

    name = "monitor"
    actions: tuple[str, ...] = ("monitor",)
    constants: dict[str, float] = {"monitor_level_gain": LEVEL_GAIN}  # noqa: RUF012
    vm_quantities: tuple[Quantity, ...] = _VM
    tracked: tuple[str, ...] = _TRACKED
    history_quantities: tuple[Quantity, ...] = tuple(tracked_change(n) for n in _TRACKED)
    host_quantities: tuple[Quantity, ...] = _HOST

    def vm_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H, V) of each of the VM's quantities; NaN where not measured."""
        level = telemetry.monitor_level
        with np.errstate(all="ignore"):
            instructions = telemetry.instruction_rate
            faults = np.nan_to_num(telemetry.major_fault_rate)
            traps = np.ascontiguousarray(telemetry.lru_hit_rate).sum(axis=-1) + faults
            mpki = 1e3 * telemetry.llc_miss_rate / instructions
            return {
                "monitor_level": level / HISTOGRAMS,
                "monitor_base": base_setting(base.monitor_level, level) / HISTOGRAMS,
                "monitor_has_sampler": _is_known(telemetry.active_bytes),
                "monitor_has_histogram": _is_known(telemetry.lru_hit_rate[..., 0]),
                "monitor_has_curve": _is_known(telemetry.llc_miss_curve[..., 0]),
                "monitor_overhead": np.minimum(traps * TRAP_COST_S / HIGHEST_OVERHEAD, 1.0),
                "monitor_walk": np.sqrt(telemetry.walk_frac),
                "monitor_ipc": instructions / telemetry.cycle_rate / 4.0,
                "monitor_mpki": log_scaled(mpki, 1.0, 100.0),
            }

    def host_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H,) of each of the host's quantities."""
        present = telemetry.present
        vms = np.maximum(present.sum(axis=-1), 1)
        tracked = (np.nan_to_num(telemetry.monitor_level) > 1.5).astype(np.float64)
        return {
            "monitor_tracked": host_sum(tracked, present) / vms,
            "monitor_known": host_sum(_is_known(telemetry.lru_hit_rate[..., 0]), present) / vms,
        }

    def decode(self, action: Floats, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """``monitor_level`` (H, V), 0, 1 or 2."""
        proposed = base_setting(base.monitor_level, telemetry.monitor_level)
        with np.errstate(all="ignore"):
            moved = np.round(proposed + LEVEL_GAIN * action[..., 0])
        level = np.clip(moved, COUNTERS, HISTOGRAMS)
        return {"monitor_level": np.where(telemetry.present, level, np.nan)}


def _is_known(values: Floats) -> Floats:
    return np.isfinite(values).astype(np.float64)


MONITOR: Part = MonitorPart()
