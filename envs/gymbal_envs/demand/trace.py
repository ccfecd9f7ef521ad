"""A demand trace: how much memory and CPU each VM of a fleet wanted over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class TraceError(ValueError):
    """A trace file that cannot be read as what it claims to be."""


@dataclass(frozen=True)
class Trace:
    """Immutable columnar trace of N VMs at T regular instants.

    ``active`` is what hurts when it is paged out (a working-set estimate), not resident memory.
    Missing samples have been repaired by the reader, which says so in ``repairs``.
    """

    name: str
    start_s: float  # Unix time of the first sample
    step_s: float  # seconds between samples
    vm_id: NDArray[np.int64]  # (N,)
    cores: NDArray[np.float64]  # (N,) provisioned vCPUs
    memory_bytes: NDArray[np.float64]  # (N,) provisioned memory
    cpu_frac: NDArray[np.float32]  # (N, T) of the provisioned vCPUs, 0..1
    active_frac: NDArray[np.float32]  # (N, T) of the provisioned memory, 0..1
    repairs: tuple[str, ...] = ()  # what the reader changed, one sentence each

    def __post_init__(self) -> None:
        """Check shapes and ranges once, so that nobody downstream has to."""
        n, t = self.active_frac.shape
        for name in ("vm_id", "cores", "memory_bytes"):
            if getattr(self, name).shape != (n,):
                raise TraceError(f"{self.name}: {name} must have shape ({n},)")
        if self.cpu_frac.shape != (n, t):
            raise TraceError(f"{self.name}: cpu_frac must have shape ({n}, {t})")
        for name in ("cpu_frac", "active_frac"):
            values = getattr(self, name)
            if not (np.all(values >= 0) and np.all(values <= 1)):
                raise TraceError(f"{self.name}: {name} must lie in [0, 1] everywhere")
        if not (np.all(self.memory_bytes > 0) and np.all(self.cores > 0)):
            raise TraceError(f"{self.name}: cores and memory_bytes must be positive")
        if self.step_s <= 0:
            raise TraceError(f"{self.name}: step_s must be positive, not {self.step_s}")

    @property
    def num_vms(self) -> int:
        """Number of VMs, N."""
        return int(self.active_frac.shape[0])

    @property
    def num_samples(self) -> int:
        """Number of instants, T."""
        return int(self.active_frac.shape[1])
