"""What an operator sees of VMs that are to leave one data centre for another.

Arrays have a leading axis of worlds (B: pairs of sites with a WAN between them) and one of VM slots
(V). A slot whose ``present`` is False holds no VM and its other values mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import Bools, Floats

Ints = NDArray[np.int64]

AT_SOURCE, BULK, MIRROR, PRECOPY, LAST_COPY, HAND_OVER, ARRIVED = range(7)
"""Phases of a move: nothing was copied yet; the disk's first full copy; the disk's copy follows its
writes; memory is copied while the VM runs and every write is replicated before it is acknowledged;
the VM is paused and what is left is copied; the network is told where it is now; it runs there."""
PHASES = ("at_source", "bulk", "mirror", "precopy", "last_copy", "hand_over", "arrived")
NUM_PHASES = len(PHASES)

NUM_RESIDUALS = 6
"""Finished pre-copy rounds whose residual is remembered."""


@dataclass(frozen=True, slots=True)
class SitesTelemetry:
    """One record of B pairs of sites with V VM slots each.

    Rates are means over the last interval. Amounts of data are before redundancy elimination and
    protocol overhead, unless they are said to be on the wire.
    """

    time_s: Floats  # (B,) since the episode's start
    deadline_s: Floats  # (B,) from then on, being at the wrong site costs late_cost
    late_cost: Floats  # (B,) part of a VM's worth that is lost after the deadline
    wan_bytes_s: Floats  # (B,) capacity of the line
    wan_free_bytes_s: Floats  # (B,) of it, not used by others lately
    flow_limit_bytes_s: Floats  # (B,) the most that one copy gets over this distance
    rtt_s: Floats  # (B,) round trip of an empty line
    commit_s: Floats  # (B,) a replicated write's wait for the other site, as measured lately
    hand_over_s: Floats  # (B,) fixed part of every move's downtime

    present: Bools  # (B, V)
    shares: Floats  # (B, V) > 0, the VM's weight
    away_cost: Floats  # (B, V) part of the VM's worth that is lost while it is at the wrong site
    vcpus: Floats  # (B, V)
    memory_bytes: Floats  # (B, V) memory that holds data
    disk_bytes: Floats  # (B, V)
    redundancy_memory: Floats  # (B, V) part of the memory found at the other site, by samples
    redundancy_disk: Floats  # (B, V) the same of the disk
    hash_core_s_per_byte: Floats  # (B,) CPU time that redundancy elimination takes per byte read
    hash_bytes_s: Floats  # (B,) the most that it reads for one VM

    phase: Ints  # (B, V) AT_SOURCE ... ARRIVED
    suspended: Bools  # (B, V) the VM's copies stand still
    reduced: Bools  # (B, V) redundancy elimination is on
    phase_s: Floats  # (B, V) since the phase began
    move_s: Floats  # (B, V) since the first order to this VM; 0 before
    activity: Floats  # (B, V) CPU used, relative to the VM's own peak, 0..1
    write_bytes_s: Floats  # (B, V) written to the disk
    commit_rate: Floats  # (B, V) 1/s, writes that the VM waits for
    dirty_bytes_s: Floats  # (B, V) memory written in a sample, distinct pages, per second
    disk_left_bytes: Floats  # (B, V) of the disk that the other site does not have
    disk_new_bytes: Floats  # (B, V) of these, never copied so far
    memory_left_bytes: Floats  # (B, V) of the memory that would be left to copy now
    round: Floats  # (B, V) pre-copy rounds that ended
    residuals: Floats  # (B, V, NUM_RESIDUALS) memory left at the end of the last rounds, newest
    # first; NaN where there were fewer
    rate_bytes_s: Floats  # (B, V) on the wire for this VM
    sent_bytes: Floats  # (B, V) on the wire for this VM since the start

    @property
    def num_worlds(self) -> int:
        """Number of worlds in the record, B."""
        return int(self.present.shape[0])

    @property
    def num_vms(self) -> int:
        """Number of VM slots of each world, V, whether occupied or not."""
        return int(self.present.shape[1])

    @property
    def moving(self) -> Bools:
        """VMs that have left AT_SOURCE and have not arrived, (B, V)."""
        under_way: Bools = self.present & (self.phase > AT_SOURCE) & (self.phase < ARRIVED)
        return under_way

    @property
    def paused(self) -> Bools:
        """VMs that do not run, (B, V)."""
        stopped: Bools = self.present & ((self.phase == LAST_COPY) | (self.phase == HAND_OVER))
        return stopped

    def take_worlds(self, index: NDArray[Any]) -> SitesTelemetry:
        """The record of some of the worlds, in the order of ``index``."""
        return SitesTelemetry(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def take_vms(self, order: NDArray[np.int64]) -> SitesTelemetry:
        """The record with VM slots reordered or selected, the same way for every world."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return SitesTelemetry(**{n: v[:, order] if v.ndim > 1 else v for n, v in columns.items()})


PER_WORLD = (
    "time_s",
    "deadline_s",
    "late_cost",
    "wan_bytes_s",
    "wan_free_bytes_s",
    "flow_limit_bytes_s",
    "rtt_s",
    "commit_s",
    "hand_over_s",
    "hash_core_s_per_byte",
    "hash_bytes_s",
)
"""Fields of one value per world."""


def empty_sites(num_worlds: int, num_vms: int) -> SitesTelemetry:
    """A record with no VM present: a frame to fill in."""
    rows = (num_worlds, num_vms)
    values: dict[str, Any] = {
        f.name: np.zeros(num_worlds if f.name in PER_WORLD else rows)
        for f in fields(SitesTelemetry)
    }
    for name in ("present", "suspended", "reduced"):
        values[name] = np.zeros(rows, dtype=np.bool_)
    values |= {
        "phase": np.zeros(rows, dtype=np.int64),
        "shares": np.ones(rows),
        "vcpus": np.ones(rows),
        "residuals": np.full((*rows, NUM_RESIDUALS), np.nan),
        "wan_bytes_s": np.ones(num_worlds),
        "wan_free_bytes_s": np.ones(num_worlds),
        "flow_limit_bytes_s": np.ones(num_worlds),
        "late_cost": np.ones(num_worlds),
    }
    return SitesTelemetry(**values)
