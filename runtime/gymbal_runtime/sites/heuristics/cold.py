"""Cold moves: the VM is paused while it is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.sites.heuristics.moving import MoveRule
from gymbal_runtime.sites.orders import COLD, REPLICATE
from gymbal_runtime.sites.telemetry import SitesTelemetry


@dataclass(frozen=True, eq=False)
class Cold(MoveRule):
    """Pause the VM, copy everything, start it at the other site.

    The oldest way, and the one with the fewest bytes: nothing is copied twice.

    Attributes:
        disk_first: replicate the disk while the VM runs, and pause it for its memory alone.
    """

    name = "cold"

    disk_first: bool = False

    def _first_verb(self, telemetry: SitesTelemetry) -> NDArray[Any]:
        return np.full(telemetry.present.shape, REPLICATE if self.disk_first else COLD)

    def _memory_verb(self, telemetry: SitesTelemetry) -> NDArray[Any]:
        return np.full(telemetry.present.shape, COLD)

    def _also(self, telemetry: SitesTelemetry, verb: NDArray[Any]) -> NDArray[Any]:
        return verb
