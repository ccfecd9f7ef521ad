"""What is fuzzed: functions of bytes that must not raise anything but what they document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.prometheus import PrometheusTelemetry
from gymbal_runtime.adapters.prometheus_source import ExpositionSource, QuerySource
from gymbal_runtime.adapters.resctrl import Resctrl
from gymbal_runtime.bundle import parse_bundle
from gymbal_runtime.bundle_file import BundleError, pack, unpack
from gymbal_runtime.command import Command
from gymbal_runtime.decision_reader import LoggedDecision
from gymbal_runtime.guard import guard
from gymbal_runtime.record import HostRecord, record_of, telemetry_of
from gymbal_runtime.slots import Slots
from gymbal_runtime.telemetry import (
    CONFIGURED_FIELDS,
    CURVE_FIELDS,
    HOST_ABILITY_FIELDS,
    MEASURED_FIELDS,
    empty_telemetry,
)

FIXTURES = Path(__file__).resolve().parents[1] / "tests/runtime/fixtures"
WEB = [Vm("web", uuid="1-2"), Vm("shop_web")]


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes:
        call: with the fuzzer's bytes.
        seeds: where the fuzzer starts from.
        words: of the format, which bytes changed at random seldom become.
    """

    call: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[str, ...] = ()


class Answering:
    """In the place of an `HttpFetcher`: gives what it was given."""

    url, path, query = "http://fuzz", "", ""

    def __init__(self) -> None:
        self.body = b""

    def get(self, path: str, query: str, accept: str) -> bytes:
        """The answer to anything."""
        return self.body


ANSWERING: Any = Answering()
PAGES = [
    PrometheusTelemetry(ExpositionSource(ANSWERING), preset)
    for preset in ("node_exporter", "kubevirt", "libvirt_inovex", "cadvisor")
]
SERVER = PrometheusTelemetry(QuerySource(ANSWERING), "kubevirt")


def read_page(data: bytes) -> None:
    ANSWERING.body = data
    for part in PAGES:
        with suppress(OSError):
            part.read(WEB)


def pages() -> Iterable[bytes]:
    return [path.read_bytes() for path in (FIXTURES / "exposition").glob("*.txt")]


def read_query(data: bytes) -> None:
    ANSWERING.body = data
    with suppress(OSError):
        SERVER.read(WEB)


def queries() -> Iterable[bytes]:
    metric = {"__name__": "kubevirt_vmi_memory_swap_in_traffic_bytes", "namespace": "shop"}
    series = {"metric": {**metric, "name": "web"}, "values": [[1.0, "1"], [2.5, "1e3"]]}
    for result in ([], [series], [series, {"metric": {}, "values": []}]):
        data = {"resultType": "matrix", "result": result}
        yield json.dumps({"status": "success", "data": data}).encode()
    yield json.dumps({"status": "error", "errorType": "bad_data", "error": "no"}).encode()


RECORDS: Any = msgspec.json.Decoder(HostRecord)
DECISIONS: Any = msgspec.json.Decoder(LoggedDecision)


def read_record(data: bytes) -> None:
    """A record as a client or a log gives it, up to the guard; or any numbers in a good one."""
    if data[:1] == b"#":
        data = _numbered(np.frombuffer(data[1 : 1 + (len(data) - 1) // 8 * 8], np.float64))
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        DECISIONS.decode(data)
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        telemetry, names = telemetry_of(RECORDS.decode(data), Slots())
        shape = telemetry.present.shape
        command, _ = guard(Command(balloon_bytes=np.full(shape, 2.0**30)), telemetry)
        assert command.balloon_bytes.shape == shape
        assert len(names) == shape[1]


def _numbered(numbers: np.ndarray[Any, Any]) -> bytes:
    """A record whose fields are these numbers in turn; what JSON cannot say is null."""
    given = iter(numbers.tolist())

    def fields(names: tuple[str, ...]) -> dict[str, Any]:
        pairs = ((name, next(given, None)) for name in names)
        curves = {name: CURVE_FIELDS.get(name) for name in names}
        return {k: [v] * curves[k] if curves[k] and v is not None else v for k, v in pairs}

    names = (*CONFIGURED_FIELDS, *MEASURED_FIELDS)
    vms = [{"name": str(k), **fields(names)} for k in range(3)]
    host = fields(("time_s", "budget_bytes", "age_s", *HOST_ABILITY_FIELDS))
    return msgspec.json.encode({**host, "vms": vms})


def records() -> Iterable[bytes]:
    yield b"#" + np.full(150, 2.0**20).tobytes()
    yield b"#" + np.linspace(-1.0, 1e300, 150).tobytes()
    telemetry = empty_telemetry(1, 2)
    telemetry.present[:] = True
    whole = msgspec.json.encode(record_of(telemetry, ("web", "db")))
    yield whole
    yield b'{"time_s":1.5,"budget_bytes":1e9,"vms":[]}'
    yield b'{"time":"","host":"h","targets":{"web":null},"record":' + whole + b"}"


class Told:  # noqa: D101
    # In the place of a resctrl tree: every file says the next piece of the fuzzer's bytes.

    def __init__(self, data: bytes) -> None:
        self.pieces = data.split(b"\0")

    def _next(self) -> str:
        return self.pieces.pop(0).decode("ascii", errors="replace") if self.pieces else ""

    def read(self, path: str) -> str:  # noqa: D102
        return self._next()

    def directories(self, path: str) -> list[str]:  # noqa: D102
        names = self._next().split("/")[:8]
        return [name for name in names if name]

    def write(self, path: str, text: str) -> None:  # noqa: D102
        self._next()

    def mkdir(self, path: str) -> None:  # noqa: D102
        if self._next() == "no":
            raise OSError(28, "no")

    rmdir = mkdir

    def threads(self, pid: int) -> set[int]:  # noqa: D102
        return {pid, pid + 1}

    @contextmanager
    def lock(self, *, exclusive: bool) -> Any:  # noqa: D102
        yield


def read_resctrl(data: bytes) -> None:
    with suppress(OSError):
        part = Resctrl(files=Told(data))
        vms = [Vm("a", pid=10), Vm("b", pid=20)]
        part.read(vms)
        part.apply(vms, {"llc_class": np.array([0.0, 1.0]), "llc_units": np.array([2.0, 3.0])})


def trees() -> Iterable[bytes]:
    allocation = [b"fffff", b"2", b"4", b"L3:0=fffff", b"L3:0=16777200"]
    monitoring = [b"llc_occupancy\nmbm_total_bytes", b"32"]
    default = [b"L3:0=fffff\n", b"m1/gymbal-10", b"10\n11\n", b"shareable"]
    group = [b"L3:0=f\n    MB:0=100", b"20\n21\n", b"", b"shareable"]
    start = [b"L3/L3_MON", *monitoring, b"info/gymbal-0/theirs", *default, *group, *group]
    yield b"\0".join([*start, *allocation] * 4)
    start = [b"L3/MB", b"info/gymbal-0", *default[:1], *default[3:], *group[:2], *group[3:]]
    yield b"\0".join([*start, *allocation[:3], b"8", *allocation[3:]] * 4)


MEMBERS = unpack((FIXTURES / "tiny.gymbal").read_bytes(), "tiny")[0]
NAMES = sorted(MEMBERS)


def load_bundle(data: bytes) -> None:
    """The whole file, or one of its members in an otherwise good file."""
    with suppress(BundleError):
        if data[:1] >= b"\x04":
            parse_bundle(data)
        elif data:
            parse_bundle(pack({**MEMBERS, NAMES[data[0]]: data[1:]}))


def bundles() -> Iterable[bytes]:
    yield (FIXTURES / "tiny.gymbal").read_bytes()
    for index, name in enumerate(NAMES):
        yield bytes([index]) + MEMBERS[name]


NUMBERS = ("0", "-1", "1e999", "9" * 30, "9" * 400, "NaN", "Inf", "1.5")
TREE_WORDS = (
    *("\0", "L3", "L3CODE/L3DATA", "L3CODE:0=f\nL3DATA:0=f", "MB", "L3:0=f;1=f", "fffff", "ffff0"),
    *("theirs", "gymbal-1", "info/gymbal-1/theirs", "exclusive", "shareable", "pseudo-locked"),
    *("Unavailable", "llc_occupancy", "mbm_total_bytes", "mon_L3_00", "no", "10", "20\n21"),
)
QUERY_WORDS = ('"metric"', '"values"', '"resultType"', '"matrix"', '"result"', '"__name__"', "[]")
RECORD_WORDS = (
    '"time_s"',
    '"budget_bytes"',
    '"vms"',
    '"name"',
    '"actual_bytes"',
    '"record"',
    "null",
)
PAGE_WORDS = (
    '{instance="web"}',
    '"',
    "\\",
    "# TYPE",
    "node_vmstat_pswpin",
    "node_cpu_seconds_total",
)

TARGETS = {
    "exposition": Target(read_page, pages, PAGE_WORDS + NUMBERS),
    "query": Target(read_query, queries, QUERY_WORDS + NUMBERS),
    "record": Target(read_record, records, RECORD_WORDS + NUMBERS),
    "resctrl": Target(read_resctrl, trees, TREE_WORDS + NUMBERS),
    "bundle": Target(load_bundle, bundles, NUMBERS),
}
