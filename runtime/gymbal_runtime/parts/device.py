"""Devices as a policy meets them: who has one for itself."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.devices import EMULATED, PASSTHROUGH, best, slots, wanted_io
from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.parts.corrections import base_setting, tracked_change, weighted_mean
from gymbal_runtime.parts.part import Floats, Part
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity
from gymbal_runtime.telemetry import Telemetry
from gymbal_runtime.workingset import estimated_working_set

BASE_SCORE = 0.5
"""Score of a VM that the heuristic gives a device, and minus that of one that it gives none: an
action beyond it overrules the heuristic."""

_MB = 1e6

_VM = (
    Quantity("io_rate", "bytes/s", 0, 1, "log1p(x / 1 MB/s) / log1p(1e4)", "10 GB/s: fastest NIC"),
    Quantity("io_wait", "1", 0, 1, "I/O wanted and not served", BY_DEFINITION),
    Quantity("io_of_host", "1", 0, 1, "wanted I/O / host's wanted I/O", BY_DEFINITION),
    Quantity("device_mode", "1", 0, 1, "1 passthrough, 0 emulated", BY_DEFINITION),
    Quantity("device_base", "1", 0, 1, "the heuristic's mode", BY_DEFINITION),
    Quantity("device_pin_gap", "1", -1, 1, "estimated working set / actual - 1", CLIP),
    Quantity("device_has_modes", "1", 0, 1, "1 where the mode can be set", BY_DEFINITION),
)
_TRACKED = ("io_rate", "io_wait", "device_mode")
_HOST = (
    Quantity("device_slots", "1", 0, 1, "passthrough slots / VMs", CLIP),
    Quantity("device_slots_free", "1", 0, 1, "slots without a VM / VMs", CLIP),
    Quantity("io_host_rate", "bytes/s", 0, 1, "log1p(sum / 1 MB/s) / log1p(1e5)", "100 GB/s"),
    Quantity("io_host_wait", "1", 0, 1, "share-weighted mean of I/O not served", BY_DEFINITION),
)


class DevicePart:
    """One action per VM, a score that is added to plus or minus one half of the heuristic's choice.

    VMs with a positive score get the host's devices, the highest first; among equal scores those
    that have a device, then those with the most wanted I/O. The heuristic's choice stands until an
    action exceeds ``BASE_SCORE`` against it. The changes of ``device_mode`` over the last decisions
    say who has paid the outage of a switch lately.
    """

    name = "device"
    actions: tuple[str, ...] = ("device",)
    constants: dict[str, float] = {"device_base_score": BASE_SCORE}  # noqa: RUF012
    vm_quantities: tuple[Quantity, ...] = _VM
    tracked: tuple[str, ...] = _TRACKED
    history_quantities: tuple[Quantity, ...] = tuple(tracked_change(n) for n in _TRACKED)
    host_quantities: tuple[Quantity, ...] = _HOST

    def vm_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H, V) of each of the VM's quantities; NaN where not measured."""
        mode = telemetry.device_mode
        with np.errstate(all="ignore"):
            io = wanted_io(telemetry)
            total = host_sum(np.nan_to_num(io), telemetry.present)[:, None]
            return {
                "io_rate": log_scaled(telemetry.io_rate_bytes_s, _MB, 1e4),
                "io_wait": telemetry.io_wait_frac,
                "io_of_host": io / total,
                "device_mode": mode,
                "device_base": base_setting(base.device_mode, mode),
                "device_pin_gap": estimated_working_set(telemetry) / telemetry.actual_bytes - 1.0,
                "device_has_modes": np.isfinite(mode).astype(np.float64),
            }

    def host_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H,) of each of the host's quantities; NaN where not measured."""
        present = telemetry.present
        vms = np.maximum(present.sum(axis=-1), 1)
        handed = (np.nan_to_num(telemetry.device_mode) > 0.5).astype(np.float64)
        taken = host_sum(handed, present)
        io = host_sum(np.nan_to_num(telemetry.io_rate_bytes_s), present)
        return {
            "device_slots": telemetry.passthrough_slots / vms,
            "device_slots_free": (telemetry.passthrough_slots - taken) / vms,
            "io_host_rate": log_scaled(io, _MB, 1e5),
            "io_host_wait": weighted_mean(telemetry.io_wait_frac, telemetry),
        }

    def decode(self, action: Floats, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """``device_mode`` (H, V), at most as many in passthrough as the host has slots."""
        mode = telemetry.device_mode
        proposed = base_setting(base.device_mode, mode)
        settable = telemetry.present & np.isfinite(proposed)
        with np.errstate(all="ignore"):
            score = (2.0 * proposed - 1.0) * BASE_SCORE + action[..., 0]
            busy = np.nan_to_num(telemetry.shares * wanted_io(telemetry))
            wants = settable & (score > 0.0)
            chosen = best((score, np.nan_to_num(mode), busy), wants, slots(telemetry))
        told = np.where(chosen, PASSTHROUGH, EMULATED)
        # Where nobody says how many devices there are, the heuristic's word is all there is.
        counted = np.isfinite(telemetry.passthrough_slots)[:, None]
        told = np.where(counted, told, proposed)
        return {"device_mode": np.where(settable, told, np.nan)}


DEVICE: Part = DevicePart()
