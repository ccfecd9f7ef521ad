"""What all rules have in common that act once a period: a clock, and a memory of their hosts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gymbal_runtime.agent import Agent
from gymbal_runtime.slot_memory import forget
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

_CLOCK_SLACK_S = 1e-6
"""Clocks are sums of intervals: a period that is over but for rounding is over."""


@dataclass(frozen=True, eq=False)
class TimedHeuristic(Agent):
    """A rule that decides once a period and repeats itself in between.

    Attributes:
        period_s: s, least time between two decisions for the same host; 0 decides at every call.
        TUNABLE: parameter -> (low, high), what a tuner may vary and how far.
        TOLD: the array of memory with what was said last, (H, V).
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {}
    TOLD: ClassVar[str] = "told"
    name = "timed"

    period_s: float = 0.0
    _state: dict[str, Floats] = field(init=False, repr=False, default_factory=dict)

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each array of memory; the first axis is the host, NaN is 'nothing'."""
        return {"acted_s": (num_hosts,), self.TOLD: (num_hosts, num_vms)}

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (H,), all where ``hosts`` is None or the shape is a new one."""
        forget(self._state, self._state_shapes(num_hosts, num_vms), hosts)

    def _due(self, time_s: Floats) -> Bools:
        """Hosts (H,) whose period is over, that are new, or whose clock has been restarted."""
        elapsed = time_s - self._state["acted_s"]
        return ~((elapsed >= 0.0) & (elapsed < self.period_s - _CLOCK_SLACK_S))

    def _check_shape(self, telemetry: Telemetry) -> None:
        shape = (telemetry.num_hosts, telemetry.num_vms)
        if not self._state:
            self.reset(*shape)
        expected = self._state[self.TOLD].shape
        if expected != shape:
            raise ValueError(f"{self.name} was reset for {expected} hosts x VMs, got {shape}")
