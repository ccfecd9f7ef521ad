"""From a record of data centres to the desks at which rules decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.corrections import VETO, Corrections
from gymbal_runtime.centre.heuristics.desk import ABSENT, Desk, Room, open_books
from gymbal_runtime.centre.rules.detection import HISTORY
from gymbal_runtime.centre.rules.placement import Hosts
from gymbal_runtime.centre.rules.selection import Guests
from gymbal_runtime.centre.telemetry import NOWHERE, CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats

MIB = 2.0**20
"""Bytes; a power of two, so that what fits in bytes fits in MiB to the last bit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rule keeps clear of.

    Attributes:
        margin_frac: part of a host's memory that is left free.
        dwell_s: that a VM stays on a host before it may move again.
        awake_s: that a host is on before it may be emptied.
    """

    margin_frac: float
    dwell_s: float
    awake_s: float


class Record:
    """What rules read of C centres, all at once.

    Args:
        telemetry: the record.
        wanted_mips: (C, V) what VMs are taken to ask for; 0 where there is none.
        limits: of the rule.
        corrections: of the rule, host by host.
    """

    def __init__(
        self,
        telemetry: CentreTelemetry,
        wanted_mips: Floats,
        limits: Limits,
        corrections: Corrections,
    ) -> None:
        t, self.wanted_mips = telemetry, wanted_mips
        self.shape = t.shape
        running, at_home = t.running, t.present & (t.host_of != NOWHERE)
        going = t.present & (t.moving_to != NOWHERE)
        self.waits = t.present & ~at_home & ~going
        home = np.where(at_home, t.host_of, NOWHERE)
        self.home = np.where(going, t.moving_to, home)
        self.movable = at_home & ~going & (t.hosted_s >= limits.dwell_s)
        self.state = np.where(t.exists, t.state, ABSENT)
        self.fill, self.relief, self.keep = corrections.fill, corrections.relief, corrections.keep
        self.takes = running & ~t.draining & (self.keep >= -VETO)
        self.gives = running & (t.state_s >= limits.awake_s) & (self.keep <= VETO)
        self.capacity = np.where(t.exists, t.cpu_mips, 1.0)
        self.core = np.where(t.exists, t.core_mips, 0.0)
        self.watts = np.where(t.exists[..., None], t.power_w, 0.0)
        self.sleep_w = np.where(t.exists, t.sleep_w, 0.0)
        room = (1.0 - limits.margin_frac) * t.memory_bytes - t.held_bytes
        self.free_ram_mb = np.where(t.exists, room, 0.0) / MIB
        self.ram_mb = np.where(t.present, t.vm_memory_bytes, 0.0) / MIB
        self.mips = np.where(t.present, t.vm_mips, 0.0)
        self.vcpus = np.where(t.present, np.maximum(t.vcpus, 1.0), 1.0)
        self.history, self.samples = _past(t)

    def desk(self, c: int, room: Room) -> Desk:
        """Centre ``c``, its books open; what is decided for it is written to tables of its own."""
        num_vms, num_hosts = self.shape[2], self.shape[1]
        requested = self.wanted_mips[c].copy()
        guests = Guests(
            mips=self.mips[c],
            vcpus=self.vcpus[c],
            ram_mb=self.ram_mb[c],
            requested_mips=requested,
            requested_ram_mb=self.ram_mb[c],
            utilisation=requested / np.maximum(self.mips[c], 1e-9),
            history=self.history[c],
            samples=self.samples[c],
        )
        room.plan.takes[:] = self.takes[c]
        room.plan.gives[:] = self.gives[c]
        room.plan.keep[:] = self.keep[c]
        room.plan.movable[:] = self.movable[c]
        desk = Desk(
            hosts=Hosts(
                self.capacity[c], self.core[c], self.watts[c], self.fill[c], self.relief[c]
            ),
            guests=guests,
            books=room.books,
            plan=room.plan,
            state=self.state[c],
            sleep_w=self.sleep_w[c],
            utilisation=room.utilisation,
            waits=self.waits[c].astype(np.int64),
            home=self.home[c],
            place=self.home[c].copy(),
            target=np.full(num_vms, NOWHERE, dtype=np.int64),
            wake=np.zeros(num_hosts, dtype=np.int64),
        )
        open_books(desk, self.free_ram_mb[c])
        return desk


def mean_wanted(telemetry: CentreTelemetry, records: int) -> Floats:
    """MIPS that VMs want, (C, V): mean of the last ``records`` records that are known."""
    now = telemetry.wanted_frac
    if records > 1:
        past = telemetry.history[..., :records]
        known = ~np.isnan(past)
        count = known.sum(axis=-1)
        total = np.where(known, past, 0.0).sum(axis=-1)
        now = np.where(count > 0, total / np.maximum(count, 1), now)
    return np.where(telemetry.present, now * telemetry.vm_mips, 0.0)


def records_of(seconds: float, interval_s: float = 300.0) -> int:
    """Number of records that a period spans, at least 1."""
    return max(round(seconds / interval_s), 1)


def _past(telemetry: CentreTelemetry) -> tuple[Floats, NDArray[np.int64]]:
    """Past use, newest first, and how many samples of it are known: as the rules want them."""
    past = telemetry.history
    unknown: Bools = np.isnan(past) | ~telemetry.present[..., None]
    first = np.where(unknown.any(axis=-1), unknown.argmax(axis=-1), past.shape[-1])
    history = np.zeros((*past.shape[:-1], HISTORY))
    width = min(past.shape[-1], HISTORY)
    history[..., :width] = np.where(unknown, 0.0, past)[..., :width]
    return history, np.minimum(first, HISTORY).astype(np.int64)
