"""CloudNet's smart stop: end pre-copy where another round no longer helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.building import check_range
from gymbal_runtime.sites.estimates import memory_s
from gymbal_runtime.sites.heuristics.moving import MoveRule
from gymbal_runtime.sites.orders import STOP
from gymbal_runtime.sites.telemetry import PRECOPY, SitesTelemetry
from gymbal_runtime.telemetry import Bools


@dataclass(frozen=True, eq=False)
class SmartStop(MoveRule):
    """Pre-copy until what is left stops falling, then stop at a local minimum.

    Rounds at first leave less and less; from some point on they only send again what the VM writes
    meanwhile. From there the rule waits for a moment at which no more is left than at the ends of
    the last ``window`` rounds.

    Source: Wood et al., "CloudNet", VEE 2011, as reconstructed in models.md section 10; the paper's
    window was not at hand.

    Attributes:
        window: rounds, rounded, that the minimum is taken over (at most 6 are remembered).
        flat_frac: a round that leaves more than 1 - this of what the one before left has stopped
            falling.
        slack_frac: how far above the minimum is good enough.
        enough_s: s of copying below which it stops at once, as every hypervisor does.
        most_rounds: rounds after which it stops anyway.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **MoveRule.TUNABLE,
        "window": (1.0, 6.0),
        "flat_frac": (0.0, 0.5),
        "slack_frac": (0.0, 1.0),
        "enough_s": (0.02, 5.0),
        "most_rounds": (5.0, 300.0),
    }
    name = "smart_stop"

    window: float = 4.0
    flat_frac: float = 0.05
    slack_frac: float = 0.05
    enough_s: float = 0.1
    most_rounds: float = 30.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            window=(self.window, 1.0, 6.0),
            flat_frac=(self.flat_frac, 0.0, 1.0),
            slack_frac=(self.slack_frac, 0.0, np.inf),
            enough_s=(self.enough_s, 0.0, np.inf),
            most_rounds=(self.most_rounds, 1.0, np.inf),
        )

    def _also(self, telemetry: SitesTelemetry, verb: NDArray[Any]) -> NDArray[Any]:
        copies = (telemetry.phase == PRECOPY) & ~telemetry.suspended
        return np.where(copies & self.is_time(telemetry), STOP, verb)

    def is_time(self, telemetry: SitesTelemetry) -> Bools:
        """Whether pre-copy, where it runs, should end now, (B, V)."""
        left, ends = telemetry.memory_left_bytes, telemetry.residuals
        flat = ends[..., 0] >= (1.0 - self.flat_frac) * ends[..., 1]
        recent = ends[..., : round(self.window)]
        least = np.where(np.isnan(recent), np.inf, recent).min(axis=-1)
        minimum = left <= (1.0 + self.slack_frac) * least
        enough = memory_s(telemetry) <= self.enough_s
        stop: Bools = (flat & minimum) | enough | (telemetry.round >= self.most_rounds)
        return stop


@dataclass(frozen=True, eq=False)
class SmartStopCbr(SmartStop):
    """Smart stop with content-based redundancy elimination for disk and memory.

    Hashes of what the other site has spare sending it; finding it takes CPU time from the VM.

    Source: as `SmartStop`.

    Attributes:
        least_redundancy: VMs with less (mean of memory and disk, by size) are copied as they are.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **SmartStop.TUNABLE,
        "least_redundancy": (0.0, 0.7),
    }
    name = "smart_stop_cbr"

    least_redundancy: float = 0.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(self.name, least_redundancy=(self.least_redundancy, 0.0, 1.0))

    def reduces(self, telemetry: SitesTelemetry) -> Bools:
        """VMs whose copies eliminate redundancy, (B, V)."""
        size = telemetry.memory_bytes + telemetry.disk_bytes
        found = (
            telemetry.redundancy_memory * telemetry.memory_bytes
            + telemetry.redundancy_disk * telemetry.disk_bytes
        )
        much: Bools = found >= self.least_redundancy * np.maximum(size, 1.0)
        return much
