"""What the cluster codec remembers: recent changes, and how long each VM has been suffering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.quantities import HISTORY_QUANTITIES, HOUR_S
from gymbal_runtime.cluster.suffering import Floors, above_floors, note
from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry, Ints
from gymbal_runtime.cluster.vm_memory import changes_between
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.telemetry import Bools, Floats

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClusterHistory:
    """Memory per slot; it follows a VM that moves, and is blank (NaN) for a VM that is new."""

    vm_id: Ints  # (C, H, V) who it is about
    tracked: tuple[Rows, ...]  # HISTORY_STEPS + 1 of (C, H, V, quantities): last record first
    onset_s: Floats  # (C, H, V) when the present overload began; NaN: there is none
    last_s: Floats  # (C, H, V) when the VM was last short of memory
    overloads: Floats  # (C, H, V) number of overloads that are over; NaN: none
    overloads_s: Floats  # (C, H, V) their lengths together

    @classmethod
    def empty(cls, num_clusters: int, num_hosts: int, num_vms: int) -> ClusterHistory:
        """No decision was taken yet."""
        shape = (num_clusters, num_hosts, num_vms)
        return cls(
            np.full(shape, NOBODY, dtype=np.int64),
            tuple(
                np.full((*shape, len(HISTORY_QUANTITIES)), np.nan, dtype=np.float32)
                for _ in range(HISTORY_STEPS + 1)
            ),
            *(np.full(shape, np.nan) for _ in range(4)),
        )

    def forget(self, clusters: Bools) -> ClusterHistory:
        """The same memory without the marked clusters (C,)."""
        gone = clusters[:, None, None]
        return ClusterHistory(
            np.where(gone, NOBODY, self.vm_id),
            tuple(np.where(gone[..., None], np.float32(np.nan), step) for step in self.tracked),
            *(
                np.where(gone, np.nan, values)
                for values in (self.onset_s, self.last_s, self.overloads, self.overloads_s)
            ),
        )

    def advance(self, telemetry: ClusterTelemetry, floors: Floors) -> ClusterHistory:
        """The memory after this record: moves followed, overloads timed, changes shifted by one."""
        onset, last, overloads, lengths = (
            values.copy()
            for values in (self.onset_s, self.last_s, self.overloads, self.overloads_s)
        )
        tracked = self.tracked
        changes = changes_between(self.vm_id, telemetry.vm_id)
        if changes is not None:
            tracked = tuple(step.copy() for step in tracked)
            for values in (onset, last, overloads, lengths):
                changes.carry(values)
            for step in tracked:
                changes.carry(step)
        above = above_floors(telemetry, floors)
        ended = note(onset, last, telemetry.time_s, above, floors.release_s)
        over = ~np.isnan(ended)
        if over.any():
            overloads[over] = np.nan_to_num(overloads[over]) + 1.0
            lengths[over] = np.nan_to_num(lengths[over]) + ended[over]
        newest = tracked_values(telemetry)
        return ClusterHistory(
            telemetry.vm_id, (newest, *tracked[:-1]), onset, last, overloads, lengths
        )


def tracked_values(telemetry: ClusterTelemetry) -> Rows:
    """What is remembered of every VM, (C, H, V, tracked); NaN where not measured."""
    hosts = telemetry.hosts
    capacity = np.maximum(telemetry.capacity_bytes, 1.0).reshape(-1, 1)
    values = np.empty((*hosts.present.shape, len(HISTORY_QUANTITIES)), dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        values[..., 0] = hosts.psi_some_frac
        values[..., 1] = log_scaled(hosts.swap_in_rate, 1e6, 1e4)
        values[..., 2] = telemetry.far_bytes.reshape(hosts.present.shape) / capacity
        values[..., 3] = hosts.actual_bytes / capacity
        values[..., 4] = hosts.usable_bytes / capacity
    return values.reshape(*telemetry.shape, -1)


def scaled_time(seconds: Floats) -> Floats:
    """log1p of a time, 1 at an hour."""
    return log_scaled(seconds, 1.0, HOUR_S)
