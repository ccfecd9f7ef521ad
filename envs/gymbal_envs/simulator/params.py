"""Every physical constant, with its unit and where the number comes from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout
from gymbal_runtime.llc import PAGE_MOVE_S
from gymbal_runtime.telemetry import MEASURED_FIELDS

GIB = 1024.0**3
MIB = 1024.0**2


@dataclass(frozen=True)
class Clock:
    """The two clocks: physics and decisions.

    Raises:
        ValueError: if the control interval is not a whole number of ticks.
    """

    tick_s: float = 1.0
    control_interval_s: float = 10.0

    def __post_init__(self) -> None:
        """Check that decisions fall on ticks."""
        if self.tick_s <= 0:
            raise ValueError(f"tick_s must be positive, not {self.tick_s}")
        ratio = self.control_interval_s / self.tick_s
        if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
            raise ValueError(
                f"control_interval_s ({self.control_interval_s}) must be a whole multiple of "
                f"tick_s ({self.tick_s})"
            )

    @property
    def ticks_per_decision(self) -> int:
        """Physics steps between two decisions."""
        return round(self.control_interval_s / self.tick_s)


@dataclass(frozen=True)
class Tier:
    """Where pages go that do not fit: latency, parallelism, bandwidth, read-ahead.

    Latencies and bandwidths: models.md 1.4. ``cluster_pages`` is Linux' default swap read-ahead
    (vm.page-cluster = 3, 8 pages) for block devices, none for memory-like tiers; that half of a
    cluster is useful is an assumption. ``pool_frac`` is 1 / compression ratio (3, models.md 1.4).
    ``pool_limit_frac`` of a guest's memory may hold compressed images (zswap's default
    max_pool_percent, 20); what exceeds it is written back to a disk, the coldest first, and assumed
    never to be read again.
    """

    name: str
    latency_s: float
    read_bytes_s: float
    write_bytes_s: float
    servers: int
    cluster_pages: int = 8
    useful_pages: float = 4.0
    pool_frac: float = 0.0
    pool_limit_frac: float = 0.0


TIERS: dict[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("hdd", 8e-3, 120e6, 100e6, servers=1),
        Tier("sata_ssd", 150e-6, 0.5e9, 0.4e9, servers=12),
        Tier("nvme", 90e-6, 3e9, 1.5e9, servers=45),
        Tier(
            "zswap",
            6e-6,
            4e9,
            1e9,
            servers=2,
            cluster_pages=1,
            useful_pages=1.0,
            pool_frac=1 / 3,
            pool_limit_frac=0.2,
        ),
        Tier("tcp_1g", 200e-6, 115e6, 115e6, servers=4, cluster_pages=8, useful_pages=4.0),
        Tier("tcp_10g", 60e-6, 1.1e9, 1.1e9, servers=8, cluster_pages=8, useful_pages=4.0),
        Tier("rdma", 6e-6, 7e9, 7e9, servers=16, cluster_pages=1, useful_pages=1.0),
        Tier("cxl", 1.5e-6, 20e9, 20e9, servers=16, cluster_pages=1, useful_pages=1.0),
    )
}
"""HDD: 125 IOPS; SATA: 80 k IOPS; NVMe: 500 k IOPS; zswap: two CPUs decompress; RDMA: 56 Gb/s.
CXL moves whole pages on first touch (migration of one page, assumption)."""


@dataclass(frozen=True)
class MemoryParams:
    """Balloon and guest reclaim.

    Attributes:
        page_bytes: page size.
        inflate_bytes_s: balloon speed over free pages (0.3-0.8 GB/s measured on QEMU guests).
        deflate_bytes_s: speed of giving memory back (1-1.7 GB/s measured on QEMU guests).
        lru_error: share of evicted pages that were hot although cold ones existed (assumption;
            Linux approximates LRU).
        restart_s: time a killed process needs to be back (assumption).
    """

    page_bytes: float = 4096.0
    inflate_bytes_s: float = 400e6
    deflate_bytes_s: float = 1e9
    lru_error: float = 0.05
    restart_s: float = 30.0


_MAY_BE_SILENT = ("swap_latency_s", *MEASURED_FIELDS)
GUEST_STATISTICS_LACK = (
    "swap_latency_s", "swap_used_bytes", "psi_some_frac", "active_bytes", "lru_hit_rate",
)  # fmt: skip
"""What a virtio balloon's statistics do not tell of memory."""


@dataclass(frozen=True)
class SensorParams:
    """What a hypervisor sees, how often and how well.

    Attributes:
        sample_s: period of guest statistics (virtio-balloon polling).
        delay_s: until a sample is visible; at most ``sample_s``.
        active_period_s: ESX samples 30 s of VM time (models.md 3.1).
        active_pages: pages sampled per period, n = 100 (models.md 3.1): standard error <= 5 %.
        slow_gain: gain of ESX's slow moving average, per period (assumption).
        fast_gain: gain of the fast one (assumption).
        lru_noise: relative standard deviation of a histogram slice; 5 % is the accuracy
            published for LRU-histogram monitors (models.md 2.4).
        monitor_cost: CPU an LRU histogram costs with hot set and intermittent tracking, 2 %
            (models.md 2.4).
        sampler_cost: CPU of the active sampler: 100 traps of about 2 us per 30 s.
        trap_s: time of one trapped access of the histogram monitor, 1-2 us (models.md 2.2). Above
            0 the monitor costs what it traps: accesses outside an untraced hot set, which grows
            while the cost is above ``trace_limit``. 0: it costs ``monitor_cost``.
        trace_limit: fraction of a VM's CPU that tracing may take; with an adaptive hot set and
            logarithmic stack distances the published mean is 16 % (models.md 2.4).
        walk_per_doubling: part of all cycles that page-table walks take more for each doubling of
            the working set beyond the TLB's reach, at 20,000 touches/s (assumption).
        counter_noise: relative standard deviation of the page-walk counter (assumption).
        llc_noise: relative standard deviation of a point of the LLC miss curve (assumption).
        silent: fields of the telemetry that no host reports, such as what QEMU's balloon device
            does not know of its guest (`GUEST_STATISTICS_LACK`).
    """

    sample_s: float = 5.0
    delay_s: float = 2.0
    active_period_s: float = 30.0
    active_pages: float = 100.0
    slow_gain: float = 0.2
    fast_gain: float = 0.6
    lru_noise: float = 0.05
    monitor_cost: float = 0.02
    sampler_cost: float = 7e-6
    trap_s: float = 0.0
    trace_limit: float = 0.16
    walk_per_doubling: float = 0.01
    counter_noise: float = 0.02
    llc_noise: float = 0.05
    silent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """One sample is under way at a time, and what is silent could speak."""
        unknown = [name for name in self.silent if name not in _MAY_BE_SILENT]
        if unknown:
            raise ValueError(f"silent {unknown}: choose from {', '.join(_MAY_BE_SILENT)}")
        if not 0 <= self.delay_s <= self.sample_s:
            raise ValueError(
                f"delay_s ({self.delay_s}) must lie between 0 and sample_s ({self.sample_s})"
            )


@dataclass(frozen=True)
class CacheParams:
    """Last-level cache and memory bandwidth.

    Attributes:
        queue: kappa of the memory latency under load, ``1 + kappa rho / (1 - rho)``
            (models.md 1.5 gives 0.3-0.5 as a shape to calibrate).
        write_back: bytes written back per byte missed (models.md 1.5).
        page_move_s: copy a page to another colour, remap it, shoot down its TLB entries: 3-10 us
            (models.md 8.1). The lines it loses have to be fetched again on top.
        move_duty: largest part of a VM's time that recolouring takes (assumption).
    """

    queue: float = 0.4
    write_back: float = 0.3
    page_move_s: float = PAGE_MOVE_S
    move_duty: float = 0.2

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 0 < self.move_duty <= 1:
            raise ValueError(f"move_duty ({self.move_duty}) must lie in (0, 1]")
        for name in ("queue", "page_move_s"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} ({getattr(self, name)}) must be above 0")
        if not 0 <= self.write_back < np.inf:
            raise ValueError(f"write_back ({self.write_back}) must not be negative")


@dataclass(frozen=True)
class DeviceParams:
    """Emulated and passthrough I/O. All values are assumptions of today's order of magnitude.

    Attributes:
        emulated_core_s_per_byte: host CPU that emulation (virtio with host threads) takes: about
            one core for 10 Gb/s.
        passthrough_core_s_per_byte: the same for interrupts of a device handed through.
        emulated_bytes_s: the most that one emulated device moves.
        switch_s: without a device when its mode changes (hot unplug and plug).
    """

    emulated_core_s_per_byte: float = 0.8e-9
    passthrough_core_s_per_byte: float = 0.1e-9
    emulated_bytes_s: float = 0.6e9
    switch_s: float = 1.5

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{field.name} ({value}) must be finite and not negative")


@dataclass(frozen=True)
class PhysicsParams:
    """All constants of the engine."""

    clock: Clock = Clock()
    memory: MemoryParams = MemoryParams()
    sensors: SensorParams = SensorParams()
    cache: CacheParams = CacheParams()
    devices: DeviceParams = DeviceParams()
    knot_s: float = 10.0  # s between demand knots; linear in between

    def constants(self) -> NDArray[np.float64]:
        """The table that kernels read, (NUM_CONSTANTS,)."""
        c = np.zeros(layout.NUM_CONSTANTS)
        c[layout.C_TICK] = self.clock.tick_s
        c[layout.C_KNOT] = self.knot_s
        c[layout.C_PAGE] = self.memory.page_bytes
        c[layout.C_INFLATE] = self.memory.inflate_bytes_s
        c[layout.C_DEFLATE] = self.memory.deflate_bytes_s
        c[layout.C_LRU_ERROR] = self.memory.lru_error
        c[layout.C_RESTART] = self.memory.restart_s
        c[layout.C_SAMPLE] = self.sensors.sample_s
        c[layout.C_DELAY] = self.sensors.delay_s
        c[layout.C_ACTIVE_PERIOD] = self.sensors.active_period_s
        c[layout.C_ACTIVE_PAGES] = self.sensors.active_pages
        c[layout.C_SLOW_GAIN] = self.sensors.slow_gain
        c[layout.C_FAST_GAIN] = self.sensors.fast_gain
        c[layout.C_LRU_NOISE] = self.sensors.lru_noise
        c[layout.C_MONITOR_COST] = self.sensors.monitor_cost
        c[layout.C_SAMPLER_COST] = self.sensors.sampler_cost
        c[layout.C_TRAP] = self.sensors.trap_s
        c[layout.C_TRACE_LIMIT] = self.sensors.trace_limit
        c[layout.C_WALK] = self.sensors.walk_per_doubling
        c[layout.C_COUNTER_NOISE] = self.sensors.counter_noise
        c[layout.C_LLC_NOISE] = self.sensors.llc_noise
        c[layout.C_QUEUE] = self.cache.queue
        c[layout.C_WRITE_BACK] = self.cache.write_back
        c[layout.C_PAGE_MOVE] = self.cache.page_move_s
        c[layout.C_MOVE_DUTY] = self.cache.move_duty
        c[layout.C_EMULATED_TAX] = self.devices.emulated_core_s_per_byte
        c[layout.C_PASSTHROUGH_TAX] = self.devices.passthrough_core_s_per_byte
        c[layout.C_EMULATED_LIMIT] = self.devices.emulated_bytes_s
        c[layout.C_SWITCH] = self.devices.switch_s
        return c
