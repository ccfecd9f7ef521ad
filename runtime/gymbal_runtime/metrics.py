"""Counters of the control loop, in Prometheus' text format."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gymbal_runtime import __version__
from gymbal_runtime.decision import Decision

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Upper bounds: a decision should take under 1 ms, and the default deadline is 0.1 s."""

_HELP = {
    "gymbal_decisions_total": "counter Decisions by who took them.",
    "gymbal_not_policy_total": "counter Decisions that the policy did not take, by reason.",
    "gymbal_guard_hits_total": "counter VMs (or hosts) on which a rule of the guard fired.",
    "gymbal_not_obeyed_total": "counter Values decided that the host has nobody to obey, by field.",
    "gymbal_errors_total": "counter Failures by stage of the loop.",
    "gymbal_part_errors_total": "counter Failures to read, by part of the host.",
    "gymbal_commands_applied_total": "counter Commands that the host accepted.",
    "gymbal_last_decision_timestamp_seconds": "gauge Unix time of the newest decision.",
    "gymbal_seconds_since_decision": "gauge Since the newest decision, by the monotonic clock.",
    "gymbal_build_info": "gauge 1, with the version and the policy as labels.",
    "gymbal_decision_latency_seconds": "histogram Time from telemetry to guarded command.",
    "gymbal_telemetry": "gauge The newest record, summed over the VMs.",
    "gymbal_vm_target_bytes": "gauge Target of the newest decision; absent where left alone.",
    "gymbal_vm_setting": "gauge Other fields of the newest decision; absent where left alone.",
}


class Metrics:
    """Counts decisions and renders the counts; both may be asked of in different threads.

    Args:
        labels: constant labels of every series, such as the host's name.
        build: labels of ``gymbal_build_info`` beside the version.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        labels: dict[str, str] | None = None,
        build: dict[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._labels = labels or {}
        self.build = {"version": __version__, **(build or {})}
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: tuple[float, float] | None = None  # (Unix time, monotonic) of a decision
        self._counts: Counter[tuple[str, str, str]] = Counter()  # series, label, value -> count
        self._buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._latency_sum_s = 0.0
        self._last: Decision | None = None

    def observe(self, decision: Decision) -> None:
        """Count one decision."""
        with self._lock:
            self._observe(decision)

    def _observe(self, decision: Decision) -> None:
        self._newest = (time.time(), self._clock())
        self._counts["gymbal_decisions_total", "source", decision.source] += 1
        if decision.reason:
            self._counts["gymbal_not_policy_total", "reason", decision.reason] += 1
        for rule, hits in decision.guard.items():
            self._counts["gymbal_guard_hits_total", "rule", rule] += hits
        for field, vms in decision.not_obeyed.items():
            self._counts["gymbal_not_obeyed_total", "field", field] += vms
        for error in decision.errors:
            stage, _, rest = error.partition(": ")
            self._counts["gymbal_errors_total", "stage", stage] += 1
            if stage == "part":
                part = rest.partition(":")[0]
                self._counts["gymbal_part_errors_total", "part", part] += 1
        if decision.applied:
            self._counts["gymbal_commands_applied_total", "", ""] += 1
        bucket = sum(decision.latency_s > bound for bound in LATENCY_BUCKETS_S)
        self._buckets[bucket] += 1
        self._latency_sum_s += decision.latency_s
        self._last = decision

    def count_error(self, stage: str) -> None:
        """Count one failure of a stage of the loop."""
        with self._lock:
            self._counts["gymbal_errors_total", "stage", stage] += 1

    def count(self, series: str, value: str = "") -> int:
        """The present count of one series and label value."""
        return sum(n for (name, _, v), n in self._counts.items() if (name, v) == (series, value))

    @property
    def since_decision_s(self) -> float:
        """Seconds since the newest decision; infinite before the first."""
        return float("inf") if self._newest is None else self._clock() - self._newest[1]

    def text(self) -> str:
        """All series in Prometheus' text exposition format 0.0.4."""
        with self._lock:
            return self._text()

    def _text(self) -> str:
        lines: dict[str, list[str]] = {name: [] for name in _HELP}
        for (series, label, value), count in sorted(self._counts.items()):
            lines[series].append(self._line(series, {label: value} if label else {}, count))
        lines["gymbal_decision_latency_seconds"] = self._histogram()
        lines["gymbal_build_info"] = [self._line("gymbal_build_info", self.build, 1)]
        lines |= self._newest_lines()
        out = []
        for series, rows in lines.items():
            kind, text = _HELP[series].split(" ", 1)
            out += [f"# HELP {series} {text}", f"# TYPE {series} {kind}", *rows]
        return "\n".join(out) + "\n"

    def _newest_lines(self) -> dict[str, list[str]]:
        """Gauges about the newest decision."""
        if self._newest is None or self._last is None:
            return {}
        last, settings = self._last, self._last.settings
        values: dict[str, list[tuple[dict[str, str], float | None]]] = {
            "gymbal_last_decision_timestamp_seconds": [({}, self._newest[0])],
            "gymbal_seconds_since_decision": [({}, self.since_decision_s)],
            "gymbal_telemetry": [({"quantity": name}, v) for name, v in last.telemetry.items()],
            "gymbal_vm_target_bytes": [({"vm": name}, v) for name, v in last.targets.items()],
            "gymbal_vm_setting": [
                ({"field": field, "vm": name}, None if v is None else float(v))
                for field, by_vm in settings.items()
                for name, v in by_vm.items()
            ],
        }
        return {
            series: [self._line(series, labels, v) for labels, v in rows if v is not None]
            for series, rows in values.items()
        }

    def write(self, path: Path) -> None:
        """Replace a file with `text`, so that a reader never sees half of it.

        Raises:
            OSError: the file cannot be written.
        """
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(self.text(), encoding="utf-8")
        partial.replace(path)

    def _histogram(self) -> list[str]:
        name = "gymbal_decision_latency_seconds"
        rows, total = [], 0
        for bound, count in zip((*LATENCY_BUCKETS_S, "+Inf"), self._buckets, strict=True):
            total += count
            rows.append(self._line(f"{name}_bucket", {"le": str(bound)}, total))
        rows.append(self._line(f"{name}_sum", {}, self._latency_sum_s))
        rows.append(self._line(f"{name}_count", {}, total))
        return rows

    def _line(self, series: str, labels: dict[str, str], value: float) -> str:
        pairs = {**self._labels, **labels}
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in pairs.items())
        said = "+Inf" if value == float("inf") else value
        return f"{series}{{{inside}}} {said}" if inside else f"{series} {said}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
