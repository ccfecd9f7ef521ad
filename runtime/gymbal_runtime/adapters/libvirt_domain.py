"""One libvirt domain: its statistics, as one call gives them for all, and its scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gymbal_runtime.adapters.guest_statistics import GuestSample, GuestStatistics
from gymbal_runtime.adapters.libvirt_connection import load_binding
from gymbal_runtime.adapters.libvirt_scheduler import DomainScheduler
from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.rates import CounterRates
from gymbal_runtime.adapters.vcpu_time import steal_frac

KIB = 1024.0
_NS = 1e-9


@dataclass(eq=False)
class LibvirtDomain:
    """What is remembered of a domain between two readings.

    Attributes:
        vm: as other parts of the host know it.
        ceiling_bytes: memory that it was started with.
        num_vcpus: that are online.
        shares: its owner's weight; NaN where the daemon has none.
        scheduler: its present weight and cap.
    """

    vm: Vm
    scheduler: DomainScheduler
    ceiling_bytes: float = math.nan
    num_vcpus: float = math.nan
    shares: float = math.nan
    statistics: GuestStatistics = field(default_factory=GuestStatistics)
    cpu: CounterRates = field(default_factory=CounterRates)

    def row(self, stats: Mapping[str, Any], wall_s: float, now_s: float) -> dict[str, float]:
        """Telemetry fields of a record of ``getAllDomainStats``; what is missing is NaN.

        Args:
            stats: the record; sizes in KiB, times in ns.
            wall_s: the host's wall clock, which the guest's samples are stamped with.
            now_s: a monotonic clock.
        """

        def bytes_of(name: str) -> float:
            return _number(stats, f"balloon.{name}") * KIB

        ceiling = bytes_of("maximum")
        if ceiling > 0:
            self.ceiling_bytes = ceiling
        self.num_vcpus = float(stats.get("vcpu.current", self.num_vcpus))
        row = {"actual_bytes": bytes_of("current")}
        sample = GuestSample(
            stamp_s=max(_number(stats, "balloon.last-update"), 0.0),
            usable_bytes=bytes_of("usable"),
            swapped_in_bytes=bytes_of("swap_in"),
            swapped_out_bytes=bytes_of("swap_out"),
            major_faults=_number(stats, "balloon.major_fault"),
        )
        return row | self.statistics.update(sample, wall_s, now_s) | self._cpu(stats, now_s)

    def _cpu(self, stats: Mapping[str, Any], now_s: float) -> dict[str, float]:
        processors = range(int(stats.get("vcpu.maximum", 0)))
        ran = _total(stats, [f"vcpu.{k}.time" for k in processors])
        waited = _total(stats, [f"vcpu.{k}.delay" for k in processors])
        cores = self.cpu.rate("ran", ran * _NS, now_s)
        return {
            "cpu_cores": cores,
            "steal_frac": steal_frac(cores, self.cpu.rate("waited", waited * _NS, now_s)),
        }


def list_domains(connection: Any) -> dict[str, str]:
    """UUID by name of the domains that are here: running, or paused but not still to arrive."""
    binding = load_binding()
    arriving = (binding.VIR_DOMAIN_PAUSED_MIGRATION, binding.VIR_DOMAIN_PAUSED_STARTING_UP)
    found = {}
    for domain in connection.listAllDomains(binding.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            state, reason = domain.state()
        except binding.libvirtError:
            continue  # it has ended since
        if state != binding.VIR_DOMAIN_PAUSED or reason not in arriving:
            found[domain.name()] = domain.UUIDString()
    return found


def bulk_stats(connection: Any) -> dict[str, dict[str, Any]]:
    """Newest statistics of every domain by UUID, as far as libvirt has them at once."""
    binding = load_binding()
    wanted = binding.VIR_DOMAIN_STATS_BALLOON | binding.VIR_DOMAIN_STATS_VCPU
    active = binding.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    at_once = binding.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    try:
        records = connection.getAllDomainStats(wanted, active | at_once)
    except binding.libvirtError as error:
        unsupported = (binding.VIR_ERR_NO_SUPPORT, binding.VIR_ERR_INVALID_ARG)
        if error.get_error_code() not in unsupported:
            raise
        records = [(domain, {}) for domain in connection.listAllDomains()]
    found = {domain.UUIDString(): stats for domain, stats in records}
    if any("balloon.current" in stats for stats in found.values()):
        return found
    return {domain.UUIDString(): _single_stats(domain) for domain, _ in records}


def _single_stats(domain: Any) -> dict[str, Any]:
    try:
        return _as_bulk(domain.info(), domain.memoryStats())
    except load_binding().libvirtError:
        return {}


def _as_bulk(info: list[Any], memory: Mapping[str, int]) -> dict[str, Any]:
    """A record like that of ``getAllDomainStats`` for drivers that only know domains one by one.

    Args:
        info: ``virDomain.info()``: state, ceiling, memory, processors, CPU time.
        memory: ``virDomain.memoryStats()``.
    """
    names = {"usable", "swap_in", "swap_out", "major_fault"}
    stats: dict[str, Any] = {f"balloon.{name}": memory[name] for name in names & set(memory)}
    stats |= {"balloon.maximum": info[1], "balloon.current": memory.get("actual", info[2])}
    if "last_update" in memory:
        stats["balloon.last-update"] = memory["last_update"]
    return stats | {"vcpu.maximum": 1, "vcpu.0.time": info[4]}


def _number(stats: Mapping[str, Any], name: str) -> float:
    value = stats.get(name, math.nan)
    return float(value) if isinstance(value, int | float) else math.nan


def _total(stats: Mapping[str, Any], names: list[str]) -> float:
    """Sum of those that there are; NaN without any (processors may be offline)."""
    known = [_number(stats, name) for name in names if name in stats]
    return sum(known) if known else math.nan
