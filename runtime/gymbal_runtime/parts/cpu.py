"""CPU time as a policy meets it: weights of the scheduler."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.cpu_weights import wanted_cores
from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.parts.corrections import base_setting, tracked_change, weighted_mean
from gymbal_runtime.parts.part import Floats, Part
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity
from gymbal_runtime.telemetry import Telemetry

WEIGHT_RANGE = 4.0
"""A full correction makes a weight this many times larger or smaller."""

_VM = (
    Quantity("cpu_steal", "1", 0, 1, "steal", BY_DEFINITION),
    Quantity("cpu_used_of_host", "1", 0, 1, "cores used / cores of the host", BY_DEFINITION),
    Quantity("cpu_used_of_entitled", "1", 0, 4, "cores used / entitled cores", CLIP),
    Quantity("cpu_wanted_of_entitled", "1", 0, 8, "used / (1 - steal) / entitled cores", CLIP),
    Quantity("cpu_entitled_of_host", "1", 0, 1, "weight / sum of weights", BY_DEFINITION),
    Quantity("cpu_weight_of_owner", "1", -2, 2, "log2(weight / shares, host's mean 0) / 2", CLIP),
    Quantity("cpu_base_of_owner", "1", -2, 2, "log2(base / shares, host's mean 0) / 2", CLIP),
    Quantity("cpu_base_of_weight", "1", -2, 2, "log2(base / weight, host's mean 0) / 2", CLIP),
    Quantity("cpu_wakeup_delay", "s", 0, 1, "log1p(x / 1 ms) / log1p(1e3)", "1 s: hopeless"),
    Quantity("cpu_has_weight", "1", 0, 1, "1 where the weight can be set", BY_DEFINITION),
)
_TRACKED = ("cpu_steal", "cpu_used_of_host", "cpu_wakeup_delay")
_HOST = (
    Quantity("cpu_host_used", "1", 0, 1, "sum of cores used / cores", BY_DEFINITION),
    Quantity("cpu_host_wanted", "1", 0, 4, "sum of used / (1 - steal) / cores", CLIP),
    Quantity("cpu_host_steal", "1", 0, 1, "share-weighted mean of steal", BY_DEFINITION),
    Quantity("cpu_host_cores", "cores", 0, 1, "log2(cores) / 8", "256 cores"),
)


class CpuPart:
    """One action per VM: its weight is the heuristic's times 4 to the power of the action.

    A VM that the heuristic leaves alone is corrected from the weight that it has; one whose weight
    the host does not report cannot be told anything.
    """

    name = "cpu"
    actions: tuple[str, ...] = ("cpu_weight",)
    constants: dict[str, float] = {"cpu_weight_range": WEIGHT_RANGE}  # noqa: RUF012
    vm_quantities: tuple[Quantity, ...] = _VM
    tracked: tuple[str, ...] = _TRACKED
    history_quantities: tuple[Quantity, ...] = tuple(tracked_change(n) for n in _TRACKED)
    host_quantities: tuple[Quantity, ...] = _HOST

    def vm_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H, V) of each of the VM's quantities; NaN where not measured."""
        proposed = _positive(base_setting(base.cpu_weight, telemetry.cpu_weight))
        weight, owner = _positive(telemetry.cpu_weight), _positive(telemetry.shares)
        present, cores = telemetry.present, telemetry.host_cores[:, None]
        with np.errstate(all="ignore"):
            effective = np.where(np.isnan(weight), owner, weight)
            entitled = effective / host_sum(effective, present)[:, None]
            return {
                "cpu_steal": telemetry.steal_frac,
                "cpu_used_of_host": telemetry.cpu_cores / cores,
                "cpu_used_of_entitled": telemetry.cpu_cores / (entitled * cores),
                "cpu_wanted_of_entitled": wanted_cores(telemetry) / (entitled * cores),
                "cpu_entitled_of_host": entitled,
                "cpu_weight_of_owner": _relative(weight / owner, telemetry),
                "cpu_base_of_owner": _relative(proposed / owner, telemetry),
                "cpu_base_of_weight": _relative(proposed / weight, telemetry),
                "cpu_wakeup_delay": log_scaled(telemetry.wakeup_delay_s, 1e-3, 1e3),
                "cpu_has_weight": np.isfinite(telemetry.cpu_weight).astype(np.float64),
            }

    def host_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H,) of each of the host's quantities; NaN where not measured."""
        present, cores = telemetry.present, telemetry.host_cores
        used = np.nan_to_num(telemetry.cpu_cores)
        with np.errstate(all="ignore"):
            return {
                "cpu_host_used": host_sum(used, present) / cores,
                "cpu_host_wanted": host_sum(wanted_cores(telemetry), present) / cores,
                "cpu_host_steal": weighted_mean(telemetry.steal_frac, telemetry),
                "cpu_host_cores": np.log2(cores) / 8.0,
            }

    def decode(self, action: Floats, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """``cpu_weight`` (H, V), above 0: the heuristic's times ``WEIGHT_RANGE ** action``."""
        proposed = _positive(base_setting(base.cpu_weight, telemetry.cpu_weight))
        with np.errstate(all="ignore"):
            weight = proposed * WEIGHT_RANGE ** action[..., 0]
        return {"cpu_weight": np.where(telemetry.present, weight, np.nan)}


def _positive(weight: Floats) -> Floats:
    """Weights with NaN for what cannot be one."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(weight) & (weight > 0.0), weight, np.nan)


def _relative(ratio: Floats, telemetry: Telemetry) -> Floats:
    """Half the log2 of a ratio of weights over the host's mean: only differences count."""
    log = np.log2(ratio)
    counted = telemetry.present & np.isfinite(log)
    mean = host_sum(log, counted) / np.maximum(counted.sum(axis=-1), 1)
    relative: Floats = (log - mean[:, None]) / 2.0
    return relative


CPU: Part = CpuPart()
