"""Proxmox VE automatic ballooning: hold host usage at a target, by shares, in small steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import MIB, actual_bytes, bounds, known, shares
from gymbal_runtime.heuristics.split import host_sum, water_fill
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Proxmox(PeriodicHeuristic):
    """Move host usage towards 80 % by growing pressed guests or shrinking comfortable ones.

    The goal is what must be given or taken to reach the target. What a group of guests holds above
    its floors, plus the goal, is split between them by shares; each moves towards its part by at
    most 100 MiB a round. To grow, only guests under pressure are considered (usable memory at most
    a quarter of their floor); to shrink, only the others; and all of them where that gives no
    progress.

    Source: Proxmox VE, pve-manager PVE/AutoBalloon.pm and the ``ballooning-target`` node option
    (rule described, no code taken); period from the status daemon.

    Attributes:
        target_frac: 1, part of the budget that guests should hold.
        max_change_bytes: bytes, largest change of a guest in a round.
        least_goal_bytes: bytes, smallest goal that is acted upon.
        pressure_frac: 1, usable memory as a fraction of the floor at which a guest is pressed.
        period_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "target_frac": (0.6, 1.0),
        "max_change_bytes": (10 * MIB, 4096 * MIB),
        "pressure_frac": (0.05, 1.0),
    }
    name = "proxmox"

    target_frac: float = 0.8
    max_change_bytes: float = 100 * MIB
    least_goal_bytes: float = 10 * MIB
    pressure_frac: float = 0.25
    period_s: float = 10.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            target_frac=(self.target_frac, 0.0, 1.0),
            max_change_bytes=(self.max_change_bytes, 0.0, np.inf),
            least_goal_bytes=(self.least_goal_bytes, 0.0, np.inf),
            pressure_frac=(self.pressure_frac, 0.0, np.inf),
        )

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, _ = bounds(telemetry)
        present, actual = telemetry.present, actual_bytes(telemetry)
        goal = self.target_frac * telemetry.budget_bytes - host_sum(actual, present)
        # A guest that reports nothing counts as pressed: it is the last to be taken from.
        usable = known(telemetry.usable_bytes, 0.0, present)
        comfortable = present & (usable > self.pressure_frac * low) & (actual >= low)
        preferred = np.where((goal > 0.0)[:, None], present & ~comfortable, comfortable)
        change = self._change(telemetry, goal, preferred)
        stuck = host_sum(change, present) * np.sign(goal) <= 0.0
        if stuck.any():
            change = np.where(stuck[:, None], self._change(telemetry, goal, present), change)
        acts = np.abs(goal) > self.least_goal_bytes
        return actual + np.where(acts[:, None], change, 0.0)

    def _change(self, telemetry: Telemetry, goal: Floats, group: Bools) -> Floats:
        """Bytes (H, V) by which the guests of a group change in this round, 0 for the others."""
        low, high = bounds(telemetry)
        actual = actual_bytes(telemetry)
        held = np.maximum(actual - low, 0.0)
        pool = np.maximum(host_sum(held, group) + goal, 0.0)
        # When shrinking, a guest that holds less than its part keeps what it holds.
        room = np.where((goal > 0.0)[:, None], high - low, held)
        part = water_fill(shares(telemetry), np.zeros_like(room), room, pool, group)
        limit = self.max_change_bytes
        return np.where(group, np.clip(low + part - actual, -limit, limit), 0.0)
