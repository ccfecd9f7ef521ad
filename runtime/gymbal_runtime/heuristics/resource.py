"""What heuristics for a single resource have in common: a period, a memory, and silence."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.heuristics.timed import TimedHeuristic
from gymbal_runtime.slot_memory import only_present
from gymbal_runtime.telemetry import Floats, Telemetry


@dataclass(frozen=True, eq=False)
class ResourceHeuristic(TimedHeuristic):
    """A rule that decides one field of the command and says nothing about the others.

    It acts once a period and repeats what it said in between. A VM whose present setting is unknown
    (NaN: the host does not control it, or did not report it) is left alone. Rules are functions of
    record and memory; keeping the memory, also of hosts that are not due, is done here.

    Attributes:
        period_s: s, as in `TimedHeuristic`.
        DECIDES: name of the field, of `Telemetry` as of `Command`.
    """

    DECIDES: ClassVar[str] = ""
    name = "resource"

    period_s: float = 0.0

    @abstractmethod
    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        """The wanted setting.

        Args:
            telemetry: one record of H hosts; what absent slots hold is undefined.
            memory: the arrays of ``_memory_shapes``, NaN where nothing is remembered; change the
                dictionary to remember something else. ``elapsed_s`` (H, 1) is the time since the
                last decision, NaN where there was none.

        Returns:
            (H, V) setting, NaN leaves a VM alone.
        """

    def _feasible(self, told: Floats, telemetry: Telemetry) -> Floats:
        """The setting (H, V) that a host can carry out, as near to ``told`` as may be."""
        return told

    def _memory_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each array that is remembered; the first axis is the host."""
        return {}

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        return {**shapes, **self._memory_shapes(num_hosts, num_vms)}

    def act(self, telemetry: Telemetry) -> Command:
        """Decide for every host of the record.

        Raises:
            ValueError: if the record does not have the shape that ``reset`` announced.
        """
        self._check_shape(telemetry)
        memory = only_present(self._state, telemetry.present)
        elapsed = telemetry.time_s - memory["acted_s"]
        due = self._due(telemetry.time_s)
        # A clock that was set back is one that was restarted: measure from now on.
        memory["elapsed_s"] = np.where(elapsed >= 0.0, elapsed, np.nan)[:, None]
        # Absent slots may hold anything, and arithmetic on them must not warn.
        with np.errstate(all="ignore"):
            wanted = np.where(due[:, None], self._decide(telemetry, memory), memory["told"])
            wanted = self._feasible(wanted, telemetry)
        controlled = telemetry.present & np.isfinite(getattr(telemetry, self.DECIDES))
        told = np.where(controlled, wanted, NO_CHANGE)
        memory["told"], memory["acted_s"] = told, telemetry.time_s
        for name, values in self._state.items():
            values[due] = memory[name][due]
        command = Command.no_change(telemetry.num_hosts, telemetry.num_vms)
        return replace(command, **{self.DECIDES: told})
