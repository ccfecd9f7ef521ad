"""Two strategies of OpenStack Watcher that pack VMs on fewer hosts and switch off the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.desk import Desk, holds, hosts_on, shift, sort_hosts
from gymbal_runtime.centre.heuristics.hosting import help_stranded
from gymbal_runtime.centre.heuristics.record import mean_wanted, records_of
from gymbal_runtime.centre.heuristics.rule import SleepingRule
from gymbal_runtime.centre.rules.detection import THR, Rule
from gymbal_runtime.centre.rules.selection import MMT
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.machine_code import Floats, Ints, lean_kernel


@lean_kernel
def list_by_demand(d: Desk, host: int, members: Ints) -> int:
    """List a host's VMs, least demand first; return how many there are."""
    count = int(d.books.num_vms[host])
    for i in range(count):
        vm, at = d.books.vms[host, i], i
        wanted = d.guests.requested_mips[vm]
        while at > 0 and d.guests.requested_mips[members[at - 1]] > wanted:
            members[at] = members[at - 1]
            at -= 1
        members[at] = vm
    return count


@lean_kernel
def fits(d: Desk, vm: int, host: int, coefficient: float) -> bool:
    """Whether a host has CPU within its capacity coefficient, and the memory."""
    load = d.books.requested_mips[host] + d.guests.requested_mips[vm]
    return load <= coefficient * d.hosts.capacity_mips[host] and holds(d, vm, host)


@lean_kernel
def offload(d: Desk, coefficient: float, order: Ints, count: int) -> None:
    """Move VMs off overloaded hosts, least demand first, to the busiest host that has room.

    Those that find none until their host would be relieved are noted as stranded.
    """
    members = d.plan.members
    for i in range(count - 1, -1, -1):
        source = order[i]
        most = coefficient * d.hosts.capacity_mips[source]
        stuck = 0.0
        listed = list_by_demand(d, source, members)
        for m in range(listed):
            if d.books.requested_mips[source] - stuck <= most:
                break
            vm = members[m]
            if not d.plan.movable[vm]:
                continue
            host = _busiest_with_room(d, vm, source, coefficient, order, 0, count)
            if host >= 0:
                shift(d, vm, host)
            else:
                stuck += d.guests.requested_mips[vm]
                d.plan.stranded[d.plan.num_stranded[0]] = vm
                d.plan.num_stranded[0] += 1


@lean_kernel
def consolidate(d: Desk, coefficient: float, order: Ints, count: int) -> None:
    """Move VMs of the least used hosts, largest demand first, to the busiest that has room."""
    members = d.plan.members
    for i in range(count):
        source = order[i]
        if not d.plan.gives[source]:
            continue
        for m in range(list_by_demand(d, source, members) - 1, -1, -1):
            vm = members[m]
            host = _busiest_with_room(d, vm, source, coefficient, order, i + 1, count)
            if host >= 0:
                shift(d, vm, host)


@lean_kernel
def pack(d: Desk, coefficient: float, used: Floats) -> None:
    """Offload, then consolidate; ``used`` (H,) is room. What moves twice goes directly.

    Hosts keep the order of the beginning: by the MIPS that their VMs used.
    """
    order = d.plan.order
    count = hosts_on(d, order)
    for h in range(used.shape[0]):
        used[h] = d.books.requested_mips[h]
    sort_hosts(order, count, used, False)
    offload(d, coefficient, order, count)
    consolidate(d, coefficient, order, count)


@lean_kernel
def _busiest_with_room(
    d: Desk, vm: int, source: int, coefficient: float, order: Ints, first: int, last: int
) -> int:
    """The last host of ``order[first:last]`` on which a VM fits, -1 if none."""
    for k in range(last - 1, first - 1, -1):
        if order[k] != source and fits(d, vm, order[k], coefficient):
            return int(order[k])
    return -1


@dataclass(frozen=True, eq=False)
class VmWorkloadConsolidation(SleepingRule):
    """Relieve hosts that are above their capacity, then empty the least used into the busiest.

    Hosts are taken least used first; each of their VMs, largest first, goes to the busiest host
    that has room for its mean use and its memory. A VM that moves from A to B and on to C goes to C
    at once, one that comes back stays. Empty hosts sleep.

    Source: strategy ``vm_workload_consolidation`` of OpenStack Watcher (offload, consolidate,
    optimise, disable nodes), its period of 3600 s and capacity coefficients of 1. It wakes nobody;
    here a VM that must leave an overloaded host and finds none has one woken, as with the other
    rules.

    Attributes:
        coefficient: 1, part of a host's MIPS that counts as its capacity.
        period_s: s over which CPU use is averaged.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **SleepingRule.TUNABLE,
        "coefficient": (0.5, 1.0),
        "period_s": (300.0, 3600.0),
    }
    name = "vm_workload_consolidation"

    coefficient: float = 1.0
    period_s: float = 3600.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            coefficient=(self.coefficient, 0.0, 10.0),
            period_s=(self.period_s, 0.0, np.inf),
        )

    def _wanted(self, telemetry: CentreTelemetry) -> Floats:
        return mean_wanted(telemetry, records_of(self.period_s))

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        pack(desk, self.coefficient, np.zeros(telemetry.num_hosts))
        help_stranded(desk, Rule(THR, float(self.coefficient), MMT, 1.0))
