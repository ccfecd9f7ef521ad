"""What the published heuristics have in common: a period, a memory and the duty to be feasible."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range as check_range
from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.heuristics.readings import actual_bytes, bounds
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.heuristics.timed import TimedHeuristic
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class PeriodicHeuristic(TimedHeuristic):
    """A rule that acts once a period and repeats its last targets in between.

    Subclasses say what they want (``_decide``) and what they remember (``_state_shapes``). Whatever
    they want is projected to what is feasible here: floors, ceilings, and a sum within the budget.

    Attributes:
        period_s: s, as in `TimedHeuristic`.
    """

    TOLD: ClassVar[str] = "target_bytes"
    name = "periodic"

    period_s: float = 10.0

    @abstractmethod
    def _decide(self, telemetry: Telemetry, due: Bools) -> Floats:
        """Wanted balloon sizes.

        Args:
            telemetry: one record of H hosts; what absent slots hold is undefined.
            due: (H,) hosts whose answer will be used; only their memory may be updated.

        Returns:
            (H, V) bytes, finite for present VMs, not necessarily feasible.
        """

    def act(self, telemetry: Telemetry) -> Command:
        """Decide for every host of the record.

        Raises:
            ValueError: if the record does not have the shape that ``reset`` announced.
        """
        self._check_shape(telemetry)
        target = self._state["target_bytes"]
        wanted = np.where(np.isnan(target), actual_bytes(telemetry), target)
        due = self._due(telemetry.time_s)
        if due.any():
            # Absent slots may hold anything, and arithmetic on them must not warn.
            with np.errstate(all="ignore"):
                wanted = np.where(due[:, None], self._decide(telemetry, due), wanted)
        low, high = bounds(telemetry)
        split = project_to_budget(wanted, low, high, telemetry.budget_bytes, telemetry.present)
        told = np.where(telemetry.present, split, NO_CHANGE)
        self._state["target_bytes"][...] = told
        self._state["acted_s"][due] = telemetry.time_s[due]
        return Command(balloon_bytes=told)

    def _elapsed_s(self, time_s: Floats) -> Floats:
        """Time since the last decision (H,) s; one period where there was none."""
        elapsed = time_s - self._state["acted_s"]
        return np.where(elapsed > 0.0, elapsed, self.period_s)
