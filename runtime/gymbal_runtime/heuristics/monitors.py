"""Which monitors run: the rules that decide how closely each VM is watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.heuristics.resource import ResourceHeuristic
from gymbal_runtime.telemetry import Bools, Floats, Telemetry
from gymbal_runtime.workingset import histogram_working_set

COUNTERS, SAMPLER, HISTOGRAMS = 0.0, 1.0, 2.0
"""Monitor levels, each with what the lower ones have (models.md 11)."""


@dataclass(frozen=True, eq=False)
class _ConstantLevel(ResourceHeuristic):
    """The same level for everybody."""

    DECIDES: ClassVar[str] = "monitor_level"
    LEVEL: ClassVar[float] = COUNTERS

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        return np.full(telemetry.present.shape, self.LEVEL)


@dataclass(frozen=True, eq=False)
class CountersOnly(_ConstantLevel):
    """Level 0: nothing but what the hardware counts anyway."""

    name = "counters"
    LEVEL: ClassVar[float] = COUNTERS


@dataclass(frozen=True, eq=False)
class Sampler(_ConstantLevel):
    """Level 1: the active-memory sampler everywhere, which costs next to nothing."""

    name = "sampler"
    LEVEL: ClassVar[float] = SAMPLER


@dataclass(frozen=True, eq=False)
class Always(_ConstantLevel):
    """Level 2: histograms everywhere and always, whatever they cost."""

    name = "always"
    LEVEL: ClassVar[float] = HISTOGRAMS


_COUNTERS = ("page walks", "LLC misses per instruction", "IPC", "major faults", "pressure")
_COUNTER_FLOORS = np.array([2e-3, 2e-5, 2e-2, 20.0, 2e-2])
"""Added to a counter's mean when a deviation is divided by it: less is the noise of an idle VM.
1 % of the cycles, 0.02 misses per 1000 instructions, 0.02 instructions per cycle, 20 faults/s, 2 %
of the time; ours."""


@dataclass(frozen=True, eq=False)
class IntermittentTracking(ResourceHeuristic):
    """Intermittent tracking control: look closely until nothing is new, then watch the counters.

    Histograms run until the working set has changed by less than ``stable_frac`` for
    ``stable_windows`` windows running, and are then switched off. Off, each free counter has a
    mean and a usual relative deviation; one that deviates by more than ``threshold`` times the
    usual switches tracking on again, as does the passing of ``wake_s``. The threshold adapts per
    VM and counter: an alarm after which the working set turns out the same raises it, a change
    that only the periodic wake found lowers those of all counters.

    A window is one decision. Counters that slow down with their VM are divided by instructions or
    cycles, so that tracking's own cost is no phase change. A VM whose histogram never appears
    stays tracked.

    Source: Zhao, Jin, Wang, Wang, Luo and Li, "Low Cost Working Set Size Tracking", USENIX ATC
    2011; the rule as in models.md section 11, the adaptation of the threshold and all constants
    but the 5 % are ours. One window without change is enough: with two, the estimates while off
    are hardly better and tracking costs 30 % more (``benchmarks/monitoring.py``, validation VMs).

    Attributes:
        stable_frac: 1, relative change of the working set that counts as none.
        stable_windows: consecutive windows without change after which tracking stops.
        miss_ratio: 1, delta of the working set (models.md 1.2).
        threshold: 1, first threshold, in usual deviations.
        adaptation: 1, factor by which a threshold is raised or lowered.
        spread_gain: 1, weight of a new window in a counter's mean and usual deviation.
        wake_s: s without tracking after which it is switched on in any case.
        idle_level: monitor level while histograms are off.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "stable_frac": (0.01, 0.2),
        "stable_windows": (1.0, 8.0),
        "threshold": (1.5, 12.0),
        "adaptation": (1.0, 3.0),
        "spread_gain": (0.02, 0.5),
        "wake_s": (30.0, 1800.0),
    }
    DECIDES: ClassVar[str] = "monitor_level"
    name = "itc"

    stable_frac: float = 0.05
    stable_windows: float = 1.0
    miss_ratio: float = 0.05
    threshold: float = 4.0
    adaptation: float = 1.5
    spread_gain: float = 0.1
    wake_s: float = 300.0
    idle_level: float = SAMPLER

    _FIRST_SPREAD: ClassVar[float] = 0.04  # usual relative deviation before one is known
    _LEAST_SPREAD: ClassVar[float] = 0.01  # counters that never move are not more trusted
    _THRESHOLDS: ClassVar[tuple[float, float]] = (1.5, 32.0)

    def __post_init__(self) -> None:
        check_range(
            self.name,
            stable_frac=(self.stable_frac, 0.0, 1.0),
            stable_windows=(self.stable_windows, 1.0, 1000.0),
            miss_ratio=(self.miss_ratio, 0.0, 1.0),
            threshold=(self.threshold, *self._THRESHOLDS),
            adaptation=(self.adaptation, 1.0, 10.0),
            spread_gain=(self.spread_gain, 0.0, 1.0),
            wake_s=(self.wake_s, 0.0, np.inf),
            idle_level=(self.idle_level, COUNTERS, SAMPLER),
        )

    def _memory_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shape = (num_hosts, num_vms)
        shapes: dict[str, tuple[int, ...]] = {}
        for name in ("tracking", "stable", "working_set", "settled", "off_s"):
            shapes[name] = shape
        for name in ("mean", "spread", "threshold", "alarm"):
            shapes[name] = (*shape, len(_COUNTERS))
        return shapes

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        memory["threshold"] = _else(memory["threshold"], self.threshold)
        memory["spread"] = _else(memory["spread"], self._FIRST_SPREAD)
        tracking = _else(memory["tracking"], 1.0) > 0.0
        done = self._settles(telemetry, memory, tracking)
        self._judge(memory, done)
        alarm = self._alarms(telemetry, memory) & ~tracking[..., None]
        memory["off_s"] = np.where(
            tracking, 0.0, _else(memory["off_s"], 0.0) + np.nan_to_num(memory["elapsed_s"])
        )
        wakes = ~tracking & (alarm.any(axis=-1) | (memory["off_s"] >= self.wake_s))
        memory["alarm"] = np.where(wakes[..., None], alarm, memory["alarm"])
        memory["stable"] = np.where(wakes | done, 0.0, memory["stable"])
        # The counters' means belong to a phase: none outlives the tracking that a change caused.
        memory["mean"] = np.where((done | wakes)[..., None], np.nan, memory["mean"])
        memory["tracking"] = np.where((tracking & ~done) | wakes, 1.0, 0.0)
        return np.where(memory["tracking"] > 0.0, HISTOGRAMS, self.idle_level)

    def _settles(self, telemetry: Telemetry, memory: dict[str, Floats], tracking: Bools) -> Bools:
        """Tracked VMs (H, V) whose working set has been the same for long enough."""
        then, now = memory["working_set"], histogram_working_set(telemetry, self.miss_ratio)
        same = np.abs(now - then) <= self.stable_frac * np.maximum(now, then)
        seen = tracking & np.isfinite(now)
        count = _else(memory["stable"], 0.0)
        # The first window after a wake has nothing to be compared with but what was left behind.
        memory["stable"] = np.where(seen, np.where(same, count + 1.0, 0.0), count)
        memory["working_set"] = np.where(seen, now, then)
        return seen & (memory["stable"] >= self.stable_windows)

    def _judge(self, memory: dict[str, Floats], done: Bools) -> None:
        """Raise thresholds after false alarms, lower them after changes that none had noticed."""
        before, now = memory["settled"], memory["working_set"]
        known = done & np.isfinite(before)
        changed = np.abs(now - before) > self.stable_frac * np.maximum(now, before)
        alarm = _else(memory["alarm"], 0.0) > 0.0
        false = (known & ~changed)[..., None] & alarm
        missed = (known & changed & ~alarm.any(axis=-1))[..., None]
        factor = np.where(false, self.adaptation, np.where(missed, 1.0 / self.adaptation, 1.0))
        memory["threshold"] = np.clip(memory["threshold"] * factor, *self._THRESHOLDS)
        memory["settled"] = np.where(done, now, before)

    def _alarms(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Bools:
        """Counters (H, V, K) out of their usual range; the others are learned from."""
        value = _counters(telemetry)
        mean, spread = memory["mean"], memory["spread"]
        deviation = np.abs(value - mean) / (mean + _COUNTER_FLOORS)
        alarm = deviation > memory["threshold"] * np.maximum(spread, self._LEAST_SPREAD)
        usual = np.isfinite(deviation) & ~alarm
        gain = self.spread_gain
        memory["mean"] = np.where(
            np.isnan(mean), value, np.where(usual, mean + gain * (value - mean), mean)
        )
        memory["spread"] = np.where(usual, spread + gain * (deviation - spread), spread)
        return np.asarray(alarm, dtype=np.bool_)


def _counters(telemetry: Telemetry) -> Floats:
    """What is counted for free and changes with a program's phase, (H, V, K); NaN if unknown."""
    counters = np.stack(
        [
            telemetry.walk_frac,
            telemetry.llc_miss_rate / telemetry.instruction_rate,
            telemetry.instruction_rate / telemetry.cycle_rate,
            telemetry.major_fault_rate,
            telemetry.psi_some_frac,
        ],
        axis=-1,
    )
    return np.where(np.isfinite(counters), counters, np.nan)


def _else(values: Floats, otherwise: float) -> Floats:
    """``values`` with ``otherwise`` for what is not remembered."""
    return np.where(np.isnan(values), otherwise, values)


MONITOR_HEURISTICS = (CountersOnly, Sampler, Always, IntermittentTracking)
