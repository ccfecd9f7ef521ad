"""Dynamic consolidation after Beloglazov and Buyya, by the very rules of the CloudSim mode."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.corrections import Corrections
from gymbal_runtime.centre.heuristics.desk import Desk
from gymbal_runtime.centre.heuristics.hosting import help_stranded
from gymbal_runtime.centre.heuristics.rule import SleepingRule
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.rules.consolidation import plan_migrations
from gymbal_runtime.centre.rules.detection import IQR, LR, MAD, THR, Rule
from gymbal_runtime.centre.rules.selection import SELECTORS
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.machine_code import Streams, lean_kernel

Selector = Literal["mmt", "mu", "rs", "mc"]
COPY_SHARE = 0.5
"""Part of a port that a migration gets (CCPE 2012, section 7.1: half of the bandwidth)."""


@lean_kernel
def consolidate(d: Desk, rule: Rule, streams: Streams) -> None:
    """Plan a round, and tell every VM that it moves where it ends up; wake hosts for the rest."""
    plan = d.plan
    for h in range(d.state.shape[0]):
        if d.books.num_vms[h] == 0:
            plan.takes[h] = 0  # it could sleep: others come first
    plan_migrations(rule, d.utilisation, d.hosts, d.guests, d.books, plan, streams)
    for i in range(plan.num_moves[0]):
        # A VM that the plan moves on goes there directly: the later move counts.
        d.place[plan.vm[i]] = d.target[plan.vm[i]] = plan.host[i]
    help_stranded(d, rule)


@dataclass(frozen=True, eq=False)
class CloudSimRule(SleepingRule):
    """Relieve overloaded hosts, then empty the least utilised, as long as their VMs fit elsewhere.

    Which host is overloaded subclasses say. Victims leave it until it is not, by default those with
    least memory first; they go, largest demand first, where power rises least (PABFD). Then each
    host that is not overloaded, least utilised first, is emptied if all its VMs fit on the others.
    What is empty sleeps. Detectors see the last 12 records of the VMs that a host has now.

    Source: Beloglazov and Buyya, CCPE 24(13), 2012, algorithms 1 and 2, with what CloudSim 3.0.3
    does where they are silent (`gymbal_runtime.centre.rules`). Different from there, because here
    it is not free: memory counts, a VM in transit stays where it goes, only hosts that are on and
    have VMs take more; if a victim finds none, an empty one stays on for it, or the sleeping one
    that would draw least is woken, and the victim moves by a later decision. CloudSim remembers 30
    samples, a record has 12.

    Attributes:
        selector: who leaves an overloaded host: ``mmt`` least memory, ``mu`` least utilisation,
            ``rs`` any, ``mc`` highest correlation with the others (CCPE 2012, section 6).
        parameter: of the detector.
        fill_frac: VMs are moved to a host up to this part of the detector's threshold; 1 as
            published. Below, what was just filled is not overloaded by the next rise.
        seed: of random selection (rs).
    """

    # To wait (dwell_s, awake_s, patience) or to keep hosts in reserve only ever cost on training
    # scenarios, and what is about arrivals does nothing here: a search does better without them.
    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {"fill_frac": (0.6, 1.0)}
    DETECTOR: ClassVar[int] = THR

    selector: Selector = "mmt"
    parameter: float = 0.8
    fill_frac: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        if self.selector.upper() not in SELECTORS:
            known = ", ".join(SELECTORS).lower()
            raise ValueError(f"{self.name}: selector must be one of {known}")
        check_range(
            self.name,
            parameter=(self.parameter, 0.0, 100.0),
            fill_frac=(self.fill_frac, 0.1, 2.0),
            seed=(self.seed, 0, 2**31),
        )

    def act(self, telemetry: CentreTelemetry) -> CentreOrders:
        """Decide for every centre of the record; every order is legal."""
        return self.act_corrected(telemetry, Corrections.none(*telemetry.exists.shape))

    def act_corrected(self, telemetry: CentreTelemetry, corrections: Corrections) -> CentreOrders:
        """Decide with other thresholds and another order of hosts; every order is legal."""
        filled = replace(corrections, fill=self.fill_frac * corrections.fill)
        return self._orders(telemetry, filled)

    def _decide(self, telemetry: CentreTelemetry, c: int, desk: Desk) -> None:
        # From the clock and not from the last draw: a centre's orders depend on its record alone.
        stream = np.array([self.seed + int(telemetry.time_s[c])], dtype=np.uint64)
        consolidate(desk, self._rule(telemetry, c), stream)

    def _rule(self, telemetry: CentreTelemetry, c: int) -> Rule:
        largest = float(np.max(telemetry.vm_memory_bytes[c], where=telemetry.present[c], initial=0))
        ports = telemetry.nic_bytes_s[c]
        slowest = float(np.min(ports, where=telemetry.exists[c], initial=np.inf))
        longest_s = largest / (COPY_SHARE * slowest)
        horizon = max(math.ceil(longest_s / float(telemetry.interval_s[c])), 1)
        parameter = float(self.parameter)
        return Rule(self.DETECTOR, parameter, SELECTORS[self.selector.upper()], float(horizon))


@dataclass(frozen=True, eq=False)
class ThrMmt(CloudSimRule):
    """A host is overloaded above a fixed utilisation.

    Source: Beloglazov and Buyya, CCPE 2012, section 5; default of CloudSim's example.

    Attributes:
        parameter: the utilisation.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CloudSimRule.TUNABLE,
        "parameter": (0.5, 1.0),
    }
    name = "thr_mmt"


@dataclass(frozen=True, eq=False)
class IqrMmt(CloudSimRule):
    """A host is overloaded above 1 - parameter x the interquartile range of its past utilisation.

    Source: Beloglazov and Buyya, CCPE 2012, section 5.2; default of CloudSim's example.

    Attributes:
        parameter: weight of the spread.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CloudSimRule.TUNABLE,
        "parameter": (0.0, 4.0),
    }
    DETECTOR: ClassVar[int] = IQR
    name = "iqr_mmt"

    parameter: float = 1.5


@dataclass(frozen=True, eq=False)
class MadMmt(CloudSimRule):
    """A host is overloaded above 1 - parameter x the median absolute deviation of its past.

    Source: Beloglazov and Buyya, CCPE 2012, section 5.1; default of CloudSim's example.

    Attributes:
        parameter: weight of the deviation.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CloudSimRule.TUNABLE,
        "parameter": (0.0, 6.0),
    }
    DETECTOR: ClassVar[int] = MAD
    name = "mad_mmt"

    parameter: float = 2.5


@dataclass(frozen=True, eq=False)
class LrMmt(CloudSimRule):
    """A host is overloaded if parameter x a line through its last ten records reaches 1.

    At the time when a migration that starts now has ended. CloudSim's "robust" variant (LRR) gives
    the same (`gymbal_runtime.centre.rules.detection`).

    Source: Beloglazov and Buyya, CCPE 2012, section 5.3; default of CloudSim's example.

    Attributes:
        parameter: safety.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **CloudSimRule.TUNABLE,
        "parameter": (0.8, 2.0),
    }
    DETECTOR: ClassVar[int] = LR
    name = "lr_mmt"

    parameter: float = 1.2
