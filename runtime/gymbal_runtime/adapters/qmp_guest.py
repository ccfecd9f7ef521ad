"""One guest behind a QMP socket: who it is, and what it says about its memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gymbal_runtime.adapters.guest_statistics import GuestSample, GuestStatistics
from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.qmp_socket import QmpSocket, Request
from gymbal_runtime.adapters.vcpu_time import VcpuTime

NOT_MEASURED = 2**64 - 1
"""What QEMU says for a statistic that the guest does not report."""
ABSENT_STATES = frozenset({"inmigrate", "postmigrate", "shutdown"})
"""States of a QEMU that runs no guest: it is still to arrive, has moved away, or has ended."""

_PERIPHERALS = ("/machine/peripheral", "/machine/peripheral-anon")
_INTERVAL, _STATISTICS = "guest-stats-polling-interval", "guest-stats"

IDENTIFY: tuple[Request, ...] = (
    ("query-uuid", None),
    ("query-memory-size-summary", None),
    ("query-cpus-fast", None),
    *(("qom-list", {"path": path}) for path in _PERIPHERALS),
)
"""What a guest is asked once per connection; `QmpGuest.introduce` takes the answers."""


@dataclass(eq=False)
class QmpGuest:
    """A guest, and what is known about it.

    Attributes:
        name: of the guest.
        qmp: its socket.
        generation: of the socket's connection on which it was identified; 0 is never.
        ceiling_bytes: memory that it was started with.
        balloon: QOM path of its balloon device; "" where it has none.
    """

    name: str
    qmp: QmpSocket
    generation: int = 0
    uuid: str = ""
    pid: int = 0
    ceiling_bytes: float = math.nan
    balloon: str = ""
    state: str = ""
    statistics: GuestStatistics = field(default_factory=GuestStatistics)
    cpu: VcpuTime | None = None

    @property
    def vm(self) -> Vm:
        """As other parts of the host know it."""
        return Vm(self.name, self.uuid, self.pid)

    @property
    def is_here(self) -> bool:
        """Whether this QEMU is known to run a guest, or to have run one when it last answered."""
        return self.generation > 0 and self.state not in ABSENT_STATES

    @property
    def is_another(self) -> bool:
        """Whether a guest answers of which it is not known who it is."""
        answers = self.state != "" and self.state not in ABSENT_STATES
        return answers and self.generation != self.qmp.generation

    def introduce(self, answers: Sequence[Any], proc: Path) -> None:
        """Take the answers to `IDENTIFY`; it is nobody where they are of no use.

        Raises:
            OSError: the first that was refused, or did not come.
            ValueError: they are not what QEMU answers.
        """
        self.generation = 0
        for answer in answers:
            if isinstance(answer, OSError):
                raise answer
        identity, memory, processors, *peripherals = answers
        try:
            uuid = str(identity["UUID"])
            self.ceiling_bytes = float(memory["base-memory"]) + memory.get("plugged-memory", 0)
            threads = [int(cpu["thread-id"]) for cpu in processors]
            self.balloon = _balloon(peripherals)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.qmp.path}: unexpected answer: {error}") from error
        self.uuid = uuid if uuid.strip("0-") else ""
        self.pid = self.qmp.peer_pid
        self.cpu = VcpuTime(self.pid, threads, proc)
        self.statistics = GuestStatistics()
        self.generation = self.qmp.generation

    def ask_interval(self) -> list[Request]:
        """Requests for the period of the guest's statistics."""
        where = {"path": self.balloon, "property": _INTERVAL}
        return [("qom-get", where)] if self.balloon else []

    def set_interval(self, seconds: int) -> Request:
        """The request that sets the period of the guest's statistics."""
        where = {"path": self.balloon, "property": _INTERVAL}
        return ("qom-set", {**where, "value": seconds})

    def ask_memory(self) -> list[Request]:
        """The requests of every reading; `memory` takes the answers."""
        if not self.balloon:
            return []
        return [
            ("query-balloon", None),
            ("qom-get", {"path": self.balloon, "property": _STATISTICS}),
        ]

    def memory(self, answers: Sequence[Any], wall_s: float, now_s: float) -> dict[str, float]:
        """What the guest holds and reports, by telemetry field; NaN where it did not answer."""
        if not self.balloon:  # it holds what it was started with, for ever
            return {"actual_bytes": self.ceiling_bytes}
        held, statistics = answers
        row = {"actual_bytes": math.nan}
        if isinstance(held, Mapping) and "actual" in held:
            row["actual_bytes"] = float(held["actual"])
        if isinstance(statistics, Mapping):
            row |= self.statistics.update(_sample(statistics), wall_s, now_s)
        return row


def sockets_by_name(
    sockets: str | Path | Mapping[str, str | Path], pattern: str
) -> dict[str, Path]:
    """Path of each guest's socket.

    Args:
        sockets: a folder, or a path for each name.
        pattern: of the file names in the folder; guests are named like them, without suffix.

    Raises:
        OSError: the folder cannot be read.
    """
    if isinstance(sockets, Mapping):
        return {name: Path(path) for name, path in sockets.items()}
    folder = Path(sockets)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder of QMP sockets")
    return {path.stem: path for path in folder.glob(pattern) if path.is_socket()}


def _balloon(peripherals: Sequence[Any]) -> str:
    for folder, devices in zip(_PERIPHERALS, peripherals, strict=True):
        for device in devices:
            if str(device["type"]).startswith("child<virtio-balloon-"):
                return f"{folder}/{device['name']}"
    return ""


def _sample(statistics: Mapping[str, Any]) -> GuestSample:
    reported = statistics.get("stats")
    values: Mapping[str, Any] = reported if isinstance(reported, Mapping) else {}

    def value(name: str) -> float:
        given = values.get(name, NOT_MEASURED)
        if not isinstance(given, int | float) or given < 0 or given == NOT_MEASURED:
            return math.nan
        return float(given)

    stamp = statistics.get("last-update", 0)
    return GuestSample(
        stamp_s=float(stamp) if isinstance(stamp, int | float) else 0.0,
        usable_bytes=value("stat-available-memory"),
        swapped_in_bytes=value("stat-swap-in"),
        swapped_out_bytes=value("stat-swap-out"),
        major_faults=value("stat-major-faults"),
    )
