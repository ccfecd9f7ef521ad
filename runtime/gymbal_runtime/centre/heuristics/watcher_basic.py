"""OpenStack Watcher's ``basic``: release the least used hosts, as far as configured sizes fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.desk import Desk, holds, hosts_on, shift, sort_hosts
from gymbal_runtime.centre.heuristics.record import mean_wanted, records_of
from gymbal_runtime.centre.heuristics.rule import SleepingRule
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.machine_code import Floats, Ints, lean_kernel


@lean_kernel
def list_by_use(d: Desk, host: int, members: Ints) -> int:
    """List a host's VMs, those that use most of their own MIPS first; return how many."""
    count = int(d.books.num_vms[host])
    for i in range(count):
        vm, at = d.books.vms[host, i], i
        while at > 0 and d.guests.utilisation[members[at - 1]] < d.guests.utilisation[vm]:
            members[at] = members[at - 1]
            at -= 1
        members[at] = vm
    return count


@lean_kernel
def release(d: Desk, vcpus: Floats, most_vcpus: Floats, attempts: int) -> None:
    """Move what fits off each host, least utilised first, to the most utilised with room.

    Args:
        d: the centre.
        vcpus: (H,) room for those that VMs have.
        most_vcpus: (H,) that a host may carry.
        attempts: hosts in turn from which nothing could move, after which it ends; 0: no end.
    """
    order, members = d.plan.order, d.plan.members
    count = 0
    for i in range(hosts_on(d, order)):
        host = order[i]
        vcpus[host] = 0.0
        for k in range(d.books.num_vms[host]):
            vcpus[host] += d.guests.vcpus[d.books.vms[host, k]]
        if d.books.num_vms[host] > 0:
            order[count] = host
            count += 1
    sort_hosts(order, count, d.utilisation, True)
    failed = 0
    while count > 1 and (attempts == 0 or failed <= attempts):
        count -= 1
        source, moved = order[count], 0
        if d.plan.gives[source]:
            for m in range(list_by_use(d, source, members)):
                for k in range(count):
                    if _fits(d, members[m], order[k], vcpus, most_vcpus):
                        _go(d, members[m], source, order[k], vcpus)
                        moved += 1
                        break
        failed = 0 if moved > 0 else failed + 1


@lean_kernel
def _fits(d: Desk, vm: int, host: int, vcpus: Floats, most_vcpus: Floats) -> bool:
    return vcpus[host] + d.guests.vcpus[vm] <= most_vcpus[host] and holds(d, vm, host)


@lean_kernel
def _go(d: Desk, vm: int, source: int, host: int, vcpus: Floats) -> None:
    vcpus[source] -= d.guests.vcpus[vm]
    vcpus[host] += d.guests.vcpus[vm]
    shift(d, vm, host)


@dataclass(frozen=True, eq=False)
class BasicConsolidation(SleepingRule):
    """Release hosts, least utilised first: each VM goes to the most utilised host that takes it.

    A host takes a VM if the configured vCPUs and the memory of all its VMs fit; what they use only
    decides the order. A host may be left half empty. Empty hosts sleep.

    Source: strategy ``basic`` (server consolidation) of OpenStack Watcher, with its period of
    7200 s, of which a record has 3600, and unlimited attempts. It counts with Nova's capacity,
    which is cores times the allocation ratio, 16 by default.

    Attributes:
        vcpus_per_core: vCPUs that a host takes for each of its cores (Nova's allocation ratio).
        attempts: hosts in turn from which nothing could move, after which it ends, rounded; 0: no
            end.
        period_s: s over which CPU use is averaged.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **SleepingRule.TUNABLE,
        "vcpus_per_core": (1.0, 16.0),
        "period_s": (300.0, 3600.0),
    }
    name = "basic_consolidation"

    vcpus_per_core: float = 16.0
    attempts: float = 0.0
    period_s: float = 3600.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            vcpus_per_core=(self.vcpus_per_core, 0.0, 1e6),
            attempts=(self.attempts, 0.0, 1e6),
            period_s=(self.period_s, 0.0, np.inf),
        )

    def _wanted(self, telemetry: CentreTelemetry) -> Floats:
        return mean_wanted(telemetry, records_of(self.period_s))

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        cores = telemetry.cpu_mips[c] / np.maximum(telemetry.core_mips[c], 1e-9)
        # A core is not lost to rounding of MIPS.
        most = self.vcpus_per_core * cores * (1.0 + 1e-9)
        release(desk, np.zeros(telemetry.num_hosts), most, round(self.attempts))
