"""QEMU guests through their own monitor sockets (QMP), without any management layer.

A guest is served by one socket; a monitor has one client at a time, so the controller wants one of
its own (``-qmp unix:/run/qemu/NAME.qmp,server=on,wait=off``), beside the one of whoever starts VMs.
"""

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
from gymbal_runtime.adapters.cgroup import CpuGroups
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.guest_statistics import MEASURES
from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.qmp_guest import IDENTIFY, QmpGuest, sockets_by_name
from gymbal_runtime.adapters.qmp_socket import QmpSocket, Request, exchange
from gymbal_runtime.sizes import parse_size

Floats = NDArray[np.float64]

_LOG = logging.getLogger(__name__)

_CONFIGURED = ("shares", "memory_max_bytes", "memory_min_bytes")
_GROUP = ("cpu_weight", "cpu_cap_cores")  # of a guest's control group, where it has its own
_ROWS = (*_CONFIGURED, "actual_bytes", *MEASURES, "cpu_cores", "steal_frac", *_GROUP)


class QmpHypervisor:
    """The guests behind a set of QMP sockets.

    A socket that does not answer within ``timeout_s`` costs only its own row (NaN but for the
    configured values); it is asked again at the next reading. A guest whose socket is gone, that
    has moved away, or that is still to arrive is no VM of this host.

    Args:
        sockets: a folder, in which every socket that fits ``pattern`` is a guest named like it; or
            a path for each name.
        pattern: of the sockets' file names in the folder.
        floor_frac: see `BalloonLimits`.
        floors: see `BalloonLimits`.
        shares: weight of each guest as its owner means it, by name; others have 1.
        timeout_s: for all guests together to answer one round of questions.
        stats_period_s: period of the guests' statistics, where none or a longer one is set.
        proc: where the proc file system is mounted.
        cgroups: where control groups (v2) are mounted.

    Attributes:
        obeys: balloons; CPU weights and caps only where some guest's control group is ours to
            write.

    Raises:
        OSError: the folder of sockets cannot be read.
        ValueError: a limit or a share makes no sense.
    """

    name = "qmp"
    measures = frozenset({*_ROWS, "host_cores", "age_s"} - {*_GROUP})

    def __init__(
        self,
        sockets: str | Path | Mapping[str, str | Path],
        *,
        pattern: str = "*.qmp",
        floor_frac: float = 0.25,
        floors: Mapping[str, float | str] | None = None,
        shares: Mapping[str, float] | None = None,
        timeout_s: float = 1.0,
        stats_period_s: int = 1,
        proc: str | Path = "/proc",
        cgroups: str | Path = "/sys/fs/cgroup",
    ) -> None:
        self.obeys = frozenset({"balloon_bytes"})
        self._sockets = sockets
        self._pattern = pattern
        self._limits = BalloonLimits(floor_frac, floors or {})
        self._shares = dict(shares or {})
        if not all(0 < share < math.inf for share in self._shares.values()):
            raise ValueError(f"shares must be positive numbers, got {self._shares}")
        self._timeout_s = timeout_s
        self._stats_period_s = stats_period_s
        self._proc = Path(proc)
        self._groups = CpuGroups(Path(cgroups), self._proc)
        self._guests: dict[str, QmpGuest] = {}
        self._silent: dict[str, str] = {}  # what is wrong with a guest, as last logged
        self.vms()  # what it obeys depends on the guests that there are

    def vms(self) -> list[Vm]:
        """Guests that run here, by name; one that hangs counts if it was known before.

        Raises:
            OSError: the folder of sockets cannot be read.
        """
        self._follow_sockets()
        guests = list(self._guests.values())
        answers = exchange(
            {guest.qmp: [("query-status", None)] for guest in guests}, self._timeout_s
        )
        for guest in guests:
            self._settle(guest, answers[guest.qmp][0])
        self._identify([guest for guest in guests if guest.is_another])
        return [guest.vm for _, guest in sorted(self._guests.items()) if guest.is_here]

    def read(self, vms: Sequence[Vm]) -> dict[str, Floats | float]:
        """Memory, swap traffic and CPU time of each; see `measures`."""
        rows = {name: np.full(len(vms), np.nan) for name in _ROWS}
        guests = [self._guests.get(vm.name) for vm in vms]
        asked = {guest.qmp: guest.ask_memory() for guest in guests if guest is not None}
        answers = exchange(asked, self._timeout_s)
        wall_s, now_s = time.time(), time.monotonic()
        ages = [0.0]
        for row, guest in enumerate(guests):
            if guest is None or not guest.is_here:
                continue
            values = self._configured(guest) | guest.memory(answers[guest.qmp], wall_s, now_s)
            if not math.isnan(values["actual_bytes"]):
                values["cpu_weight"] = self._groups.weight(guest.pid)
                values["cpu_cap_cores"] = self._groups.cap_cores(guest.pid)
                if guest.cpu is not None:
                    values["cpu_cores"], values["steal_frac"] = guest.cpu.read(now_s)
                if not math.isnan(values.get("usable_bytes", math.nan)):
                    ages.append(guest.statistics.age_s)
            for name, value in values.items():
                rows[name][row] = value
        return {**rows, "host_cores": float(os.cpu_count() or 1), "age_s": max(ages)}

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, Floats]) -> None:
        """Set balloon targets, CPU weights and caps; a balloon then moves at its own pace.

        Raises:
            OSError: naming each guest and setting that failed, after all were tried.
        """
        failed: list[str] = []
        asked: dict[QmpSocket, list[Request]] = {}
        names: dict[QmpSocket, str] = {}
        nothing = np.full(len(vms), np.nan)
        for vm, wanted in zip(vms, settings.get("balloon_bytes", nothing), strict=True):
            if np.isnan(wanted):
                continue
            guest = self._guests.get(vm.name)
            if guest is None or not guest.is_here:
                failed.append(f"{vm.name}: balloon_bytes: it is gone")
            elif not guest.balloon:
                failed.append(f"{vm.name}: balloon_bytes: it has no balloon device")
            else:
                target = self._limits.target_bytes(vm.name, float(wanted), guest.ceiling_bytes)
                asked[guest.qmp] = [("balloon", {"value": target})]
                names[guest.qmp] = vm.name
        for qmp, (answer,) in exchange(asked, self._timeout_s).items():
            if isinstance(answer, OSError):
                failed.append(f"{names[qmp]}: balloon_bytes: {answer}")
        for field in _GROUP:
            for vm, value in zip(vms, settings.get(field, nothing), strict=True):
                try:
                    if not np.isnan(value):
                        self._groups.write(vm.pid, field, float(value))
                except OSError as error:
                    failed.append(f"{vm.name}: {field}: {error}")
        if failed:
            raise OSError("; ".join(failed))

    def close(self) -> None:
        """Hang up on all guests. Their balloons stay where they were told to be."""
        for guest in self._guests.values():
            guest.qmp.close()

    def _follow_sockets(self) -> None:
        """Make `_guests` those that there are sockets for."""
        paths = sockets_by_name(self._sockets, self._pattern)
        for name in set(self._guests) - set(paths):
            self._guests.pop(name).qmp.close()
        for name in set(paths) - set(self._guests):
            self._guests[name] = QmpGuest(name, QmpSocket(paths[name], self._timeout_s))

    def _settle(self, guest: QmpGuest, status: Any) -> None:
        if isinstance(status, TimeoutError):
            self._note(
                guest, f"no answer in {self._timeout_s:g} s; has its monitor another client?"
            )
        elif isinstance(status, OSError):
            self._note(guest, str(status))
            guest.generation, guest.state = 0, ""  # whoever answers next may be another
        else:
            self._note(guest, "")
            guest.state = str(status.get("status", "")) if isinstance(status, Mapping) else ""

    def _identify(self, newcomers: list[QmpGuest]) -> None:
        """Learn who answers on these sockets, and make them report statistics."""
        answers = exchange({guest.qmp: IDENTIFY for guest in newcomers}, self._timeout_s)
        for guest in newcomers:
            try:
                guest.introduce(answers[guest.qmp], self._proc)
            except (OSError, ValueError) as error:
                self._note(guest, str(error))
        asked = {g.qmp: g.ask_interval() for g in newcomers if g.generation}
        periods = exchange(asked, self._timeout_s)
        unset = {
            guest.qmp: [guest.set_interval(self._stats_period_s)]
            for guest in newcomers
            if guest.balloon and not self._is_frequent(periods.get(guest.qmp, [None])[0])
        }
        self.obeys = self.obeys.union(*(self._groups.writable(guest.pid) for guest in newcomers))
        for qmp, (answer,) in exchange(unset, self._timeout_s).items():
            if isinstance(answer, OSError):
                _LOG.warning("%s: no guest statistics: %s", qmp.path, answer)

    def _is_frequent(self, period_s: Any) -> bool:
        return isinstance(period_s, int) and 0 < period_s <= self._stats_period_s

    def _configured(self, guest: QmpGuest) -> dict[str, float]:
        ceiling = guest.ceiling_bytes
        floor = self._limits.floor_bytes(guest.name, ceiling) if guest.balloon else ceiling
        return {
            "shares": self._shares.get(guest.name, 1.0),
            "memory_max_bytes": ceiling,
            "memory_min_bytes": floor,
        }

    def _note(self, guest: QmpGuest, trouble: str) -> None:
        """Log what is wrong with a guest when that changes."""
        if self._silent.get(guest.name, "") != trouble:
            self._silent[guest.name] = trouble
            _LOG.warning("guest %s: %s", guest.name, trouble or "answers again")


def open_host(
    sockets: str = "/run/qemu",
    budget: str = "",
    name: str = "",
    pattern: str = "*.qmp",
    floor_frac: str = "0.25",
) -> CombinedHost:
    """The guests of a folder of QMP sockets as a host, for ``gymbal-control run --host qmp``.

    Args:
        sockets: the folder.
        budget: memory that may be divided between them, such as ``64GiB``.
        name: of the host, for logs; default: this machine's.
        pattern: of the sockets' file names.
        floor_frac: least memory of a guest, as a fraction of what it was started with.

    Raises:
        ValueError: the budget is missing, or an option is no number.
        OSError: there is no such folder.
    """
    if not budget:
        raise ValueError("budget is missing: how much memory may the guests share, such as 64GiB?")
    hypervisor = QmpHypervisor(sockets, pattern=pattern, floor_frac=float(floor_frac))
    return CombinedHost(
        hypervisor, name=name or socket.gethostname(), budget_bytes=parse_size(budget)
    )
