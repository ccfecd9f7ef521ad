"""Heracles: best-effort VMs get what the latency-critical ones can spare (Lo et al., ISCA 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.partitioning import Memory, PartitionHeuristic
from gymbal_runtime.heuristics.cache.slack import latency_critical, slack
from gymbal_runtime.heuristics.cache.way_split import renumber
from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class Heracles(PartitionHeuristic):
    """Two classes: the latency-critical VMs, and all others, whose part grows while slack lasts.

    Every ``poll_s`` a supervisor looks at the least slack of the critical VMs and at their load:
    negative slack switches the others off for ``cooldown_s``, load above ``load_high`` until it is
    below ``load_low``; switched off, they have the minimum. In between, their part grows by one
    unit each period while slack is at least ``slack_hold`` and memory bandwidth below its limit,
    and shrinks by one below ``slack_shrink``. A growth that took bandwidth over the limit is
    undone.

    Source: Lo, Cheng, Govindaraju, Ranganathan and Kozyrakis, "Heracles: Improving Resource
    Efficiency at Scale", ISCA 2015; constants as in models.md 8.2. Reconstructed: critical are the
    VMs with more than the mean of shares, slack is that of their stalls (`slack.slack`), load is
    the cores that they use, and removing cores has become removing units, as this rule commands the
    cache alone. Without two kinds of VMs, or two classes, all share.

    Attributes:
        period_s: s, of the sub-controller.
        poll_s: s, of the supervisor.
        cooldown_s: s without best effort after slack was negative.
        stall_target: 1, fraction of cycles waiting for memory that a critical VM may have.
        slack_hold: 1, slack below which best effort stops growing.
        slack_shrink: 1, slack below which it gives units back.
        load_high: 1, critical load (cores of the host) that switches best effort off.
        load_low: 1, and on again.
        bandwidth_frac: 1, of the peak that may be used.
        start_frac: 1, of the cache that best effort starts with.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "stall_target": (0.05, 0.9),
        "slack_hold": (0.0, 0.5),
        "slack_shrink": (0.0, 0.3),
        "cooldown_s": (5.0, 300.0),
        "start_frac": (0.05, 0.5),
    }
    name = "heracles"

    period_s: float = 2.0
    poll_s: float = 15.0
    cooldown_s: float = 300.0
    stall_target: float = 0.25
    slack_hold: float = 0.10
    slack_shrink: float = 0.05
    load_high: float = 0.85
    load_low: float = 0.80
    bandwidth_frac: float = 0.90
    start_frac: float = 0.10

    def __post_init__(self) -> None:
        check_range(
            self.name,
            period_s=(self.period_s, 0.0, np.inf),
            poll_s=(self.poll_s, 0.0, np.inf),
            cooldown_s=(self.cooldown_s, 0.0, np.inf),
            stall_target=(self.stall_target, 1e-3, 1.0),
            slack_hold=(self.slack_hold, 0.0, 1.0),
            slack_shrink=(self.slack_shrink, 0.0, 1.0),
            load_high=(self.load_high, 0.0, np.inf),
            load_low=(self.load_low, 0.0, np.inf),
            bandwidth_frac=(self.bandwidth_frac, 0.0, np.inf),
            start_frac=(self.start_frac, 0.0, 1.0),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        one = (num_hosts,)
        names = ("best_effort", "grew", "traffic", "polled_s", "off", "cool_until_s")
        return {**super()._state_shapes(num_hosts, num_vms), **dict.fromkeys(names, one)}

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        critical = latency_critical(telemetry)
        others = limits.present & ~critical
        margin = np.where(critical, slack(telemetry, self.stall_target), np.nan)
        least = np.fmin.reduce(margin, axis=1)  # NaN where none was measured
        off = self._supervise(telemetry, critical, least, memory)
        units = self._best_effort(telemetry, limits, least, off, memory)
        divided = others.any(axis=1) & (limits.parts >= 2)
        rest = np.where(divided, limits.units - units, limits.units)
        vm_units = np.where(critical | ~divided[:, None], rest[:, None], units[:, None])
        vm_class = np.where(divided[:, None], others, 0).astype(np.int64)
        return renumber(vm_class, limits.present), vm_units

    def _supervise(
        self, telemetry: Telemetry, critical: Bools, least: Floats, memory: Memory
    ) -> Bools:
        """Hosts (H,) whose best effort is switched off, looked at again every ``poll_s``."""
        now = telemetry.time_s
        off = memory["off"] == 1.0
        polls = ~(now - memory["polled_s"] < self.poll_s - 1e-6)
        busy = np.where(np.isnan(telemetry.cpu_cores), 0.0, telemetry.cpu_cores)
        load = host_sum(busy, critical) / telemetry.host_cores
        hurt = polls & (least < 0.0)
        until = np.where(hurt, now + self.cooldown_s, memory["cool_until_s"])
        cooling = until > now
        off = np.where(polls & (load > self.load_high), True, off)
        calm = polls & ~(load >= self.load_low) & ~cooling
        off = np.where(calm, False, off | hurt)
        memory["off"] = off.astype(np.float64)
        memory["cool_until_s"] = until
        memory["polled_s"] = np.where(polls, now, memory["polled_s"])
        return np.asarray(off)

    def _best_effort(
        self, telemetry: Telemetry, limits: CacheLimits, least: Floats, off: Bools, memory: Memory
    ) -> Ints:
        """Units (H,) of all the others together; meaningless where nothing is divided."""
        used = telemetry.memory_bandwidth_bytes_s
        traffic = host_sum(np.where(np.isnan(used), 0.0, used), limits.present)
        start = np.round(self.start_frac * limits.units)
        had = np.where(np.isnan(memory["best_effort"]), start, memory["best_effort"])
        full = traffic > self.bandwidth_frac * telemetry.bandwidth_limit_bytes_s
        undone = full & (memory["grew"] == 1.0) & (traffic > memory["traffic"])
        shrinks = (least < self.slack_shrink) | undone
        grows = (least >= self.slack_hold) & ~full & ~shrinks & ~np.isnan(memory["best_effort"])
        highest = np.maximum(limits.units - limits.min_units, limits.min_units)
        units = np.clip(had + grows - shrinks, limits.min_units, highest)
        units = np.where(off, limits.min_units, units)
        memory["grew"] = (units > had).astype(np.float64)
        memory["best_effort"], memory["traffic"] = units.astype(np.float64), traffic
        return units.astype(np.int64)
