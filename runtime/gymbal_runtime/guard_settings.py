"""The guard's rules for CPU time, device modes and monitors: what is impossible is not done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

LARGEST_WEIGHT_RATIO = 100.0
"""A CPU weight lies within this factor of the owner's shares, either way: a 10,000-fold range, as
that of cgroup v2's ``cpu.weight``."""
LEAST_CAP_CORES = 0.05
"""No VM is capped below this: with the kernel's usual period of 100 ms it would stand still for
more than 95 ms of each."""
DEVICE_MODES = (0.0, 1.0)
MONITOR_LEVELS = (0.0, 1.0, 2.0)

SETTINGS = ("cpu_weight", "cpu_cap_cores", "device_mode", "monitor_level")
"""Fields of a command that this file guards."""


@np.errstate(all="ignore")
def guard_settings(
    command: Command, telemetry: Telemetry, decidable: Bools
) -> tuple[dict[str, Floats], dict[str, Counts]]:
    """Leave alone what cannot be done. Never raises on any numbers, whatever their kind.

    Args:
        command: anything.
        telemetry: the record it was decided on.
        decidable: (H, V) VMs that may be told anything at all.

    Returns:
        The fields that the command has, (H, V) with ``NO_CHANGE`` where refused, and the number of
        refused values of each field of ``SETTINGS``, (H,).
    """
    settled: dict[str, Floats] = {}
    refused = {name: np.zeros(telemetry.num_hosts, dtype=np.int64) for name in SETTINGS}
    for name in SETTINGS:
        given = getattr(command, name)
        if given is None:
            continue
        asked = np.asarray(given, dtype=np.float64)
        if asked.shape != decidable.shape:
            refused[name] = decidable.sum(axis=1)
            settled[name] = np.full(decidable.shape, NO_CHANGE)
            continue
        wanted = decidable & ~np.isnan(asked)
        allowed = wanted & _possible(name, asked, telemetry, wanted)
        refused[name] = (wanted & ~allowed).sum(axis=1)
        settled[name] = np.where(allowed, asked, NO_CHANGE)
    return settled, refused


def _possible(name: str, asked: Floats, telemetry: Telemetry, wanted: Bools) -> Bools:
    """(H, V) True where a host can do what is asked."""
    possible: Bools
    if name == "cpu_weight":
        ratio = asked / telemetry.shares
        possible = (ratio >= 1.0 / LARGEST_WEIGHT_RATIO) & (ratio <= LARGEST_WEIGHT_RATIO)
    elif name == "cpu_cap_cores":
        possible = asked >= LEAST_CAP_CORES
    elif name == "monitor_level":
        possible = np.isin(asked, MONITOR_LEVELS)
    else:
        possible = _device_modes(asked, telemetry, wanted)
    return possible


def _device_modes(asked: Floats, telemetry: Telemetry, wanted: Bools) -> Bools:
    """Known modes; nobody is handed a device more if that would take more than there are."""
    possible = np.isin(asked, DEVICE_MODES) & np.isfinite(telemetry.passthrough_slots)[:, None]
    now = telemetry.present & (telemetry.device_mode == 1.0)
    after = np.where(wanted & possible, asked == 1.0, now)
    short = after.sum(axis=1) > telemetry.passthrough_slots
    granted: Bools = possible & ~(short[:, None] & (asked == 1.0) & ~now)
    return granted
