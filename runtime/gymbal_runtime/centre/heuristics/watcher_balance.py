"""OpenStack Watcher's ``workload_balance``: one VM leaves the fullest host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.desk import Desk, holds, hosts_on, shift, sort_hosts
from gymbal_runtime.centre.heuristics.record import mean_wanted, records_of
from gymbal_runtime.centre.heuristics.rule import CentreRule
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.machine_code import Floats, lean_kernel


@lean_kernel
def move_nearest(d: Desk, threshold: float) -> None:
    """Move the one VM whose going brings an overloaded host nearest to the mean from above."""
    order, books = d.plan.order, d.books
    count = hosts_on(d, order)
    mean = 0.0
    for i in range(count):
        mean += books.requested_mips[order[i]] / count
    sort_hosts(order, count, d.utilisation, True)
    for i in range(count):
        source = order[i]
        if d.utilisation[source] < threshold:
            return
        chosen, least = -1, math.inf
        for k in range(books.num_vms[source]):
            vm = books.vms[source, k]
            over = books.requested_mips[source] - mean - d.guests.requested_mips[vm]
            if d.plan.movable[vm] and 0.0 <= over < least:
                chosen, least = vm, over
        if chosen >= 0:
            _send(d, chosen, i, count, threshold)
            return


@lean_kernel
def _send(d: Desk, vm: int, after: int, count: int, threshold: float) -> None:
    """Move a VM to the least utilised of the hosts behind place ``after`` that is none too full."""
    for k in range(count - 1, after, -1):
        host = d.plan.order[k]
        load = d.books.requested_mips[host] + d.guests.requested_mips[vm]
        if load < threshold * d.hosts.capacity_mips[host] and holds(d, vm, host):
            shift(d, vm, host)
            return


@dataclass(frozen=True, eq=False)
class WorkloadBalance(CentreRule):
    """One VM per decision leaves the fullest host that is above a threshold.

    Of that host's VMs the one that leaves it nearest to, and not below, the mean load of all hosts;
    it goes to the least utilised host that stays below the threshold. No host sleeps or wakes for
    it.

    Source: strategy ``workload_balance`` of OpenStack Watcher, with its defaults. Loads are MIPS
    where Watcher has cores: hosts need not be equal. vCPUs are not counted, since CPU time is
    shared.

    Attributes:
        threshold: 1, utilisation.
        period_s: s over which CPU use is averaged.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CentreRule.TUNABLE,
        "threshold": (0.1, 1.0),
        "period_s": (300.0, 3600.0),
    }
    name = "workload_balance"

    threshold: float = 0.25
    period_s: float = 300.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            threshold=(self.threshold, 0.0, 1.0),
            period_s=(self.period_s, 0.0, np.inf),
        )

    def _wanted(self, telemetry: CentreTelemetry) -> Floats:
        return mean_wanted(telemetry, records_of(self.period_s))

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        move_nearest(desk, self.threshold)
