"""What a host divides besides memory and CPU time: last-level cache, bandwidth, devices."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS, NUM_PHASES

Floats = NDArray[np.float64]


class ResourceError(ValueError):
    """Resources that no host has. The message names the field and the rule."""


@dataclass(frozen=True, eq=False)
class Resources:
    """Of a host with V VM slots over K demand knots. Zero bytes or slots: not simulated.

    Attributes:
        llc_bytes: size of the last-level cache.
        llc_units: ways, or page colours, that it is divided in.
        llc_classes: classes of service.
        llc_min_units: fewest units of a class.
        llc_recolours: units are page colours: a change moves pages.
        memory_bandwidth_bytes_s: of the socket.
        frequency_hz: of a core.
        device_bytes_s: bandwidth of the host's I/O device.
        device_slots: functions that can be handed through.
        cpu_slice_s: the scheduler's time slice; 0: waiting for a core costs nothing.
        mpi: (V, NUM_PHASES, NUM_LLC_SEGMENTS + 1) LLC misses per instruction at j segments.
        cpi_base: (V, NUM_PHASES) cycles per instruction without misses.
        penalty_cycles: (V, NUM_PHASES) cycles per miss with unloaded memory.
        phase: (K, V) float32, phase of each program at each knot: 0, 1, ...
        io_bytes_s: (K, V) float32, wanted I/O.
        cap_cores: (V,) the most that the scheduler gives.
        wakeups: (V,) slices waited per slice of progress, how much waiting for a core hurts.
        io_weight: (V,) part of the progress that needs the device.
        recolour_frac: (V,) part of the working set that is hot enough to be recoloured.
        hint_slowdown: (V,) from a static profile; NaN where there is none.
        hint_footprint_bytes: (V,) from a static profile; NaN where there is none.

    Raises:
        ResourceError: a field has the wrong shape or an impossible value.
    """

    llc_bytes: float
    llc_units: int
    llc_classes: int
    llc_min_units: int
    llc_recolours: bool
    memory_bandwidth_bytes_s: float
    frequency_hz: float
    device_bytes_s: float
    device_slots: int
    cpu_slice_s: float
    mpi: Floats
    cpi_base: Floats
    penalty_cycles: Floats
    phase: NDArray[np.float32]
    io_bytes_s: NDArray[np.float32]
    cap_cores: Floats
    wakeups: Floats
    io_weight: Floats
    recolour_frac: Floats
    hint_slowdown: Floats
    hint_footprint_bytes: Floats

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        knots, num_vms = self.phase.shape
        shapes: dict[str, tuple[int, ...]] = {
            "mpi": (num_vms, NUM_PHASES, NUM_LLC_SEGMENTS + 1),
            "cpi_base": (num_vms, NUM_PHASES),
            "penalty_cycles": (num_vms, NUM_PHASES),
            "phase": (knots, num_vms),
            "io_bytes_s": (knots, num_vms),
        }
        may_be_unknown = ("hint_slowdown", "hint_footprint_bytes")
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                expected = shapes.get(field.name, (num_vms,))
                if value.shape != expected:
                    raise ResourceError(f"{field.name} has shape {value.shape}, must be {expected}")
            known = np.asarray(value, dtype=np.float64)
            if field.name in may_be_unknown:
                known = known[~np.isnan(known)]
            if not np.all(np.isfinite(known) & (known >= 0)):
                raise ResourceError(f"{field.name} must be finite and not negative")
        for name in ("io_weight", "recolour_frac"):
            if np.any(getattr(self, name) > 1):
                raise ResourceError(f"{name} must lie in 0..1")
        self._check_cache()

    def _check_cache(self) -> None:
        if self.llc_bytes == 0:
            return
        if not 1 <= self.llc_min_units <= self.llc_units:
            raise ResourceError(
                f"llc_min_units ({self.llc_min_units}) must lie in 1..llc_units ({self.llc_units})"
            )
        if self.llc_classes < 1:
            raise ResourceError(f"llc_classes ({self.llc_classes}) must be at least 1")
        for name in ("memory_bandwidth_bytes_s", "frequency_hz"):
            if getattr(self, name) <= 0:
                raise ResourceError(f"{name} must be above 0 where there is a cache")
        used = self.cpi_base[:, 0] > 0  # slots without a VM are all zero
        if np.any(np.diff(self.mpi, axis=2) > 1e-12):
            raise ResourceError("mpi must not rise with the size of the cache")
        if np.any(self.cpi_base[used] <= 0):
            raise ResourceError("cpi_base must be above 0 in every phase")
        phases = np.asarray(self.phase)
        if np.any((phases >= NUM_PHASES) | (phases != np.round(phases))):
            raise ResourceError(f"phase must be a whole number below {NUM_PHASES}")

    @property
    def num_vms(self) -> int:
        """Number of VM slots, V."""
        return int(self.phase.shape[1])
