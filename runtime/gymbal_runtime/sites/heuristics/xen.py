"""Xen's default of its time: pre-copy for thirty rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from gymbal_runtime.sites.heuristics.moving import MoveRule
from gymbal_runtime.sites.orders import THIRTY_ROUNDS
from gymbal_runtime.sites.telemetry import SitesTelemetry


@dataclass(frozen=True, eq=False)
class Xen30Rounds(MoveRule):
    """Replicate the disk, then pre-copy until Xen's own rule stops it.

    That is after 29 rounds and a last copy, with fewer than 50 pages left, or when three times the
    memory was sent (models.md 6.2). CloudNet (VEE 2011) measured its ideas against this default.
    """

    name = "xen_30_rounds"

    def _stop_rule(self) -> int:
        return THIRTY_ROUNDS

    def _also(self, telemetry: SitesTelemetry, verb: NDArray[Any]) -> NDArray[Any]:
        return verb
