"""What hosts hold, and would hold: who was placed a moment ago counts for the next VM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.loads import per_host
from gymbal_runtime.centre.telemetry import NOWHERE, WAKING, CentreTelemetry, Ints
from gymbal_runtime.placement.compatibility import CompatibilityTable
from gymbal_runtime.telemetry import Bools, Floats

IN_USE, SPARE, COMING, SLEEPING = range(4)
"""Groups of hosts: on with VMs; on without; on its way to be on; asleep or falling asleep."""
GROUPS = ("in_use", "spare", "coming", "sleeping")

TABLE_CORE_MIPS = 3000.0
"""MIPS of a core of the host that the table was computed for."""


class Books:
    """Hosts of C centres as they would be after what was booked.

    Args:
        telemetry: of C centres.
        table: of reference programs, by which VMs are told apart.

    Attributes:
        group: (C, H) IN_USE ... SLEEPING; what is not there counts as SLEEPING and has no room.
        free_bytes: (C, H) memory that nothing holds.
        wanted_mips: (C, H) that VMs want now.
        vms: (C, H) number of them.
        busy: (C, H, R + 1) busy cores by reference program; the last: of unknown programs.
        weight: (C, H, R + 1) wanted MIPS times shares by reference program.
        asks_mips: (C, V) what each VM wants now.
        cores: (C, V) the same in cores of 3 GHz, as the table has them.
        kind: (C, V) reference program of each VM.
        marks: (C, V, 3) its static profile in standard units, 0 where it has none.
        profiled: (C, V) it has one.
    """

    def __init__(self, telemetry: CentreTelemetry, table: CompatibilityTable) -> None:
        t, hosts = telemetry, telemetry.num_hosts
        self.telemetry, self.table = t, table
        here = np.where(t.present, t.host_of, NOWHERE)
        going = np.where(t.present, t.moving_to, NOWHERE)
        place = np.where(going != NOWHERE, going, here)
        self.asks_mips = np.where(t.present, t.wanted_frac * t.vm_mips, 0.0)
        self.cores = self.asks_mips / TABLE_CORE_MIPS
        self.marks, self.profiled = table.marks(t)
        self.kind = table.class_of(self.marks, self.profiled)
        self.vms = per_host(place, np.ones(place.shape), hosts)
        self.wanted_mips = per_host(place, self.asks_mips, hosts)
        self.free_bytes = np.where(t.exists, t.memory_bytes - t.held_bytes, -1.0)
        self.capacity_mips = np.where(t.exists, t.cpu_mips, 0.0)
        kinds = table.count + 1
        by_kind = np.where(place != NOWHERE, place * kinds + self.kind, NOWHERE)
        shape = (*t.exists.shape, kinds)
        self.busy = per_host(by_kind, self.cores, hosts * kinds).reshape(shape)
        worth = self.asks_mips * t.shares
        self.weight = per_host(by_kind, worth, hosts * kinds).reshape(shape)
        self.worth = np.where(t.present, worth, 0.0)  # (C, V)
        self.total_worth = np.maximum(self.worth.sum(axis=1), 1e-9)  # (C,)
        self.group = np.full(t.exists.shape, SLEEPING, dtype=np.int64)
        on = t.running & ~t.draining
        self.group[on] = np.where(self.vms > 0, IN_USE, SPARE)[on]
        self.group[t.running & t.draining] = SPARE
        self.group[t.exists & (t.state == WAKING)] = COMING
        self._one = np.arange(t.num_centres)

    def of(self, values: NDArray[Any], vm: Ints) -> NDArray[Any]:
        """``values`` (C, V) of one VM of each centre (C,), anything where that is NOWHERE."""
        return values[self._one, np.maximum(vm, 0)]

    def fits(self, vm: Ints) -> Bools:
        """Hosts with the memory for one VM of each centre, (C, H); none where it is NOWHERE."""
        need = self.of(self.telemetry.vm_memory_bytes, vm)
        room: Bools = (self.free_bytes >= need[:, None]) & (vm != NOWHERE)[:, None]
        return room

    def use_after(self, vm: Ints) -> Floats:
        """Part of each host's MIPS that would be wanted with the VM, (C, H)."""
        asked = self.wanted_mips + self.of(self.asks_mips, vm)[:, None]
        after: Floats = asked / np.maximum(self.capacity_mips, 1e-9)
        return after

    def book(self, vm: Ints, host: Ints) -> None:
        """Count one VM of each centre (C,) to its host (C,); NOWHERE: it goes on waiting."""
        c = np.flatnonzero((vm != NOWHERE) & (host != NOWHERE))
        v, h = vm[c], host[c]
        self.free_bytes[c, h] -= self.telemetry.vm_memory_bytes[c, v]
        self.wanted_mips[c, h] += self.asks_mips[c, v]
        self.vms[c, h] += 1.0
        self.busy[c, h, self.kind[c, v]] += self.cores[c, v]
        self.weight[c, h, self.kind[c, v]] += self.worth[c, v]
        group = self.group[c, h]
        self.group[c, h] = np.where(
            group == SPARE, IN_USE, np.where(group == SLEEPING, COMING, group)
        )
