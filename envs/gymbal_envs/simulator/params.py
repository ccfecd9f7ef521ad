"""Every physical constant, with its unit and where the number comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout

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

    def __post_init__(self) -> None:
        """One sample is under way at a time."""
        if not 0 <= self.delay_s <= self.sample_s:
            raise ValueError(
                f"delay_s ({self.delay_s}) must lie between 0 and sample_s ({self.sample_s})"
            )


@dataclass(frozen=True)
class PhysicsParams:
    """All constants of the engine."""

    clock: Clock = Clock()
    memory: MemoryParams = MemoryParams()
    sensors: SensorParams = SensorParams()
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
        return c
