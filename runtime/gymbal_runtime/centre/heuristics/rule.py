"""What the rules of consolidation have in common: reading, first hosts, and who may sleep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.agent import CentreAgent
from gymbal_runtime.centre.corrections import Corrections
from gymbal_runtime.centre.heuristics.desk import Desk, Room, make_room
from gymbal_runtime.centre.heuristics.hosting import PLACEMENTS, start_waiting
from gymbal_runtime.centre.heuristics.idle import IdleClock
from gymbal_runtime.centre.heuristics.record import Limits, Record, mean_wanted
from gymbal_runtime.centre.orders import WAKE, CentreOrders
from gymbal_runtime.centre.rules.detection import THR, Rule
from gymbal_runtime.centre.rules.selection import MMT
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, SUSPENDING, CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats

Placement = Literal["pabfd", "first_fit", "best_fit"]
Verbs = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class CentreRule(CentreAgent):
    """A rule that decides who runs where; subclasses say how (``_decide``).

    VMs without a host get their first one before anything else is decided (`hosting`). Only legal
    orders are given: targets are on and have the memory, counting what is on its way and what the
    same decision sends there; a VM gets one order, and none while it moves.

    Attributes:
        TUNABLE: parameter -> (low, high), what a tuner may vary and how far.
        placement: of VMs that have no host: least rise of power (PABFD of Beloglazov and Buyya,
            CCPE 2012), first fit or best fit.
        arrival_frac: 1, part of its MIPS that such a VM counts with at least; CloudSim counts all.
        ceiling: 1, part of a host's MIPS up to which it is filled with them (THR's 0.8).
        margin_frac: 1, part of a host's memory that moves leave free.
        dwell_s: s that a VM stays on a host before it may move again.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "arrival_frac": (0.0, 1.0),
        "ceiling": (0.5, 1.0),
        "dwell_s": (0.0, 3600.0),
    }
    name = "rule"

    placement: Placement = "pabfd"
    arrival_frac: float = 1.0
    ceiling: float = 0.8
    margin_frac: float = 0.0
    dwell_s: float = 0.0
    _rooms: dict[tuple[int, int], Room] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        if self.placement not in PLACEMENTS:
            raise ValueError(f"{self.name}: placement must be one of {', '.join(PLACEMENTS)}")
        check_range(
            self.name,
            arrival_frac=(self.arrival_frac, 0.0, 1.0),
            ceiling=(self.ceiling, 0.0, 10.0),
            margin_frac=(self.margin_frac, 0.0, 1.0),
            dwell_s=(self.dwell_s, 0.0, np.inf),
        )

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """There is nothing to forget."""

    def act(self, telemetry: CentreTelemetry) -> CentreOrders:
        """Decide for every centre of the record; every order is legal."""
        return self._orders(telemetry, Corrections.none(*telemetry.exists.shape))

    def _orders(self, telemetry: CentreTelemetry, corrections: Corrections) -> CentreOrders:
        orders = CentreOrders.none(*telemetry.shape)
        after = np.zeros(telemetry.present.shape, dtype=np.int64)
        with np.errstate(all="ignore"):  # empty places may hold anything
            record = Record(telemetry, self._wanted(telemetry), self._limits(), corrections)
            room, method = self._room(telemetry), PLACEMENTS[self.placement]
            for c in range(telemetry.num_centres):
                desk = record.desk(c, room)
                start_waiting(desk, self._start_rule, method, self.arrival_frac)
                self._decide(telemetry, c, desk)
                orders.target[c], after[c] = desk.target, desk.place
                orders.power[c][desk.wake > 0] = WAKE
            self._tell_hosts(telemetry, after, orders.power)
        corrections.heed(telemetry, orders.power)
        orders.target[orders.target == telemetry.host_of] = NOWHERE
        sleeping = (telemetry.state == ASLEEP) | (telemetry.state == SUSPENDING)
        orders.power[(orders.power == WAKE) & ~(sleeping | telemetry.draining)] = 0
        return orders

    # What rules differ in.

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        """Write to ``desk`` what shall be done in centre ``c``; here: nothing moves."""

    def _wanted(self, telemetry: CentreTelemetry) -> Floats:
        """MIPS that VMs are taken to ask for, (C, V): what they want now."""
        return mean_wanted(telemetry, 1)

    def _limits(self) -> Limits:
        return Limits(self.margin_frac, self.dwell_s, 0.0)

    def _tell_hosts(self, telemetry: CentreTelemetry, after: NDArray[Any], power: Verbs) -> None:
        """Tell hosts (C, H) to sleep or wake, given where VMs will be (C, V); here: nobody."""

    # What they have in common.

    @property
    def _start_rule(self) -> Rule:
        """When a host is too full for one more VM without a host."""
        return Rule(THR, float(self.ceiling), MMT, 1.0)

    def _room(self, telemetry: CentreTelemetry) -> Room:
        size = (telemetry.num_hosts, telemetry.num_vms)
        if size not in self._rooms:
            self._rooms.clear()
            self._rooms[size] = make_room(*size)
        return self._rooms[size]


@dataclass(frozen=True, eq=False)
class SleepingRule(CentreRule):
    """A rule whose empty hosts sleep.

    Attributes:
        spare_hosts: empty hosts that are kept on, rounded; if there are fewer, some are woken.
        awake_s: s that a host is on before it may be emptied or sleep.
        patience: a host sleeps when it was idle for this many times what waking it costs, in
            seconds of idling (`break_even_s`); 0: at once.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CentreRule.TUNABLE,
        "spare_hosts": (0.0, 4.0),
        "awake_s": (0.0, 3600.0),
        "patience": (0.0, 5.0),
    }

    spare_hosts: float = 0.0
    awake_s: float = 0.0
    patience: float = 0.0
    _idle: IdleClock = field(init=False, repr=False, default_factory=IdleClock)

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            spare_hosts=(self.spare_hosts, 0.0, np.inf),
            awake_s=(self.awake_s, 0.0, np.inf),
            patience=(self.patience, 0.0, np.inf),
        )

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget since when hosts of the marked centres are idle."""
        self._idle.forget(num_worlds, worlds)

    def _limits(self) -> Limits:
        return Limits(self.margin_frac, self.dwell_s, self.awake_s)

    def _spare(self, in_use: NDArray[np.int64]) -> NDArray[np.int64]:
        """Empty hosts to keep on, (C,), where ``in_use`` (C,) hosts are not empty."""
        return np.full(in_use.shape, round(self.spare_hosts))

    def _tell_hosts(self, telemetry: CentreTelemetry, after: NDArray[Any], power: Verbs) -> None:
        self._idle.tell(telemetry, after, power, self._spare, self.awake_s, self.patience)
