"""What is known of the VMs of a data centre beside CPU time and memory: counters, static profiles.

The performance counters of a processor say how a program runs now, not how it would run alone;
static profiles say what somebody measured of it before it came. NaN: not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray

from gymbal_runtime.telemetry import Floats


@dataclass(frozen=True, slots=True)
class SharingTelemetry:
    """One record of C centres with H places for hosts and V for VMs; counters of the present."""

    llc_bytes: Floats  # (C, H) last-level cache
    memory_bandwidth_bytes_s: Floats  # (C, H)
    device_bytes_s: Floats  # (C, H) of its I/O device

    io_bytes_s: Floats  # (C, V) that its owner says it wants when all its MIPS are in use
    wakeups: Floats  # (C, V) that its owner says: how much waiting for a core hurts, 0: not at all
    instructions_s: Floats  # (C, V) counter; NaN where it does not run, like the next
    stall_frac: Floats  # (C, V) part of its cycles that wait for memory
    fetched_bytes_s: Floats  # (C, V) from memory
    llc_held_bytes: Floats  # (C, V)
    io_wanted_bytes_s: Floats  # (C, V)
    io_served_bytes_s: Floats  # (C, V)
    hint_slowdown: Floats  # (C, V) static profile: time with 1/12 of the cache / with all of it
    hint_traffic_bytes_s: Floats  # (C, V) fetched with 1/12 of the cache by a busy core
    hint_cache_bytes: Floats  # (C, V) with more cache it hardly gets faster

    def take_centres(self, index: NDArray[Any]) -> SharingTelemetry:
        """The record of some of the centres, in the order of ``index``."""
        return SharingTelemetry(**{f.name: getattr(self, f.name)[index] for f in fields(self)})
