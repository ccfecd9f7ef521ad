"""Guests through libvirt: what ``virsh setmem``, ``domstats`` and ``schedinfo`` do."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.adapters.balloon_limits import BalloonLimits
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.guest_statistics import MEASURES
from gymbal_runtime.adapters.libvirt_connection import LibvirtConnection, LibvirtError
from gymbal_runtime.adapters.libvirt_domain import (
    KIB,
    LibvirtDomain,
    bulk_stats,
    list_domains,
)
from gymbal_runtime.adapters.libvirt_scheduler import DomainScheduler, default_shares
from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.sizes import parse_size

Floats = NDArray[np.float64]

_LOG = logging.getLogger(__name__)

_ROWS = (
    "shares", "memory_max_bytes", "memory_min_bytes", "actual_bytes",
    *MEASURES, "cpu_cores", "steal_frac", "cpu_weight", "cpu_cap_cores",
)  # fmt: skip


class LibvirtHypervisor:
    """The running domains of one libvirt daemon.

    All statistics come from one call. A domain whose QEMU hangs costs its own row: the call that
    waits for it is left behind, and libvirt is then asked for what it can tell at once.

    Args:
        uri: of the daemon; see https://libvirt.org/uri.html.
        floor_frac: see `BalloonLimits`.
        floors: see `BalloonLimits`.
        read_only: connect without the right to change anything.
        timeout_s: for each call.
        stats_period_s: period of the guests' statistics, set where we may.
        pid_folder: where the daemon keeps ``NAME.pid`` of its QEMUs; other parts of a host need it
            to find a VM's threads.
        cgroups: where control groups are mounted, to tell their version.

    Attributes:
        obeys: balloons unless ``read_only``; CPU weights and caps where the daemon lets us set
            them.

    Raises:
        ImportError: the binding is not installed.
        OSError: the daemon does not answer.
        ValueError: a limit makes no sense.
    """

    name = "libvirt"
    measures = frozenset({*_ROWS, "host_cores", "age_s"})

    def __init__(
        self,
        uri: str = "qemu:///system",
        *,
        floor_frac: float = 0.25,
        floors: Mapping[str, float | str] | None = None,
        read_only: bool = False,
        timeout_s: float = 3.0,
        stats_period_s: int = 1,
        pid_folder: str | Path = "/run/libvirt/qemu",
        cgroups: str | Path = "/sys/fs/cgroup",
    ) -> None:
        self._libvirt = LibvirtConnection(uri, read_only=read_only, timeout_s=timeout_s)
        self._limits = BalloonLimits(floor_frac, floors or {})
        self._stats_period_s = stats_period_s
        self._pid_folder = Path(pid_folder)
        self._default_shares = default_shares(Path(cgroups))
        self._domains: dict[str, LibvirtDomain] = {}
        self.obeys = frozenset[str]() if read_only else frozenset({"balloon_bytes"})
        try:
            self.vms()  # what it obeys depends on the daemon
        except OSError:
            self.close()
            raise

    def vms(self) -> list[Vm]:
        """Domains that run or are paused here, by name; not those that are still to arrive.

        Raises:
            OSError: the daemon does not answer.
        """
        named = self._libvirt.call(list_domains)
        known = {domain.vm.uuid: domain for domain in self._domains.values()}
        self._domains = {}
        for name, uuid in sorted(named.items()):
            domain = known.get(uuid)
            if domain is None or (domain.vm.name, domain.vm.pid) != (name, self._pid(name)):
                domain = self._adopted(Vm(name, uuid, self._pid(name)))
            self._domains[name] = domain
        return [domain.vm for domain in self._domains.values()]

    def read(self, vms: Sequence[Vm]) -> dict[str, Floats | float]:
        """Memory, swap traffic and CPU time of each; see `measures`.

        Raises:
            OSError: the daemon does not answer.
        """
        records = self._stats()
        wall_s, now_s = time.time(), time.monotonic()
        rows = {name: np.full(len(vms), np.nan) for name in _ROWS}
        ages = [0.0]
        for row, vm in enumerate(vms):
            domain = self._domains.get(vm.name)
            if domain is None:
                continue
            values = domain.row(records.get(vm.uuid, {}), wall_s, now_s)
            values["memory_max_bytes"] = domain.ceiling_bytes
            if not math.isnan(domain.ceiling_bytes):
                values["memory_min_bytes"] = self._limits.floor_bytes(vm.name, domain.ceiling_bytes)
            values["shares"] = domain.shares
            values["cpu_weight"] = domain.scheduler.weight
            values["cpu_cap_cores"] = domain.scheduler.cap_cores(domain.num_vcpus)
            if not math.isnan(values["usable_bytes"]):
                ages.append(domain.statistics.age_s)
            for name, value in values.items():
                rows[name][row] = value
        return {**rows, "host_cores": float(os.cpu_count() or 1), "age_s": max(ages)}

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, Floats]) -> None:
        """Set balloon targets, CPU weights and caps; a balloon then moves at its own pace.

        Raises:
            OSError: naming each domain and setting that failed, after all were tried.
        """
        failed = []
        for field_name, values in settings.items():
            for vm, value in zip(vms, values, strict=True):
                if np.isnan(value):
                    continue
                try:
                    self._set(vm, field_name, float(value))
                except OSError as error:
                    failed.append(f"{vm.name}: {field_name}: {error}")
        if failed:
            raise OSError("; ".join(failed))

    def close(self) -> None:
        """Hang up. Balloons stay where they were told to be."""
        self._libvirt.close()

    def _pid(self, name: str) -> int:
        try:
            return int((self._pid_folder / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return 0

    def _adopted(self, vm: Vm) -> LibvirtDomain:
        """A new domain, with its weight and cap; it is made to report statistics."""
        try:
            given = self._libvirt.call(
                lambda connection: _lookup(connection, vm).schedulerParameters()
            )
        except OSError:  # a session daemon has no control groups
            given = {}
        scheduler = DomainScheduler(self._default_shares, given)
        domain = LibvirtDomain(vm, scheduler, shares=scheduler.weight)
        if self._libvirt.read_only:
            return domain
        self.obeys |= scheduler.settable
        live = self._libvirt.binding.VIR_DOMAIN_AFFECT_LIVE
        try:
            self._libvirt.call(
                lambda connection: _lookup(connection, vm).setMemoryStatsPeriod(
                    self._stats_period_s, live
                )
            )
        except OSError as error:
            _LOG.warning("domain %s: no guest statistics: %s", vm.name, error)
        return domain

    def _stats(self) -> dict[str, dict[str, Any]]:
        """Newest record of each domain by UUID."""
        try:
            return self._libvirt.call(bulk_stats)
        except TimeoutError:  # a QEMU hangs; while that call waits, libvirt passes it over
            return self._libvirt.call(bulk_stats)

    def _set(self, vm: Vm, field_name: str, value: float) -> None:
        domain = self._domains.get(vm.name)
        if domain is None:
            raise LibvirtError("it is gone")
        live = self._libvirt.binding.VIR_DOMAIN_AFFECT_LIVE
        if field_name in ("cpu_weight", "cpu_cap_cores"):
            told = domain.scheduler.parameters(field_name, value, domain.num_vcpus)
            self._libvirt.call(
                lambda connection: _lookup(connection, vm).setSchedulerParametersFlags(told, live)
            )
            domain.scheduler.told(told)
            return
        if math.isnan(domain.ceiling_bytes):
            raise LibvirtError("its memory is not known yet")
        target = self._limits.target_bytes(vm.name, value, domain.ceiling_bytes)
        self._libvirt.call(
            lambda connection: _lookup(connection, vm).setMemoryFlags(int(target // KIB), live)
        )


def open_host(
    uri: str = "qemu:///system",
    budget: str = "",
    name: str = "",
    floor_frac: str = "0.25",
    read_only: str = "",
) -> CombinedHost:
    """The domains of a libvirt daemon as a host, for ``gymbal-control run --host libvirt``.

    Args:
        uri: of the daemon.
        budget: memory that may be divided between them, such as ``64GiB``.
        name: of the host, for logs; default: this machine's.
        floor_frac: least memory of a domain, as a fraction of what it was started with.
        read_only: anything but "" connects without the right to change anything.

    Raises:
        ImportError: the binding is not installed.
        ValueError: the budget is missing, or an option is no number.
        OSError: the daemon does not answer.
    """
    if not budget:
        raise ValueError("budget is missing: how much memory may the domains share, such as 64GiB?")
    hypervisor = LibvirtHypervisor(uri, floor_frac=float(floor_frac), read_only=bool(read_only))
    return CombinedHost(
        hypervisor, name=name or socket.gethostname(), budget_bytes=parse_size(budget)
    )


def _lookup(connection: Any, vm: Vm) -> Any:
    return connection.lookupByUUIDString(vm.uuid)
