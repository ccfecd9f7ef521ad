"""What an overload costs per second, and what a move costs: the two sides of every threshold.

Both in seconds of lost progress, so that their ratio is a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.heuristics.rule import ClusterRule, far_of_local
from gymbal_runtime.cluster.heuristics.situation import Situation
from gymbal_runtime.cluster.move_estimate import estimate_move, free_link
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Floats

_GIB = 2.0**30


@dataclass(frozen=True, eq=False)
class PricedRule(ClusterRule):
    """A rule that weighs a move against waiting.

    Attributes:
        copy_slowdown: 1, part of the VM's progress lost while it is copied; models.md 6.2 has 5 to
            20 % (Clark 2005: Apache), CloudSim charges 10 %.
        fixed_s: s, of every move: handover, cold caches, the risk that its target gets hot.
        s_per_gib: s/GiB, price of the bytes on the wire.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **ClusterRule.TUNABLE,
        "copy_slowdown": (0.02, 0.5),
        "fixed_s": (0.0, 60.0),
        "s_per_gib": (0.0, 5.0),
    }

    copy_slowdown: float = 0.1
    fixed_s: float = 10.0
    s_per_gib: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(
            self.name,
            copy_slowdown=(self.copy_slowdown, 0.0, 1.0),
            fixed_s=(self.fixed_s, 0.0, 3600.0),
            s_per_gib=(self.s_per_gib, 0.0, 1000.0),
        )

    def _move_cost_s(self, telemetry: ClusterTelemetry) -> Floats:
        """C_m: s of progress that moving each VM out over its host's link would cost, (C, H, V).

        A VM that a pre-copy cannot follow pays for it in the estimate's downtime: its last pass is
        its whole dirty set. Infinite where there is no VM.
        """
        outbound, _ = free_link(
            telemetry.nic_bytes_s, telemetry.sent_bytes_s, telemetry.received_bytes_s
        )
        with np.errstate(all="ignore"):  # slots without a VM may hold anything
            estimate = estimate_move(
                telemetry.size_bytes,
                telemetry.dirty_rate_bytes_s,
                telemetry.dirty_set_bytes,
                outbound[:, :, None],
            )
            cost = (
                self.copy_slowdown * estimate.total_s
                + estimate.downtime_s
                + self.fixed_s
                + self.s_per_gib * estimate.bytes / _GIB
            )
        return np.where(telemetry.present, cost, np.inf)


LEAST_RATE = 0.005
"""An overload costs at least this part of the time: far pages load the network, too."""


def overload_rate(telemetry: ClusterTelemetry, seen: Situation) -> Floats:
    """c_r: s of progress lost per s while a VM rides an overload out on far memory, (C, H, V).

    Its mean stall while it borrows already. While it does not, the stall that it would have were
    its pages far away: with r faults a second of W seconds each it stalls r W / (1 + r W) of the
    time, so the odds of stalling scale with W. Where the local wait is not known, far pages are
    taken to be no faster.
    """
    ratio = np.minimum(far_of_local(telemetry), 1.0)[:, :, None]
    stall = np.minimum(seen.stall, 0.999)
    odds = stall / (1.0 - stall) * np.where(telemetry.borrowing, 1.0, ratio)
    rate: Floats = np.maximum(odds / (1.0 + odds), LEAST_RATE)
    return rate
