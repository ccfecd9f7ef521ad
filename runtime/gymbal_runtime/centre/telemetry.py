"""What the manager of a data centre sees: hosts that use power, VMs that want CPU time and memory.

Arrays have a leading axis of centres (C) and one of hosts (H) or VMs (V). VMs are rows of the
centre, wherever they run; ``host_of`` says where. A place whose ``exists`` or ``present`` is False
is empty and its other values mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.sharing import SharingTelemetry
from gymbal_runtime.telemetry import Bools, Floats

Ints = NDArray[np.int64]

ON, SUSPENDING, ASLEEP, WAKING = range(4)
"""States of a host. Only one that is ON runs VMs."""
HOST_STATES = ("on", "suspending", "asleep", "waking")

NOWHERE = -1
"""Host of a VM that runs nowhere, target of one that does not move."""

HISTORY = 12
"""Records of which each VM's CPU use is kept: what the longest-sighted detectors ask for."""

CURVE_POINTS = 11
"""Watts at 0, 10, ..., 100 % utilisation."""


@dataclass(frozen=True, slots=True)
class CentreTelemetry:
    """One record of C centres with H places for hosts and V for VMs.

    CPU is in MIPS, the unit of the literature on consolidation; any unit of speed does, if it is
    the same for hosts and VMs. Means are over the last interval.
    """

    time_s: Floats  # (C,) since the episode's start
    interval_s: Floats  # (C,) from this record to the next

    exists: Bools  # (C, H)
    state: Ints  # (C, H) ON ... WAKING
    state_s: Floats  # (C, H) since it is in this state
    cpu_mips: Floats  # (C, H) all cores together
    core_mips: Floats  # (C, H) one core, the most that a VM with one vCPU can get
    memory_bytes: Floats  # (C, H) for VMs
    nic_bytes_s: Floats  # (C, H) each way
    power_w: Floats  # (C, H, CURVE_POINTS) by utilisation
    sleep_w: Floats  # (C, H)
    wake_s: Floats  # (C, H) from the order until it is ON
    wake_w: Floats  # (C, H) meanwhile
    used_mips: Floats  # (C, H) mean that its VMs got, with what moves cost
    held_bytes: Floats  # (C, H) of its VMs, of those on their way here, of those still pushed away
    draining: Bools  # (C, H) it is told to sleep and waits until it is empty

    present: Bools  # (C, V)
    host_of: Ints  # (C, V) where it runs, NOWHERE while it waits for a host
    moving_to: Ints  # (C, V) target of a move under way, else NOWHERE
    vm_mips: Floats  # (C, V) the most that it can use
    vcpus: Floats  # (C, V) it gets at most so many cores of its host
    shares: Floats  # (C, V) weight of each of its MIPS, as its owner configured it
    vm_memory_bytes: Floats  # (C, V) what a host reserves and a move copies
    dirty_bytes_s: Floats  # (C, V) memory written in a sample, distinct pages, per second
    wanted_frac: Floats  # (C, V) wanted CPU time now / vm_mips
    got_frac: Floats  # (C, V) part of the wanted CPU time that it got
    history: Floats  # (C, V, HISTORY) wanted_frac of the last records, newest first; NaN: none
    hosted_s: Floats  # (C, V) since it runs on this host

    sharing: SharingTelemetry | None = None  # of caches, bandwidth and devices; None: not measured

    @property
    def num_centres(self) -> int:
        """Number of centres in the record, C."""
        return int(self.exists.shape[0])

    @property
    def num_hosts(self) -> int:
        """Places for hosts, H."""
        return int(self.exists.shape[1])

    @property
    def num_vms(self) -> int:
        """Places for VMs, V."""
        return int(self.present.shape[1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, V)."""
        return (*self.exists.shape, self.num_vms)

    @property
    def running(self) -> Bools:
        """Hosts that run VMs now, (C, H)."""
        on: Bools = self.exists & (self.state == ON)
        return on

    def take_centres(self, index: NDArray[Any]) -> CentreTelemetry:
        """The record of some of the centres, in the order of ``index``."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        sharing = parts.pop("sharing")
        return CentreTelemetry(
            **{name: values[index] for name, values in parts.items()},
            sharing=None if sharing is None else sharing.take_centres(index),
        )


PER_CENTRE = ("time_s", "interval_s")
PER_HOST = (
    "exists", "state", "state_s", "cpu_mips", "core_mips", "memory_bytes", "nic_bytes_s", "power_w",
    "sleep_w", "wake_s", "wake_w", "used_mips", "held_bytes", "draining",
)  # fmt: skip
"""Fields with an axis of hosts after that of centres; those of neither are of VMs."""
