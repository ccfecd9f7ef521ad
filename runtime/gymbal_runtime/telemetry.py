"""What a host reports about itself and its virtual machines: the only definition of *observable*.

Arrays have a leading axis of hosts (H) and one of VM slots (V), so that the controller (H = 1) and
a training run (H = hundreds of simulated hosts) share every line that reads them. A slot whose
``present`` is False holds no VM and its other values mean nothing.

A quantity that a host cannot measure, or has not yet measured, is NaN: absence is part of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NUM_LRU_SLICES = 8
"""The LRU histogram divides a VM's present allocation into this many equal slices."""
NUM_LLC_POINTS = 12
"""A last-level-cache miss curve gives misses at this many equal steps, up to the whole cache."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One record of H hosts with V VM slots each.

    Rates are means over the sensors' sampling period. Bytes are bytes, not pages or KiB.
    """

    time_s: Floats  # (H,) seconds on the host's monotonic clock
    age_s: Floats  # (H,) seconds since the newest sample in this record was taken
    budget_bytes: Floats  # (H,) host memory that may be divided between the VMs
    swap_latency_s: Floats  # (H,) mean time to serve one swap-in lately; NaN before the first

    present: Bools  # (H, V)
    shares: Floats  # (H, V) > 0, the VM's weight as its owner configured it
    memory_max_bytes: Floats  # (H, V) provisioned memory, the balloon's ceiling
    memory_min_bytes: Floats  # (H, V) configured floor of the balloon
    actual_bytes: Floats  # (H, V) memory the guest holds now (balloon `actual`)
    usable_bytes: Floats  # (H, V) what the guest could give without swapping (MemAvailable)
    swap_in_rate: Floats  # (H, V) bytes/s
    swap_out_rate: Floats  # (H, V) bytes/s
    swap_used_bytes: Floats  # (H, V) guest memory that lies in swap
    major_fault_rate: Floats  # (H, V) faults/s that had to wait for storage
    cpu_cores: Floats  # (H, V) cores used
    steal_frac: Floats  # (H, V) fraction of wanted CPU time that was not granted
    psi_some_frac: Floats  # (H, V) fraction of time with at least one task stalled on memory
    active_bytes: Floats  # (H, V) sampled active memory (100 pages a period, fast up, slow down)
    lru_hit_rate: (
        Floats  # (H, V, NUM_LRU_SLICES) accesses/s whose LRU stack distance lies in slice k
    )
    # of the allocation; NaN where no histogram monitor runs

    # What follows is NaN on a host that does not measure or control it.
    host_cores: Floats  # (H,) cores of the host
    llc_bytes: Floats  # (H,) size of the last-level cache that can be divided
    llc_units: Floats  # (H,) ways, or page colours, that it is divided in
    llc_classes: Floats  # (H,) classes of service: groups of VMs that may have a part of their own
    llc_min_units: Floats  # (H,) fewest units of a class that has any
    llc_recolours: Floats  # (H,) 1 where units are page colours (a change moves pages), 0: ways
    bandwidth_limit_bytes_s: Floats  # (H,) memory bandwidth of the socket
    passthrough_slots: Floats  # (H,) devices that can be handed through to VMs

    cpu_weight: Floats  # (H, V) weight that the CPU scheduler uses now (``shares`` is the owner's)
    cpu_cap_cores: Floats  # (H, V) most cores that it may use now; inf where there is no cap
    wakeup_delay_s: Floats  # (H, V) mean wait of a VM that wakes up for a core
    llc_class: Floats  # (H, V) class of service, 0, 1, ...; VMs of a class share its units
    llc_units_held: Floats  # (H, V) units of the VM's class
    llc_occupancy_bytes: Floats  # (H, V) part of the cache that holds the VM's lines
    llc_reference_rate: Floats  # (H, V) 1/s, accesses to the last-level cache
    llc_miss_rate: Floats  # (H, V) 1/s
    instruction_rate: Floats  # (H, V) instructions retired per second
    cycle_rate: Floats  # (H, V) unhalted cycles per second
    stall_frac: Floats  # (H, V) fraction of those cycles that waited for memory behind the LLC
    memory_bandwidth_bytes_s: Floats  # (H, V) traffic between cache and memory
    walk_frac: Floats  # (H, V) fraction of the cycles spent in page-table walks (TLB misses)
    io_rate_bytes_s: Floats  # (H, V) what the VM's device moves
    io_wait_frac: Floats  # (H, V) fraction of the wanted I/O that was not served
    device_mode: Floats  # (H, V) 0 emulated device, 1 passthrough
    monitor_level: Floats  # (H, V) 0 counters, 1 + active sampler, 2 + histograms
    hint_llc_slowdown: Floats  # (H, V) from a static profile: time with 1/12 of the LLC / with all
    hint_footprint_bytes: Floats  # (H, V) from a static profile: all the memory that it touches
    llc_miss_curve: Floats  # (H, V, NUM_LLC_POINTS) misses/s had the VM (k + 1) / 12 of the LLC;
    # NaN where no histogram monitor runs

    @property
    def num_hosts(self) -> int:
        """Number of hosts in the record, H."""
        return int(self.present.shape[0])

    @property
    def num_vms(self) -> int:
        """Number of VM slots of each host, V, whether occupied or not."""
        return int(self.present.shape[1])

    def take_hosts(self, index: NDArray[np.int64]) -> Telemetry:
        """The record of some of the hosts, in the order of ``index``."""
        return Telemetry(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def take_vms(self, order: NDArray[np.int64]) -> Telemetry:
        """The record with VM slots reordered or selected, the same way for every host."""
        per_vm = {
            f.name: getattr(self, f.name)[:, order] for f in fields(self) if _is_per_vm(f.name)
        }
        return replace(self, **per_vm)


HOST_ABILITY_FIELDS = (
    "host_cores",
    "llc_bytes",
    "llc_units",
    "llc_classes",
    "llc_min_units",
    "llc_recolours",
    "bandwidth_limit_bytes_s",
    "passthrough_slots",
)
"""Per-host values that say what beyond memory the host can divide; NaN where it cannot."""
PER_HOST_FIELDS = ("time_s", "age_s", "budget_bytes", "swap_latency_s", *HOST_ABILITY_FIELDS)
CONFIGURED_FIELDS = ("shares", "memory_max_bytes", "memory_min_bytes", "actual_bytes")
"""Per-VM values without which no decision is possible; the rest may be missing (NaN)."""
BESIDE_MEMORY_FIELDS = (
    "cpu_weight",
    "cpu_cap_cores",
    "wakeup_delay_s",
    "llc_class",
    "llc_units_held",
    "llc_occupancy_bytes",
    "llc_reference_rate",
    "llc_miss_rate",
    "instruction_rate",
    "cycle_rate",
    "stall_frac",
    "memory_bandwidth_bytes_s",
    "walk_frac",
    "io_rate_bytes_s",
    "io_wait_frac",
    "device_mode",
    "monitor_level",
    "hint_llc_slowdown",
    "hint_footprint_bytes",
)
"""Per-VM values of cache, cores, devices and monitors; NaN on hosts that control none."""
MEASURED_FIELDS = (
    "usable_bytes",
    "swap_in_rate",
    "swap_out_rate",
    "swap_used_bytes",
    "major_fault_rate",
    "cpu_cores",
    "steal_frac",
    "psi_some_frac",
    "active_bytes",
    *BESIDE_MEMORY_FIELDS,
    "lru_hit_rate",
    "llc_miss_curve",
)
CURVE_FIELDS = {"lru_hit_rate": NUM_LRU_SLICES, "llc_miss_curve": NUM_LLC_POINTS}
"""Measured fields with a third axis, and its length."""
UNBOUNDED_FIELDS = frozenset({"cpu_cap_cores"})
"""Fields, of telemetry and of commands, in which inf is a value: there is no bound."""


def _is_per_vm(name: str) -> bool:
    return name not in PER_HOST_FIELDS


def empty_telemetry(num_hosts: int, num_vms: int) -> Telemetry:
    """A record with no VM present and every measured value NaN: a frame to fill in."""
    host = (num_hosts,)
    rows = (num_hosts, num_vms)
    unknown = {
        name: np.full((*rows, CURVE_FIELDS[name]) if name in CURVE_FIELDS else rows, np.nan)
        for name in MEASURED_FIELDS
    }
    unknown |= {name: np.full(host, np.nan) for name in HOST_ABILITY_FIELDS}
    return Telemetry(
        time_s=np.zeros(host),
        age_s=np.zeros(host),
        budget_bytes=np.zeros(host),
        swap_latency_s=np.full(host, np.nan),
        present=np.zeros(rows, dtype=np.bool_),
        shares=np.ones(rows),
        memory_max_bytes=np.zeros(rows),
        memory_min_bytes=np.zeros(rows),
        actual_bytes=np.zeros(rows),
        **unknown,
    )


def implausible(telemetry: Telemetry) -> list[str]:
    """Why this record must not be acted upon; empty where it may.

    NaN in a measured field is legal (not measured). Negative or infinite values (but for
    `UNBOUNDED_FIELDS`), a missing configured value, or a VM that holds more than it was provisioned
    with are not.
    """
    found: list[str] = []
    if not np.all(np.isfinite(telemetry.budget_bytes) & (telemetry.budget_bytes > 0)):
        found.append("budget_bytes must be finite and positive")
    if not np.all(np.isfinite(telemetry.time_s)):
        found.append("time_s must be finite")
    if not np.all(telemetry.age_s >= 0):
        found.append("age_s must be zero or positive")
    present = telemetry.present
    for name in CONFIGURED_FIELDS:
        values = getattr(telemetry, name)[present]
        if not np.all(np.isfinite(values) & (values >= 0)):
            found.append(f"{name} must be finite and not negative")
    for name in (*MEASURED_FIELDS,):
        values = getattr(telemetry, name)[present]
        if np.any((values < 0) | (np.isinf(values) & (name not in UNBOUNDED_FIELDS))):
            found.append(f"{name} must be NaN (not measured), zero or positive")
    if np.any((telemetry.memory_min_bytes > telemetry.memory_max_bytes)[present]):
        found.append("memory_min_bytes must not exceed memory_max_bytes")
    if np.any((telemetry.shares <= 0)[present]):
        found.append("shares must be positive")
    return found
