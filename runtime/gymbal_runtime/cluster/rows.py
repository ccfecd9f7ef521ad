"""What is seen of each candidate VM: the code of the VM tables of the cluster's quantities.

Columns are computed for the candidates alone, relative to the host or the link, so that sizes do
not matter. NaN, infinite and out-of-bounds entries are allowed here; `observation` bounds them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.history import ClusterHistory, scaled_time
from gymbal_runtime.cluster.move_estimate import estimate_move, free_link
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
    WAIT,
    Legal,
    Orders,
)
from gymbal_runtime.cluster.telemetry import (
    LAST_COPY,
    NOBODY,
    PUSHING,
    SETUP,
    ClusterTelemetry,
    Ints,
)
from gymbal_runtime.command import Command
from gymbal_runtime.parts.memory import MEMORY
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.telemetry import Bools, Floats

Columns = dict[str, Any]

_MEMORY_FIELDS = (
    "shares",
    "memory_max_bytes",
    "memory_min_bytes",
    "actual_bytes",
    "usable_bytes",
    "swap_in_rate",
    "swap_out_rate",
    "swap_used_bytes",
    "major_fault_rate",
    "cpu_cores",
    "steal_frac",
    "psi_some_frac",
    "active_bytes",
    "lru_hit_rate",
)
"""What the memory part reads of a VM."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The VMs that a policy is asked about.

    Attributes:
        slots: (C, H, K) slot of each, -1 nobody.
        places: (C * H, K) where they are in the list of all slots of the batch; nobody is at the
            first slot of the host.
    """

    slots: Ints
    places: Ints

    @classmethod
    def at(cls, slots: Ints, num_vms: int) -> Candidates:
        """Candidates in the given slots (C, H, K) of hosts with ``num_vms`` slots."""
        num_rows = slots.shape[0] * slots.shape[1]
        first = np.arange(num_rows)[:, None] * num_vms
        return cls(slots, first + np.maximum(slots, 0).reshape(num_rows, -1))

    @property
    def present(self) -> Bools:
        """Which are somebody, (C * H, K)."""
        return self.slots.reshape(self.places.shape) >= 0

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The candidates' entries of one value per slot, (C, H, V) or (C * H, V), as (C * H, K)."""
        return np.take(values.reshape(-1), self.places)


def memory_columns(telemetry: ClusterTelemetry, candidates: Candidates) -> Columns:
    """The memory part's columns of the candidates, (C * H, K) each."""
    hosts, present = telemetry.hosts, candidates.present
    count = np.maximum(hosts.present.sum(axis=1), 1)
    of_slots = {name: candidates.of(getattr(hosts, name)) for name in _MEMORY_FIELDS[:-1]}
    curves = hosts.lru_hit_rate.reshape(-1, hosts.lru_hit_rate.shape[2])
    # The part divides the budget by the number of VMs that it is shown: a budget of the candidates
    # alone makes their fair share what it is among all VMs of the host.
    budget = hosts.budget_bytes / count * np.maximum(present.sum(axis=1), 1)
    shown = replace(
        hosts,
        present=present,
        budget_bytes=budget,
        lru_hit_rate=curves[candidates.places],
        **of_slots,
    )
    columns: Columns = MEMORY.vm_columns(shown, Command.no_change(*present.shape))
    mean_share = np.where(hosts.present, hosts.shares, 0.0).sum(axis=1) / count
    columns["weight"] = np.log2(shown.shares / mean_share[:, None]) / 2.0
    return columns


def situation_columns(
    telemetry: ClusterTelemetry, candidates: Candidates, legal: Legal, memory: ClusterHistory
) -> Columns:
    """The candidates' overload, far memory, and what a move would take, (C * H, K) each.

    Args:
        telemetry: the record.
        candidates: the VMs.
        legal: legal orders of the candidates, not of all slots.
        memory: what is remembered after this record.
    """
    of, hosts = candidates.of, telemetry.hosts
    num_rows = len(candidates.places)
    fair = (hosts.budget_bytes / np.maximum(hosts.present.sum(axis=1), 1))[:, None]
    far, size = of(telemetry.far_bytes), of(telemetry.size_bytes)
    onset, finished = of(memory.onset_s), of(memory.overloads)
    phase = of(telemetry.move_phase)
    elapsed = np.maximum(hosts.time_s[:, None] - onset, 0.0)
    others = np.maximum(telemetry.exists.sum(axis=1) - 1, 1).repeat(telemetry.num_hosts)
    fits = legal.migrate.sum(axis=3).reshape(num_rows, -1)
    columns: Columns = {
        "suffering": ~np.isnan(onset),
        "suffering_s": scaled_time(elapsed),
        "past_overloads": np.log2(1.0 + finished) / 4.0,
        "past_overload_s": scaled_time(of(memory.overloads_s) / finished),
        "far_of_fair": far / fair,
        "far_of_swapped": far / of(hosts.swap_used_bytes),
        "borrowing": of(telemetry.borrowing),
        "boosted": of(telemetry.boosted),
        "clonable": of(telemetry.clonable),
        "has_twin": of(telemetry.twin) != NOBODY,
        "pinned": of(telemetry.pinned),
        "size_of_capacity": size / telemetry.capacity_bytes.reshape(-1, 1),
        "copying": (phase >= SETUP) & (phase <= LAST_COPY),
        "pushed": phase == PUSHING,
        "move_progress": of(telemetry.move_progress),
        "move_s": scaled_time(of(telemetry.move_s)),
        "fits_share": fits / others[:, None],
        "size_of_best_room": size / _best_room_elsewhere(telemetry).reshape(-1, 1),
    }
    return columns | _move_columns(telemetry, candidates, size)


def _move_columns(telemetry: ClusterTelemetry, candidates: Candidates, size: Floats) -> Columns:
    """What a pre-copy of each candidate would take on its host's link as it is now."""
    rate = candidates.of(telemetry.dirty_rate_bytes_s)
    dirty = candidates.of(telemetry.dirty_set_bytes)
    outbound, _ = free_link(
        telemetry.nic_bytes_s, telemetry.sent_bytes_s, telemetry.received_bytes_s
    )
    link = outbound.reshape(-1, 1)
    estimate = estimate_move(size, rate, dirty, link)
    return {
        "dirty_of_link": rate / link,
        "dirty_set_of_size": dirty / size,
        "first_pass_s": scaled_time(size / link),
        "move_total_s": scaled_time(estimate.total_s),
        "move_downtime_s": log_scaled(estimate.downtime_s, 0.1, 1e3),
        "converges": estimate.converges,
    }


def _best_room_elsewhere(telemetry: ClusterTelemetry) -> Floats:
    """Largest room of the other hosts of each host, (C, H) bytes."""
    room = np.where(telemetry.vacant.any(axis=2), telemetry.room_bytes, 0.0)
    if telemetry.num_hosts == 1:
        return np.zeros_like(room)
    top = np.sort(room, axis=1)[:, -2:]
    best: Floats = np.where(room == top[:, 1:], top[:, :1], top[:, 1:])
    return best


def told_columns(candidates: Candidates, base: Orders, first: Orders) -> Columns:
    """What the heuristic proposes for each candidate, (C * H, K) each.

    Args:
        candidates: the VMs.
        base: all that it proposes.
        first: the most urgent order of each cluster alone.
    """
    verb = candidates.of(base.verb)
    return {
        "told_squeeze": verb == SQUEEZE,
        "told_borrow": verb == BORROW,
        "told_home": (verb == RECALL) | (verb == MERGE) | (verb == CANCEL),
        "told_clone": verb == CLONE,
        "told_migrate": verb == MIGRATE,
        "told_first": candidates.of(first.verb) != WAIT,
    }
