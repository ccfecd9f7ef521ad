"""Records and hosts for the runtime's tests; everything here runs in the thin environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gymbal_runtime.bundle import Bundle, read_bundle
from gymbal_runtime.command import Command
from gymbal_runtime.controller import Controller, Mode
from gymbal_runtime.decision import DecisionLog
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.telemetry import NUM_LLC_POINTS, PER_HOST_FIELDS, Telemetry, empty_telemetry

FIXTURES = Path(__file__).parent / "fixtures"
GIB = 2.0**30

MakeRecord = Callable[..., Telemetry]


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture(scope="session")
def bundle_path() -> Path:
    return FIXTURES / "tiny.gymbal"


@pytest.fixture(scope="session")
def bundle(bundle_path: Path) -> Bundle:
    return read_bundle(bundle_path)


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    return plausible_record


@pytest.fixture(scope="session")
def make_whole_record() -> MakeRecord:
    return whole_record


@pytest.fixture(scope="session")
def fuzz_record() -> MakeRecord:
    return fuzzed_record


@pytest.fixture(scope="session")
def fake_host() -> type[FakeHost]:
    return FakeHost


@pytest.fixture(scope="session")
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def record(make_record):
    return make_record(np.random.default_rng(0))


@pytest.fixture
def log(tmp_path):
    return DecisionLog(tmp_path / "decisions.jsonl")


@pytest.fixture
def control(log):
    def make(host, agent, fallback=None, **options) -> Controller:
        options = {"mode": Mode.ACT, "log": log, **options}
        return Controller(host, agent, fallback or make_heuristic("meb"), **options)

    return make


class FakeHost:
    """Reports given records (or raises given exceptions) in turn and remembers what it was told."""

    def __init__(self, *records: object, names: tuple[str, ...] | None = None) -> None:
        self.name = "fake"
        self.records = list(records)
        self.commands: list[Command] = []
        self.closed = False
        self._next = 0
        first = next((r for r in records if isinstance(r, Telemetry)), None)
        self.vm_names = names or tuple(f"vm{k}" for k in range(first.num_vms if first else 1))

    def telemetry(self) -> Telemetry:
        record = self.records[min(self._next, len(self.records) - 1)]
        self._next += 1
        if isinstance(record, BaseException):
            raise record
        return record  # type: ignore[return-value]

    def apply(self, command: Command) -> None:
        self.commands.append(command)

    def close(self) -> None:
        self.closed = True


class Scripted:
    """An agent that does what it is told, exceptions included."""

    name = "scripted"

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.resets = 0

    def reset(self, num_hosts, num_vms, hosts=None) -> None:
        self.resets += 1

    def act(self, telemetry) -> Command:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


def plausible_record(
    rng: np.random.Generator, num_hosts: int = 1, num_vms: int = 6, occupied: float = 1.0
) -> Telemetry:
    """Hosts that make sense: overcommitted, some pressure, every sensor there."""
    shape = (num_hosts, num_vms)
    largest = rng.uniform(1, 8, shape) * GIB
    actual = largest * rng.uniform(0.2, 1.0, shape)
    present = rng.random(shape) < occupied
    held = np.where(present, actual, 0.0).sum(axis=1)
    return replace(
        empty_telemetry(num_hosts, num_vms),
        time_s=rng.uniform(0, 1e6, num_hosts),
        budget_bytes=np.maximum(held * rng.uniform(0.9, 1.3, num_hosts), GIB),
        swap_latency_s=rng.uniform(1e-5, 1e-2, num_hosts),
        present=present,
        shares=rng.choice([500.0, 1000.0, 2000.0], shape),
        memory_max_bytes=largest,
        memory_min_bytes=largest * rng.uniform(0.05, 0.2, shape),
        actual_bytes=actual,
        usable_bytes=actual * rng.uniform(0, 0.6, shape),
        swap_in_rate=rng.exponential(1e6, shape),
        swap_out_rate=rng.exponential(1e6, shape),
        swap_used_bytes=rng.exponential(0.1 * GIB, shape),
        major_fault_rate=rng.exponential(50, shape),
        cpu_cores=rng.uniform(0, 4, shape),
        steal_frac=rng.uniform(0, 0.2, shape),
        psi_some_frac=rng.uniform(0, 0.3, shape),
        active_bytes=actual * rng.uniform(0.1, 0.9, shape),
        lru_hit_rate=rng.exponential(1e3, (*shape, 8)),
    )


def whole_record(
    rng: np.random.Generator, num_hosts: int = 1, num_vms: int = 6, occupied: float = 1.0
) -> Telemetry:
    """Hosts that make sense and divide everything; the cache is still shared by all."""
    memory = plausible_record(rng, num_hosts, num_vms, occupied)
    shape = (num_hosts, num_vms)
    units = rng.choice([11.0, 16.0, 20.0, 64.0], num_hosts)
    cycles = rng.uniform(1e8, 6e9, shape)
    return replace(
        memory,
        host_cores=np.full(num_hosts, 16.0),
        llc_bytes=np.full(num_hosts, 3e7),
        llc_units=units,
        llc_classes=np.full(num_hosts, 16.0),
        llc_min_units=np.ones(num_hosts),
        llc_recolours=(units == 64.0).astype(float),
        bandwidth_limit_bytes_s=np.full(num_hosts, 6e10),
        passthrough_slots=rng.integers(0, num_vms + 1, num_hosts).astype(float),
        cpu_weight=memory.shares * rng.uniform(0.5, 2.0, shape),
        cpu_cap_cores=np.full(shape, np.inf),
        wakeup_delay_s=rng.exponential(0.01, shape),
        llc_class=np.zeros(shape),
        llc_units_held=np.broadcast_to(units[:, None], shape).copy(),
        llc_occupancy_bytes=rng.uniform(0, 3e7 / num_vms, shape),
        llc_reference_rate=rng.uniform(1e6, 1e8, shape),
        llc_miss_rate=rng.uniform(1e4, 1e6, shape),
        instruction_rate=cycles / rng.uniform(0.4, 3.0, shape),
        cycle_rate=cycles,
        stall_frac=rng.uniform(0.0, 0.7, shape),
        memory_bandwidth_bytes_s=rng.uniform(1e7, 5e9, shape),
        walk_frac=rng.uniform(0.0, 0.2, shape),
        io_rate_bytes_s=rng.exponential(1e8, shape),
        io_wait_frac=rng.uniform(0.0, 0.5, shape),
        device_mode=np.zeros(shape),
        monitor_level=rng.integers(0, 3, shape).astype(float),
        hint_llc_slowdown=rng.uniform(1.0, 4.0, shape),
        hint_footprint_bytes=rng.uniform(0.1, 8.0, shape) * GIB,
        llc_miss_curve=-np.sort(-rng.uniform(1e4, 1e6, (*shape, NUM_LLC_POINTS)), axis=2),
    )


def fuzzed_record(rng: np.random.Generator, num_hosts: int, num_vms: int = 6) -> Telemetry:
    """Records as broken sensors send them; about half of the hosts are still plausible."""
    record = plausible_record(rng, num_hosts, num_vms, occupied=0.8)
    evil = np.array([np.nan, -1.0, np.inf, -np.inf, 1e300, -1e300, 0.0, 5e-324, 1.0, 2.0**53])
    names = [f.name for f in fields(Telemetry) if f.name != "present"]
    broken: dict[str, np.ndarray] = {
        "present": record.present & (rng.random(num_hosts) > 0.02)[:, None]
    }
    for name in names:
        values = getattr(record, name)
        hit_host = rng.random(num_hosts) < (0.02 if name in PER_HOST_FIELDS else 0.05)
        hit = hit_host.reshape(-1, *[1] * (values.ndim - 1)) & (rng.random(values.shape) < 0.5)
        kind = rng.integers(len(evil), size=num_hosts).reshape(-1, *[1] * (values.ndim - 1))
        broken[name] = np.where(hit, evil[kind], values)
    return replace(record, **broken)
