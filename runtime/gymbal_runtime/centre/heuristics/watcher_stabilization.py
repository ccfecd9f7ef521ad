"""OpenStack Watcher's ``workload_stabilization``: moves that lower the deviation of loads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.desk import Desk, holds, hosts_on, shift
from gymbal_runtime.centre.heuristics.deviation import (
    ROUNDING,
    Loads,
    deviation,
    deviation_with,
    enter_move,
    make_loads,
    open_loads,
)
from gymbal_runtime.centre.heuristics.record import MIB, mean_wanted, records_of
from gymbal_runtime.centre.heuristics.rule import CentreRule
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.machine_code import Floats, Ints, Streams, lean_kernel
from gymbal_runtime.random_numbers import uniform


@lean_kernel
def is_even(x: Loads, count: int, threshold: float, all_of_them: bool) -> bool:
    """Whether the deviation of every resource that counts (or of any) is within the threshold."""
    for k in range(x.want.shape[0]):
        if x.weight[k] == 0.0:
            continue
        mean = x.sums[k, 0] / count
        variance = max(x.sums[k, 1] / count - mean * mean, 0.0)
        within = bool(variance <= threshold * threshold)
        if within != all_of_them:
            return within
    return all_of_them


@lean_kernel
def find_cases(
    d: Desk, x: Loads, count: int, tries: int, streams: Streams, value: Floats, to: Ints
) -> None:
    """For each VM the best of the hosts that are tried, if its going there lowers the deviation.

    Args:
        d: the centre.
        x: its loads.
        count: hosts that are on.
        tries: hosts drawn for each VM; 0: all.
        streams: (1,) to draw from.
        value: (V,) set to the deviation after that move, infinite: there is none.
        to: (V,) set to where it goes.
    """
    order = d.plan.order
    hosts_on(d, order)
    now = deviation(x, count) - ROUNDING
    for v in range(value.shape[0]):
        value[v], to[v] = math.inf, -1
        source = d.place[v]
        if not d.plan.movable[v] or not d.plan.takes[source]:
            continue
        for k in range(tries if tries > 0 else count):
            host = order[int(uniform(streams, 0) * count) if tries > 0 else k]
            if host == source or not holds(d, v, host):
                continue
            after = deviation_with(x, count, v, source, host)
            if after < now and after < value[v]:
                value[v], to[v] = after, host


@lean_kernel
def play_cases(d: Desk, x: Loads, count: int, ranked: Ints, to: Ints, threshold: float) -> None:
    """Make the moves of the ``ranked`` VMs that still lower the deviation, until loads are even."""
    lowest = deviation(x, count) - ROUNDING
    for i in range(ranked.shape[0]):
        v = ranked[i]
        source, host = int(d.place[v]), int(to[v])
        after = deviation_with(x, count, v, source, host)
        if after < lowest and holds(d, v, host):
            enter_move(x, v, source, host)
            shift(d, v, host)
            lowest = after - ROUNDING
        if is_even(x, count, threshold, False):
            return


@dataclass(frozen=True, eq=False)
class WorkloadStabilization(CentreRule):
    """When loads deviate too much, VMs go to random hosts if that makes loads more even.

    For each VM one host is drawn (or several, or all are tried). The moves that would lower the
    standard deviation of the hosts' loads are made, best first, as far as they still do after those
    before, until the deviation is within the threshold. No host sleeps or wakes for it.

    Source: strategy ``workload_stabilization`` of OpenStack Watcher (host_choice "retry" or
    "fullsearch") and its defaults: CPU alone, 0.1, one host. Chance comes from the clock of the
    record. Its rule that a single resource within the threshold is enough is kept.

    Attributes:
        threshold: 1, standard deviation of utilisation.
        retry_count: hosts that are tried for each VM, rounded; 0: all.
        cpu_weight: of the deviation of CPU.
        memory_weight: of that of reserved memory; 0: it is not looked at.
        period_s: s over which CPU use is averaged (Watcher: 720 for VMs, 600 for hosts).
        seed: of the draws.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CentreRule.TUNABLE,
        "threshold": (0.01, 0.3),
        "retry_count": (1.0, 16.0),
        "memory_weight": (0.0, 1.0),
        "period_s": (300.0, 3600.0),
    }
    name = "workload_stabilization"

    threshold: float = 0.1
    retry_count: float = 1.0
    cpu_weight: float = 1.0
    memory_weight: float = 0.0
    period_s: float = 600.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            threshold=(self.threshold, 0.0, 1.0),
            retry_count=(self.retry_count, 0.0, 1e6),
            cpu_weight=(self.cpu_weight, 0.0, 1.0),
            memory_weight=(self.memory_weight, 0.0, 1.0),
            period_s=(self.period_s, 0.0, np.inf),
            seed=(self.seed, 0, 2**31),
        )

    def _wanted(self, telemetry: CentreTelemetry) -> Floats:
        return mean_wanted(telemetry, records_of(self.period_s))

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        loads = make_loads(
            [desk.guests.requested_mips, desk.guests.ram_mb],
            [desk.hosts.capacity_mips, telemetry.memory_bytes[c] / MIB],
            [self.cpu_weight, self.memory_weight],
        )
        count = open_loads(desk, loads)
        if count < 2 or is_even(loads, count, self.threshold, True):
            return
        value, to = np.zeros(desk.place.shape), np.zeros(desk.place.shape, dtype=np.int64)
        stream = np.array([self.seed + int(telemetry.time_s[c])], dtype=np.uint64)
        find_cases(desk, loads, count, round(self.retry_count), stream, value, to)
        ranked = np.argsort(value, kind="stable")[: int(np.isfinite(value).sum())]
        play_cases(desk, loads, count, ranked, to, self.threshold)
