"""From a regular grid with holes to a trace without: outages, gaps and values above the limit.

The only place where a demand is made up, and never for longer than ``max_gap_s``. Readers of
gridded files start here; readers of loose samples pass through ``samples.py`` first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.repair import RepairLog
from gymbal_envs.demand.trace import Trace, TraceError

DEFAULT_MAX_GAP_S = 3600.0  # 97 % of Bitbrains' memory overloads are shorter than one hour


@dataclass(frozen=True)
class Grid:
    """Samples of N VMs at T regular instants; NaN where nothing was measured."""

    name: str
    start_s: float
    step_s: float
    vm_id: NDArray[np.int64]  # (N,)
    cores: NDArray[np.float64]  # (N,) provisioned vCPUs
    memory_bytes: NDArray[np.float64]  # (N,) provisioned memory
    cpu_frac: NDArray[np.float32]  # (N, T) may exceed 1
    active_frac: NDArray[np.float32]  # (N, T) may exceed 1

    def keep(self, vms: NDArray[np.bool_]) -> Grid:
        """Return the grid with only the VMs where ``vms`` (N,) is true."""
        names = ("vm_id", "cores", "memory_bytes", "cpu_frac", "active_frac")
        return self if vms.all() else replace(self, **{k: getattr(self, k)[vms] for k in names})

    def between(self, first: int, last: int) -> Grid:
        """Return the instants ``first`` to ``last`` inclusive."""
        return replace(
            self,
            start_s=self.start_s + first * self.step_s,
            cpu_frac=self.cpu_frac[:, first : last + 1],
            active_frac=self.active_frac[:, first : last + 1],
        )

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(N, T) true where both CPU and memory were measured."""
        return ~(np.isnan(self.cpu_frac) | np.isnan(self.active_frac))


def trace_of_grid(
    grid: Grid, *, source: str, log: RepairLog, max_gap_s: float = DEFAULT_MAX_GAP_S
) -> Trace:
    """Cut outages, drop VMs with long gaps, fill short ones and clip at what is provisioned.

    Raises:
        TraceError: no VM is left.
    """
    provisioned = (grid.memory_bytes > 0) & (grid.cores > 0)
    log.drop("no vCPU or no memory is provisioned", grid.vm_id[~provisioned])
    grid = grid.keep(provisioned)
    counts = grid.measured.sum(axis=0)
    slots = np.flatnonzero(counts)
    first, last = covered_window(
        slots,
        counts[slots],
        grid.vm_id.size,
        max_gap_s / grid.step_s,
        source=source,
        log=log,
    )
    grid = grid.between(first, last)
    grid = _filled(grid, max_gap_s, source, log)
    return Trace(
        name=grid.name,
        start_s=grid.start_s,
        step_s=grid.step_s,
        vm_id=grid.vm_id,
        cores=grid.cores,
        memory_bytes=grid.memory_bytes,
        cpu_frac=_clipped(grid.cpu_frac, "CPU usage above 100 %", log),
        active_frac=_clipped(grid.active_frac, "Active memory above the provisioned memory", log),
        repairs=log.sentences(),
    )


def nothing_left(source: str, log: RepairLog) -> TraceError:
    """Return the error for a file of which no VM survived, with the reasons why."""
    reasons = " ".join(log.sentences()) or "It holds no sample."
    return TraceError(
        f"{source}: no VM is left. {reasons} Raise max_gap_s, or use a file with better coverage"
    )


def covered_window(
    slots: NDArray[np.int64],
    counts: NDArray[np.int64],
    num_vms: int,
    max_gap: float,
    *,
    source: str,
    log: RepairLog,
) -> tuple[int, int]:
    """Find the longest period in which the fleet was measured, so that an outage costs no VM.

    A slot counts as measured if at least half of the VMs have a sample in it. A single VM has no
    fleet to compare with: a hole in its samples is its own gap.

    Args:
        slots: (K,) sorted slots in which any VM has a sample.
        counts: (K,) how many VMs have one.
        num_vms: N.
        max_gap: longest gap in slots that may be filled.
        source: path for messages.
        log: where cut samples are counted.

    Returns:
        first and last slot of the period.

    Raises:
        TraceError: there is no such period, or the only VM has too long a gap.
    """
    measured = slots[2 * counts >= num_vms]
    if not measured.size:
        raise nothing_left(source, log)
    breaks = np.flatnonzero(np.diff(measured) - 1 > max_gap)
    if num_vms == 1 and breaks.size:
        gap = int(np.diff(measured).max()) - 1
        raise TraceError(
            f"{source}: no VM is left. Its only VM misses {gap} samples in a row, more than the "
            f"{max_gap:g} that max_gap_s allows; raise max_gap_s or cut the file at the gap"
        )
    starts = np.concatenate(([0], breaks + 1))
    ends = np.concatenate((breaks, [measured.size - 1]))
    longest = int(np.argmax(ends - starts))
    first, last = int(measured[starts[longest]]), int(measured[ends[longest]])
    outside = int(counts[(slots < first) | (slots > last)].sum())
    log.add("Samples cut outside the longest period with at least half of the VMs", outside)
    return first, last


def _filled(grid: Grid, max_gap_s: float, source: str, log: RepairLog) -> Grid:
    """Drop VMs with gaps longer than ``max_gap_s``, carry the last sample over the others."""
    measured = grid.measured
    if measured.all():
        return grid
    instant = np.arange(measured.shape[1], dtype=np.int32)
    latest = np.maximum.accumulate(np.where(measured, instant, np.int32(-1)), axis=1)  # (N, T)
    steady = (instant - latest).max(axis=1) * grid.step_s <= max_gap_s
    log.drop(f"of a gap longer than {max_gap_s:g} s", grid.vm_id[~steady])
    if not steady.any():
        raise nothing_left(source, log)
    grid, measured, latest = grid.keep(steady), measured[steady], latest[steady]
    log.add(f"Missing samples filled (gaps up to {max_gap_s:g} s)", int((~measured).sum()))
    # Before its first sample a VM has no past: it starts with what it was first seen to want.
    source_slot = np.maximum(latest, measured.argmax(axis=1, keepdims=True))
    return replace(
        grid,
        cpu_frac=np.take_along_axis(grid.cpu_frac, source_slot, axis=1),
        active_frac=np.take_along_axis(grid.active_frac, source_slot, axis=1),
    )


def _clipped(values: NDArray[np.float32], what: str, log: RepairLog) -> NDArray[np.float32]:
    log.add(f"{what}, clipped", int((values > 1).sum()))
    return np.minimum(values, np.float32(1))
