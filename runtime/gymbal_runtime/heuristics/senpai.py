"""Senpai: squeeze gently until memory pressure shows, back off when it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import PeriodicHeuristic, check_range
from gymbal_runtime.heuristics.readings import actual_bytes, bounds, known
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

_LEAST_STALL_S = 1e-6
"""The original counts stalls in whole microseconds, and none as one."""


@dataclass(frozen=True, eq=False)
class Senpai(PeriodicHeuristic):
    """Integral control of each VM's memory by its pressure stall information.

    Stalls are added up since the VM's last change. Above the target the VM grows by
    max_backoff * min(1, (excess / coeff_backoff)^2) of what it holds; if an interval passes below
    it, it shrinks by max_probe * min(1, (shortfall / coeff_probe)^2), where excess is stall over
    target and shortfall target over stall. What the probes free is what the others grow into.

    Source: facebookincubator/senpai, senpai.py (law described, no code taken), and Weiner et al.,
    "TMO: Transparent Memory Offloading in Datacenters", ASPLOS 2022. There it sets a cgroup's
    memory.high; VMs have balloons. Telemetry may come less often than once an interval: stalls are
    then scaled down to one, so that the target stays a rate.

    Attributes:
        target_stall_s: s of stall per interval that are sought.
        interval_s: s without a change after which memory is probed.
        max_probe: 1, largest relative shrinkage.
        max_backoff: 1, largest relative growth.
        coeff_probe: 1, target over stall at which shrinkage is largest.
        coeff_backoff: 1, stall over target at which growth is largest.
        period_s: s, one tick.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "target_stall_s": (0.001, 0.6),
        "max_probe": (0.001, 0.1),
        "max_backoff": (0.1, 2.0),
        "coeff_probe": (1.0, 50.0),
        "coeff_backoff": (1.0, 50.0),
    }
    name = "senpai"

    target_stall_s: float = 0.010
    interval_s: float = 6.0
    max_probe: float = 0.01
    max_backoff: float = 1.0
    coeff_probe: float = 10.0
    coeff_backoff: float = 20.0
    period_s: float = 1.0

    def __post_init__(self) -> None:
        check_range(
            self.name,
            target_stall_s=(self.target_stall_s, _LEAST_STALL_S, np.inf),
            interval_s=(self.interval_s, 0.001, np.inf),
            max_probe=(self.max_probe, 0.0, 1.0),
            max_backoff=(self.max_backoff, 0.0, np.inf),
            coeff_probe=(self.coeff_probe, 1e-3, np.inf),
            coeff_backoff=(self.coeff_backoff, 1e-3, np.inf),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shape = (num_hosts, num_vms)
        shapes = super()._state_shapes(num_hosts, num_vms)
        return {**shapes, "stalled_s": shape, "waited_s": shape}

    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        low, high = bounds(telemetry)
        actual = actual_bytes(telemetry)
        growth = self._growth(telemetry, due)
        target = np.clip((1.0 + growth) * actual, low, high)
        # Nobody else pays for a VM that backs off: it grows into what is free or was freed.
        kept = np.minimum(target, np.clip(actual, low, high))
        return project_to_budget(target, kept, high, telemetry.budget_bytes, telemetry.present)

    def _growth(self, telemetry: Telemetry, due: Bools) -> Floats:
        """Relative change (H, V) of what each VM holds, after adding this record's stalls."""
        elapsed = self._elapsed_s(telemetry.time_s)[:, None]
        stalled, waited = self._state["stalled_s"], self._state["waited_s"]
        waited_now = np.where(np.isnan(waited), 0.0, waited) + elapsed
        # Unknown pressure is pressure on target: it makes nobody grow or shrink.
        on_target = self.target_stall_s / self.interval_s
        pressure = known(telemetry.psi_some_frac, on_target, telemetry.present)
        stalled_now = np.where(np.isnan(stalled), 0.0, stalled) + pressure * elapsed
        stall = stalled_now * np.minimum(1.0, self.interval_s / waited_now)
        excess = stall / self.target_stall_s
        backoff = self.max_backoff * np.minimum(1.0, (excess / self.coeff_backoff) ** 2)
        shortfall = self.target_stall_s / np.maximum(stall, _LEAST_STALL_S)
        probe = self.max_probe * np.minimum(1.0, (shortfall / self.coeff_probe) ** 2)
        backs_off = excess > 1.0
        probes = ~backs_off & (waited_now >= self.interval_s)
        forget = backs_off | probes | ~telemetry.present
        stalled[due] = np.where(forget, np.nan, stalled_now)[due]
        waited[due] = np.where(forget, np.nan, waited_now)[due]
        unknown = np.isnan(telemetry.psi_some_frac)
        return np.where(unknown, 0.0, np.where(backs_off, backoff, np.where(probes, -probe, 0.0)))
