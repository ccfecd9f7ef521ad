"""What the cache-partitioning rules have in common: a period, a memory, feasibility."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints, cache_limits
from gymbal_runtime.heuristics.timed import TimedHeuristic
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

Memory = dict[str, Floats]


@dataclass(frozen=True, eq=False)
class PartitionHeuristic(TimedHeuristic):
    """A rule that divides the last-level cache once a period and repeats itself in between.

    Hosts whose cache cannot be divided are left alone. A host whose VMs or limits change is
    forgotten and decided anew at once. Commands say nothing about balloons.

    Attributes:
        period_s: s, as in `TimedHeuristic`.
    """

    TOLD: ClassVar[str] = "llc_class"
    name = "partitioning"

    period_s: float = 5.0

    @abstractmethod
    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        """Divide the caches of N hosts that are due and divisible.

        Args:
            telemetry: their record.
            limits: what their caches allow.
            memory: the arrays named in ``_state_shapes``, of these hosts; may be changed.

        Returns:
            (N, V) class of each VM and (N, V) units of that class, feasible; what absent slots
            hold means nothing.
        """

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        told = (num_hosts, num_vms)
        return {**shapes, "llc_units": told, "present": told, "limits": (num_hosts, 3)}

    def act(self, telemetry: Telemetry) -> Command:
        """Decide for every host of the record.

        Raises:
            ValueError: if the record does not have the shape that ``reset`` announced.
        """
        self._check_shape(telemetry)
        limits = cache_limits(telemetry)
        self._forget_changed(limits)
        due = self._due(telemetry.time_s) & limits.divisible
        if due.any():
            self._renew(telemetry, limits, due)
        told = telemetry.present & limits.divisible[:, None]
        return Command(
            balloon_bytes=np.full(told.shape, NO_CHANGE),
            llc_class=np.where(told, self._state["llc_class"], NO_CHANGE),
            llc_units=np.where(told, self._state["llc_units"], NO_CHANGE),
        )

    def _renew(self, telemetry: Telemetry, limits: CacheLimits, due: Bools) -> None:
        """Decide for the hosts that are due, and remember it."""
        every = bool(due.all())
        index = np.flatnonzero(due)
        record = telemetry if every else telemetry.take_hosts(index)
        bounds = limits if every else limits.take_hosts(index)
        memory = {name: values[index] for name, values in self._state.items()}
        # Absent slots may hold anything, and arithmetic on them must not warn.
        with np.errstate(all="ignore"):
            vm_class, vm_units = self._decide(record, bounds, memory)
        memory["llc_class"] = vm_class.astype(np.float64)
        memory["llc_units"] = vm_units.astype(np.float64)
        memory["acted_s"] = record.time_s
        for name, values in memory.items():
            self._state[name][index] = values

    def _forget_changed(self, limits: CacheLimits) -> None:
        """Forget hosts whose VMs or limits are not those of the last call, and note the new."""
        now = np.stack([limits.units, limits.classes, limits.min_units], axis=1)
        before, bounds = self._state["present"], self._state["limits"]
        changed = (before != limits.present).any(axis=1) | (bounds != now).any(axis=1)
        if changed.any():
            self.reset(limits.present.shape[0], limits.present.shape[1], changed)
            before[changed], bounds[changed] = limits.present[changed], now[changed]
