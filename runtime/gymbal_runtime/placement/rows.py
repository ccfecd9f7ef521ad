"""Telemetry to rows: the code of the tables in `gymbal_runtime.placement.quantities`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.centre.loads import largest_per_host, per_host, ratio
from gymbal_runtime.centre.telemetry import NOWHERE, ON, WAKING, CentreTelemetry, Ints
from gymbal_runtime.parts.scales import known, log_scaled
from gymbal_runtime.placement.books import GROUPS, Books
from gymbal_runtime.placement.candidates import NUM_CANDIDATES, ask, candidates_of, place_of
from gymbal_runtime.placement.compatibility import CompatibilityTable, shipped_table
from gymbal_runtime.placement.quantities import (
    CANDIDATE_QUANTITIES,
    CENTRE_QUANTITIES,
    VM_QUANTITIES,
)
from gymbal_runtime.placement.queue import queue_of, waits
from gymbal_runtime.quantities import bounded, bounds_of
from gymbal_runtime.telemetry import Bools, Floats

VM_BOUNDS = bounds_of(VM_QUANTITIES)
CANDIDATE_BOUNDS = bounds_of(CANDIDATE_QUANTITIES)
CENTRE_BOUNDS = bounds_of(CENTRE_QUANTITIES)
GIB = 2.0**30
_MANY, _FEW = 1023.0, 63.0

Columns = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen for the M VMs at the head of the queue of C centres.

    Attributes:
        queue: (C, M) rows of VMs, NOWHERE where fewer wait.
        hosts: (C, M, K) candidates, NOWHERE where there are fewer.
        proposed: (C, M) the heuristic's choice: 0 to wait, else one more than the candidate.
    """

    queue: Ints
    hosts: Ints
    proposed: Ints

    @property
    def mask(self) -> Bools:
        """(C, M, K + 1) what may be chosen: to wait always, and hosts that are candidates."""
        wait = np.ones((*self.queue.shape, 1), dtype=np.bool_)
        return np.concatenate([wait, self.hosts != NOWHERE], axis=-1)


class Reader:
    """Goes through the queue as the heuristic does, and notes what a policy sees.

    Args:
        telemetry: of C centres.
        chosen: (C, V) what the heuristic chose for the VMs that wait.
        see: False notes the choices only, no features.
    """

    def __init__(self, telemetry: CentreTelemetry, chosen: Ints, see: bool = True) -> None:
        self.telemetry, self.see = telemetry, see
        queue = queue_of(telemetry)
        places = queue.shape[1]
        self.hosts = np.full((*queue.shape, NUM_CANDIDATES), NOWHERE, dtype=np.int64)
        self.proposed = np.zeros(queue.shape, dtype=np.int64)
        self.vms = np.zeros((*queue.shape, len(VM_QUANTITIES)))
        self.rows = np.zeros((*self.hosts.shape, len(CANDIDATE_QUANTITIES)))
        with np.errstate(all="ignore"):  # empty places may hold anything
            table: CompatibilityTable = shipped_table()
            books = Books(telemetry, table)
            self._hosts = _host_columns(books) if see else {}
            for k in range(places):
                vm = queue[:, k]
                if (vm == NOWHERE).all():
                    break
                self._look(books, vm, k, chosen)
            self.centre = _centre_row(books, self._hosts) if see else np.zeros(0)
        self.choices = Choices(queue, self.hosts, self.proposed)

    def _look(self, books: Books, vm: Ints, k: int, chosen: Ints) -> None:
        """One VM of each centre: its candidates, their rows, then it is booked as proposed."""
        there = vm != NOWHERE
        host = np.where(there, np.asarray(books.of(chosen, vm), dtype=np.int64), NOWHERE)
        asked = ask(books, vm)
        found = np.where(there[:, None], candidates_of(books, asked, host), NOWHERE)
        self.hosts[:, k], self.proposed[:, k] = found, place_of(found, host)
        if self.see:
            at, one = np.maximum(found, 0), np.arange(len(found))[:, None]
            columns = {name: values[one, at] for name, values in self._hosts.items()}
            columns |= _pair_columns(books, self._hosts, vm, one, at)
            columns["utilisation_after"] = asked.use[one, at]
            columns["suffered"], columns["caused"] = asked.suffered[one, at], asked.caused[one, at]
            lost = np.where(found != NOWHERE, asked.lost[one, at], np.inf)
            least = lost.min(axis=1, keepdims=True)
            columns["score"] = lost - least
            columns["is_proposed"] = (found == host[:, None]).astype(np.float64)
            rows = np.stack([columns[q.name] for q in CANDIDATE_QUANTITIES], axis=-1)
            self.rows[:, k] = bounded(rows, *CANDIDATE_BOUNDS) * (found != NOWHERE)[..., None]
            own = _vm_columns(books, vm) | {
                "candidates": (found != NOWHERE).mean(axis=1),
                "least_lost": least[:, 0],
                "is_put_off": (host == NOWHERE).astype(np.float64),
            }
            seen = np.stack([own[q.name] for q in VM_QUANTITIES], axis=-1)
            self.vms[:, k] = bounded(seen, *VM_BOUNDS) * there[:, None]
        books.book(vm, host)


def _vm_columns(books: Books, vm: Ints) -> Columns:
    """(C,) of each quantity of one VM."""
    t, of = books.telemetry, books.of
    mean_share = np.where(t.present, t.shares, 0.0).sum(axis=1) / np.maximum(
        t.present.sum(axis=1), 1
    )
    columns: Columns = {
        "wants": np.asarray(of(t.wanted_frac, vm)),
        "mips": np.log2(np.asarray(of(books.asks_mips, vm)) / 2000.0) / 3.0,
        "vcpus": np.asarray(of(t.vcpus, vm)) / 8.0,
        "memory": np.log2(np.asarray(of(t.vm_memory_bytes, vm)) / (2.0 * GIB)) / 3.0,
        "weight": np.log2(np.asarray(of(t.shares, vm)) / np.maximum(mean_share, 1e-12)) / 2.0,
    }
    nothing = np.zeros(len(vm))
    columns |= dict.fromkeys(
        ("io", "interactive", "is_profiled", "sensitivity", "traffic", "cache"), nothing
    )
    if t.sharing is not None:
        own = np.asarray(of(books.marks, vm)) / 3.0
        columns |= {
            "io": np.asarray(of(t.sharing.io_bytes_s, vm)) / 1e9,
            "interactive": np.asarray(of(t.sharing.wakeups, vm)),
            "is_profiled": np.asarray(of(books.profiled, vm)).astype(np.float64),
            "sensitivity": own[:, 0],
            "traffic": own[:, 1],
            "cache": own[:, 2],
        }
    return columns


def _host_columns(books: Books) -> Columns:
    """(C, H) of what counters and profiles say of the VMs that run on a host."""
    t, hosts = books.telemetry, books.telemetry.num_hosts
    place = np.where(t.present, t.host_of, NOWHERE)
    count = np.maximum(t.exists.sum(axis=1), 1)

    def against_mean(values: Floats) -> Floats:
        mean = np.where(t.exists, values, 0.0).sum(axis=1) / count
        apart: Floats = np.log2(values / mean[:, None]) / 3.0
        return apart

    worth = per_host(place, books.worth, hosts)
    used = np.maximum((worth > 0).sum(axis=1), 1)
    mean_worth = worth.sum(axis=1) / used
    columns: Columns = {
        "wake_s": np.where(t.state == ON, 0.0, t.wake_s) / t.interval_s[:, None],
        "cores": against_mean(t.cpu_mips),
        "peak_cost": against_mean(t.power_w[..., -1] / t.cpu_mips),
        "worth": worth / np.maximum(mean_worth, 1e-12)[:, None] / 4.0,
        "age": per_host(place, t.hosted_s, hosts) / np.maximum(books.vms, 1.0) / 14400.0,
    }
    nothing = np.zeros(worth.shape)
    columns |= dict.fromkeys(
        ("bandwidth", "stalled", "most_stalled", "sensitivity", "cache_wanted", "io_wanted",
         "interactive", "fetched"), nothing,
    )  # fmt: skip
    s = t.sharing
    if s is None:
        return columns
    fetched = per_host(place, known(s.fetched_bytes_s), hosts)
    wanted = books.asks_mips / np.maximum(t.vm_mips, 1e-9)
    return columns | {
        "fetched": fetched,
        "bandwidth": ratio(fetched, s.memory_bandwidth_bytes_s),
        "stalled": ratio(per_host(place, known(s.stall_frac) * books.worth, hosts), worth),
        "most_stalled": largest_per_host(place, known(s.stall_frac), hosts),
        "sensitivity": ratio(
            per_host(place, known(s.hint_slowdown - 1.0) * books.worth, hosts), worth
        ),
        "cache_wanted": ratio(per_host(place, known(s.hint_cache_bytes), hosts), s.llc_bytes),
        "io_wanted": per_host(place, s.io_bytes_s * wanted, hosts),
        "interactive": ratio(per_host(place, s.wakeups * books.worth, hosts), worth),
    }


def _pair_columns(books: Books, hosts: Columns, vm: Ints, one: Ints, at: Ints) -> Columns:
    """(C, K) of a VM on its candidates ``at``, with what was booked before."""
    t, of = books.telemetry, books.of
    group = books.group[one, at]
    memory = np.asarray(of(t.vm_memory_bytes, vm))[:, None]
    columns: Columns = {
        f"is_{name}": (group == number).astype(np.float64) for number, name in enumerate(GROUPS)
    }
    columns |= {
        "utilisation": (books.wanted_mips / np.maximum(books.capacity_mips, 1e-9))[one, at],
        "memory_after": 1.0
        - (books.free_bytes[one, at] - memory) / np.maximum(t.memory_bytes[one, at], 1.0),
        "vms": log_scaled(books.vms[one, at], 1.0, _FEW),
        "bandwidth_after": np.zeros(at.shape),
        "io_after": np.zeros(at.shape),
    }
    s = t.sharing
    if s is not None:
        fetched = per_vm_traffic(books, vm)[:, None]
        before = hosts["fetched"][one, at]
        columns["bandwidth_after"] = ratio(before + fetched, s.memory_bandwidth_bytes_s[one, at])
        wanted = np.asarray(of(s.io_bytes_s * t.wanted_frac, vm))[:, None]
        there = hosts["io_wanted"][one, at]
        columns["io_after"] = ratio(there + wanted, s.device_bytes_s[one, at])
    return columns


def per_vm_traffic(books: Books, vm: Ints) -> Floats:
    """Bytes/s that a VM would fetch when short of cache, (C,), by its static profile; else 0."""
    s = books.telemetry.sharing
    if s is None:
        return np.zeros(len(vm))
    traffic = known(np.asarray(books.of(s.hint_traffic_bytes_s, vm)))
    fetched: Floats = traffic * np.asarray(books.of(books.cores, vm))
    return fetched


def _centre_row(books: Books, hosts: Columns) -> Floats:
    """(C, J) of the centres."""
    t = books.telemetry
    number, vms = np.maximum(t.exists.sum(axis=1), 1), t.present.sum(axis=1)
    running = t.running
    total = books.asks_mips.sum(axis=1)
    memory = np.where(t.present, t.vm_memory_bytes, 0.0).sum(axis=1)
    worth = hosts["worth"]

    def part(where: Bools) -> Floats:
        fraction: Floats = (where & t.exists).sum(axis=1) / number
        return fraction

    def of_running(values: Floats) -> Floats:
        summed: Floats = np.where(running, values, 0.0).sum(axis=1)
        return summed

    s = t.sharing
    bandwidth = np.zeros(t.exists.shape) if s is None else s.memory_bandwidth_bytes_s
    llc = np.zeros(t.exists.shape) if s is None else s.llc_bytes
    columns: Columns = {
        "hosts": log_scaled(number.astype(np.float64), 1.0, _MANY),
        "vms_per_host": log_scaled(vms / number, 1.0, _FEW),
        "load": ratio(total, np.where(t.exists, t.cpu_mips, 0.0).sum(axis=1)),
        "load_on": ratio(total, of_running(t.cpu_mips), 2.0),
        "memory_on": ratio(memory, of_running(t.memory_bytes), 2.0),
        "on": part(running),
        "empty": part(running & (books.vms == 0)),
        "waking": part(t.state == WAKING),
        "waiting": log_scaled(waits(t).sum(axis=1).astype(np.float64), 1.0, _FEW),
        "stalled": ratio((hosts["stalled"] * worth).sum(axis=1), worth.sum(axis=1)),
        "bandwidth": ratio(hosts["fetched"].sum(axis=1), of_running(bandwidth)),
        "cache_wanted": ratio((hosts["cache_wanted"] * llc).sum(axis=1), of_running(llc)),
        "sleep_cost": np.where(t.exists, t.wake_s, 0.0).sum(axis=1) / number / t.interval_s,
    }
    row = np.stack([columns[q.name] for q in CENTRE_QUANTITIES], axis=-1)
    return bounded(row, *CENTRE_BOUNDS)
