"""PARTIES: one unit at a time from who has slack to who lacks it (Chen et al., ASPLOS 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.partitioning import Memory, PartitionHeuristic
from gymbal_runtime.heuristics.cache.slack import (
    critical_classes,
    latency_critical,
    least_of_class,
    slack,
)
from gymbal_runtime.heuristics.cache.way_split import class_size, equal_parts, of_class
from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

_BETTER = 0.01
"""Slack that an upsized class must have gained for the unit to have been of use."""

_MOVE = ("giver", "taker", "giver_slack", "taker_slack")


@dataclass(frozen=True, eq=False)
class Parties(PartitionHeuristic):
    """A part for each latency-critical VM, one for all others; one unit moves at a time.

    * The critical class with the least slack, if below ``slack_low``, gets one unit: from the best
      effort class, else from the critical class with the most slack if that is above
      ``slack_high``.
    * If every critical class has slack above ``slack_high``, the one with the most gives one unit
      to best effort (to the critical class with the least slack where there is none).
    * The next decision judges the move: a unit taken from a class that then falls below
      ``slack_low`` goes back, and a unit that did not raise its receiver's slack goes back, too;
      that move is not tried again for ``hold_s``.

    Source: Chen, Delimitrou and Martinez, "PARTIES: QoS-Aware Resource Partitioning for Multiple
    Interactive Services", ASPLOS 2019; constants as in models.md 8.2. Reconstructed: slack is that
    of stalls (`slack.slack`), critical are the VMs with more than the mean of shares, and the
    automaton that turns to another resource when one does not help has the cache alone, so that it
    pauses instead.

    Attributes:
        period_s: s; the original decides every 0.5 s.
        stall_target: 1, fraction of cycles waiting for memory that a critical VM may have.
        slack_low: 1, slack below which a class is upsized.
        slack_high: 1, slack above which it is downsized.
        hold_s: s for which a move that was taken back is not repeated.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "stall_target": (0.05, 0.9),
        "slack_low": (0.0, 0.3),
        "slack_high": (0.05, 0.8),
        "hold_s": (5.0, 120.0),
    }
    name = "parties"

    period_s: float = 0.5
    stall_target: float = 0.25
    slack_low: float = 0.05
    slack_high: float = 0.20
    hold_s: float = 30.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            period_s=(self.period_s, 0.0, np.inf),
            stall_target=(self.stall_target, 1e-3, 1.0),
            slack_low=(self.slack_low, 0.0, 1.0),
            slack_high=(self.slack_high, 0.0, 1.0),
            hold_s=(self.hold_s, 0.0, np.inf),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        one, each = (num_hosts,), (num_hosts, num_vms)
        moves = dict.fromkeys(_MOVE, one)
        classes = dict.fromkeys(("units", "no_give_s", "no_take_s"), each)
        return {**super()._state_shapes(num_hosts, num_vms), **moves, **classes}

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        critical = latency_critical(telemetry)
        vm_class, served = critical_classes(critical, limits.present, limits.parts)
        used = class_size(vm_class, limits.present) > 0
        spare = least_of_class(slack(telemetry, self.stall_target), vm_class, critical)
        spare = np.where(served, spare, np.inf)
        start = equal_parts(vm_class, limits)
        other = limits.present & (memory["llc_class"] != vm_class)
        for name in (*_MOVE, "units", "no_give_s", "no_take_s"):  # shares, so classes, have changed
            memory[name][other.any(axis=1)] = np.nan
        units = np.where(np.isnan(memory["units"]), start, memory["units"]).astype(np.int64)
        judged = self._take_back(units, spare, limits, telemetry.time_s, memory)
        moves, giver, taker = self._next_move(
            units, spare, served, used, limits.min_units, telemetry.time_s, memory
        )
        host = np.flatnonzero(moves & ~judged)
        units[host, giver[host]] -= 1
        units[host, taker[host]] += 1
        for name, who in (("giver", giver), ("taker", taker)):
            memory[name][host] = who[host]
            memory[f"{name}_slack"][host] = spare[host, who[host]]
        memory["units"] = units.astype(np.float64)
        return vm_class, of_class(units, vm_class, limits.present)

    def _take_back(
        self, units: Ints, spare: Floats, limits: CacheLimits, now: Floats, memory: Memory
    ) -> Bools:
        """Undo last moves that hurt or did not help, changing ``units``; hosts (H,) that did."""
        moved = np.flatnonzero(~np.isnan(memory["giver"]))
        giver, taker = (memory[name][moved].astype(np.int64) for name in ("giver", "taker"))
        given, taken = memory["giver_slack"][moved], memory["taker_slack"][moved]
        hurts = (spare[moved, giver] < self.slack_low) & (given >= self.slack_low)
        lacked = taken < self.slack_low
        useless = lacked & (spare[moved, taker] < taken + _BETTER)
        back = (hurts | useless) & (units[moved, taker] > limits.min_units[moved])
        host = moved[back]
        units[host, taker[back]] -= 1
        units[host, giver[back]] += 1
        until = now[moved] + self.hold_s
        stop, dull = back & hurts, back & useless
        memory["no_give_s"][moved[stop], giver[stop]] = until[stop]
        memory["no_take_s"][moved[dull], taker[dull]] = until[dull]
        for name in _MOVE:
            memory[name][:] = np.nan
        judged = np.zeros(units.shape[0], dtype=np.bool_)
        judged[host] = True
        return judged

    def _next_move(
        self,
        units: Ints,
        spare: Floats,
        served: Bools,
        used: Bools,
        min_units: Ints,
        now: Floats,
        memory: Memory,
    ) -> tuple[Bools, Ints, Ints]:
        """Whether a unit moves (H,), and the classes that it moves from and to, (H,) each."""
        rows = np.arange(units.shape[0])
        can_give = used & (units > min_units[:, None]) & ~(memory["no_give_s"] > now[:, None])
        may_take = served & ~(memory["no_take_s"] > now[:, None])
        known = served & np.isfinite(spare)
        needs = np.where(may_take & known, spare, np.inf)
        neediest = needs.argmin(axis=1)
        lacks = needs[rows, neediest] < self.slack_low
        others = used & ~served  # at most one class
        has_others, other = others.any(axis=1), others.argmax(axis=1)
        riches = np.where(can_give & known, spare, -np.inf)
        richest = riches.argmax(axis=1)
        rich = riches[rows, richest] > self.slack_high
        others_give = has_others & can_give[rows, other]
        content = (known | ~served).all(axis=1) & ~(np.where(known, spare, np.inf).min(axis=1)
                                                     <= self.slack_high)  # fmt: skip
        giver = np.where(lacks & others_give, other, richest)
        taker = np.where(lacks | ~has_others, neediest, other)
        moves = np.where(lacks, others_give | rich, content & rich) & (giver != taker)
        moves &= np.isfinite(needs[rows, neediest]) | (taker != neediest)
        return np.asarray(moves), giver, taker
