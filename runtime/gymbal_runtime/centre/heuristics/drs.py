"""VMware's Distributed Resource Scheduler with Distributed Power Management."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.desk import Desk, hosts_on
from gymbal_runtime.centre.heuristics.deviation import make_loads, open_loads
from gymbal_runtime.centre.heuristics.drs_balance import MOST_HOSTS, Balance, Prospect, even_out
from gymbal_runtime.centre.heuristics.drs_power import Band, empty_cool, is_hot, missing_mips
from gymbal_runtime.centre.heuristics.entitlement import entitlements
from gymbal_runtime.centre.heuristics.idle import cheapest_first
from gymbal_runtime.centre.heuristics.record import records_of
from gymbal_runtime.centre.heuristics.rule import SleepingRule
from gymbal_runtime.centre.telemetry import ASLEEP, SUSPENDING, WAKING, CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats


@dataclass(frozen=True, eq=False)
class Drs(SleepingRule):
    """Even out the hosts' loads by moves that pay; keep the utilisation of hosts in a band.

    DRS: a host's load is what its VMs are entitled to over what it has, less a reserve. As long as
    the standard deviation of loads calls for moves of a priority that the level admits, the move is
    made that lowers it most among those that pay: it has to bring VMs more CPU time, over an hour
    in which they first want what they want now and then all want their most, than it costs. DPM: if
    a host is above the band, sleeping hosts are woken until the mean is at the target; if none is,
    hosts whose VMs used less than the band for 40 minutes (mean + 2 standard deviations) are
    emptied onto others, as long as these stay within it. What is empty sleeps.

    Source: Gulati et al., "VMware distributed resource management", VMware Technical Journal 1(1),
    2012, and models.md 7.4 (63 +- 18 %, 40 and 5 minutes, 6 % reserve); VMware knowledge base
    1007485 for priorities. Numbers of the cost-benefit analysis are not published: fields. Between
    more than 32 hosts moves are looked for from the 32 fullest to the 32 emptiest. Memory is a
    constraint, not a load: it is reserved, not entitled.

    Attributes:
        level: migration threshold, 1 (only the most urgent) to 5 (all), rounded.
        least_gain: 1, part of the deviation that a move has to take away (MinGoodness).
        cost_weight: of what a move costs, against what it brings; 0: it only must not harm.
        stable_s: s for which VMs are taken to want what they want now.
        horizon_s: s after which a move no longer counts.
        reserve_frac: 1, part of a host that is kept for other things.
        most_moves: in one decision.
        target: 1, utilisation that DPM aims at.
        width: 1, how far hosts may be off the target.
        off_s: s over which use is looked at before a host is emptied.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **SleepingRule.TUNABLE,
        "level": (1.0, 5.0),
        "cost_weight": (0.0, 2.0),
        "stable_s": (0.0, 3600.0),
        "target": (0.4, 0.9),
        "width": (0.05, 0.35),
        "off_s": (300.0, 3600.0),
    }
    name = "drs"

    awake_s: float = 2400.0
    level: float = 3.0
    least_gain: float = 0.0
    cost_weight: float = 1.0
    stable_s: float = 900.0
    horizon_s: float = 3600.0
    reserve_frac: float = 0.06
    most_moves: int = 48
    target: float = 0.63
    width: float = 0.18
    off_s: float = 2400.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            level=(self.level, 1.0, 5.0),
            least_gain=(self.least_gain, 0.0, 1.0),
            cost_weight=(self.cost_weight, 0.0, np.inf),
            stable_s=(self.stable_s, 0.0, np.inf),
            horizon_s=(self.horizon_s, 0.0, np.inf),
            reserve_frac=(self.reserve_frac, 0.0, 0.9),
            most_moves=(self.most_moves, 0, 2**31),
            target=(self.target, 0.01, 1.0),
            width=(self.width, 0.0, 1.0),
            off_s=(self.off_s, 0.0, np.inf),
        )

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        order = np.zeros(telemetry.num_hosts, dtype=np.int64)
        count = hosts_on(desk, order)
        if count == 0:
            return
        self._even_out(telemetry, c, desk, order, count)
        band = Band(float(self.target), float(self.width))
        if is_hot(desk, band, order, count):
            self._wake(telemetry, c, desk, missing_mips(desk, band, order, count))
        else:
            calm = _mean_and_spread(telemetry, c, records_of(self.off_s))
            room = np.zeros((2, telemetry.num_hosts))
            empty_cool(desk, band, calm, room[0], order, count, room[1])

    def _even_out(
        self, telemetry: CentreTelemetry, c: int, desk: Desk, order: NDArray[Any], count: int
    ) -> None:
        size = (1.0 - self.reserve_frac) * desk.hosts.capacity_mips
        weight = np.where(telemetry.present[c], telemetry.shares[c] * desk.guests.mips, 0.0)
        there = float(size[order[:count]].sum())
        loads = make_loads([entitlements(desk.guests.requested_mips, weight, there)], [size], [1.0])
        if open_loads(desk, loads) < 2:
            return
        worst = _most(telemetry, c)
        placed = desk.place >= 0
        of_host = np.zeros(telemetry.num_hosts)
        np.add.at(of_host, desk.place[placed], worst[placed])
        memory = np.where(telemetry.present[c], telemetry.vm_memory_bytes[c], 0.0)
        prospect = Prospect(worst, of_host, telemetry.nic_bytes_s[c], memory)
        rules = Balance(
            round(self.level), float(self.least_gain), float(self.cost_weight),
            float(self.stable_s), float(self.horizon_s), int(self.most_moves),
        )  # fmt: skip
        ends = np.zeros((2, MOST_HOSTS), dtype=np.int64)
        even_out(desk, loads, prospect, rules, count, order, ends)

    def _wake(self, telemetry: CentreTelemetry, c: int, desk: Desk, missing: float) -> None:
        """Wake hosts for the missing MIPS; one at least, unless one is on its way."""
        state = desk.state
        asleep = ((state == ASLEEP) | (state == SUSPENDING)) & (desk.wake == 0)
        coming = bool((state == WAKING).any() or desk.wake.any())
        rank = cheapest_first(telemetry.take_centres(np.array([c])), asleep[None])[0]
        for h in np.argsort(rank, kind="stable")[: int(asleep.sum())]:
            if missing <= 0.0 and coming:
                return
            desk.wake[h] = 1
            missing -= float(desk.hosts.capacity_mips[h])
            coming = True


def _mean_and_spread(telemetry: CentreTelemetry, c: int, records: int) -> Floats:
    """Mean + 2 standard deviations of what VMs wanted in the last records, (V,) MIPS."""
    past = telemetry.history[c, :, :records]
    known: Bools = ~np.isnan(past)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, past, 0.0).sum(axis=1) / count
    square = np.where(known, (past - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
    high = np.maximum(np.minimum(mean + 2.0 * np.sqrt(square), 1.0), 0.0)
    return np.where(telemetry.present[c], high * telemetry.vm_mips[c], 0.0)


def _most(telemetry: CentreTelemetry, c: int) -> Floats:
    """The most that VMs wanted in the records that are kept, (V,) MIPS."""
    past = telemetry.history[c]
    most = np.maximum(np.where(np.isnan(past), 0.0, past).max(axis=1), telemetry.wanted_frac[c])
    return np.where(telemetry.present[c], most * telemetry.vm_mips[c], 0.0)
