"""The heuristics for a whole host and its single resources, by name."""

from __future__ import annotations

from gymbal_runtime.agent import Agent
from gymbal_runtime.heuristics.cpu_weights import CPU_HEURISTICS
from gymbal_runtime.heuristics.devices import DEVICE_HEURISTICS
from gymbal_runtime.heuristics.meb_adaptive import MebAdaptive
from gymbal_runtime.heuristics.monitors import MONITOR_HEURISTICS
from gymbal_runtime.heuristics.stacked import Stacked

_ALL: tuple[type[Agent], ...] = (
    *CPU_HEURISTICS,
    *DEVICE_HEURISTICS,
    *MONITOR_HEURISTICS,
    MebAdaptive,
    Stacked,
)

HOST_HEURISTICS: dict[str, type[Agent]] = {heuristic.name: heuristic for heuristic in _ALL}
"""Every one by the name under which configurations and policy bundles refer to it."""
