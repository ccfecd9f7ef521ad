"""Overdriver: remote memory for short overloads, a move for those that a profile calls long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.heuristics.costs import PricedRule, overload_rate
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.profile import worth_waiting
from gymbal_runtime.cluster.heuristics.situation import Situation
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools, Floats


@dataclass(frozen=True, eq=False)
class ProfileRule(PricedRule):
    """A rule that knows from each VM's past overloads when the present one is to be called long.

    Attributes:
        prior_weight: number of overloads that the prior counts as; see `profile`.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **PricedRule.TUNABLE,
        "prior_weight": (0.5, 20.0),
    }

    prior_weight: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self.name, prior_weight=(self.prior_weight, 1e-6, 1e6))

    def _lasting(
        self, telemetry: ClusterTelemetry, seen: Situation, asked: Bools, move_s: Floats
    ) -> Bools:
        """VMs (C, H, V) whose overload is not expected to end before a move would pay.

        Args:
            telemetry: the record.
            seen: what was read from it.
            asked: (C, H, V) the VMs in question; of them, those that suffer.
            move_s: (C, H, V) what the cheapest remedy costs for each.
        """
        lasting = np.zeros(telemetry.shape, dtype=np.bool_)
        places = np.nonzero(seen.suffering & asked)
        if len(places[0]):
            lasting[places] = ~worth_waiting(
                self._memory.arrays["durations_s"][places],
                seen.elapsed_s[places],
                overload_rate(telemetry, seen)[places],
                move_s[places],
                self.prior_weight,
            )
        return lasting


@dataclass(frozen=True, eq=False)
class Overdriver(ProfileRule):
    """Static allocations; far memory from reserved pools; a move once the VM's profile says long.

    Every VM keeps a profile of how long its overloads last, from which follow both the age at
    which one counts as sustained, and the memory that hosts hold ready to lend: what all VMs are
    expected to lack at once, plus a multiple of its standard deviation, divided evenly over the
    hosts that lend. The original does not balance memory locally.

    Source: Williams, Jamjoom, Liu, Weatherspoon, "Overdriver: handling memory overload in an
    oversubscribed cloud" (VEE 2011); its profile formula is not public, the one here is in
    `profile` and models.md 5.1.

    Attributes:
        least_pool_frac: 1, part of each host that is set aside before anything is known.
        most_pool_frac: 1, the largest part.
        pool_sigmas: standard deviations of the total lack above its mean.
        balance: True is a variant with local balancing.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **ProfileRule.TUNABLE,
        "least_pool_frac": (0.0, 0.2),
        "pool_sigmas": (0.0, 3.0),
    }
    name = "overdriver"

    least_pool_frac: float = 0.05
    most_pool_frac: float = 0.25
    pool_sigmas: float = 1.0
    balance: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(
            self.name,
            most_pool_frac=(self.most_pool_frac, 0.0, 0.9),
            least_pool_frac=(self.least_pool_frac, 0.0, self.most_pool_frac),
            pool_sigmas=(self.pool_sigmas, 0.0, 10.0),
        )

    def _decide(self, telemetry: ClusterTelemetry, seen: Situation, draft: Draft) -> None:
        self._borrow(telemetry, draft, seen.suffering)
        asked = seen.legal.migrate.any(axis=3) & self._may_move(seen)
        due = self._lasting(telemetry, seen, asked, self._move_cost_s(telemetry))
        draft.move(np.where(due, seen.stall + seen.elapsed_s, -np.inf))

    def _pool_bytes(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        arrays = self._memory.arrays
        often = np.where(telemetry.present, np.nan_to_num(arrays["short_share"]), 0.0)
        lacks = np.where(telemetry.present, np.nan_to_num(arrays["excess_bytes"]), 0.0)
        mean = (often * lacks).sum(axis=(1, 2))
        variance = (often * (1.0 - often) * lacks**2).sum(axis=(1, 2))
        total = mean + self.pool_sigmas * np.sqrt(np.maximum(variance, 0.0))
        lenders = telemetry.lends & telemetry.exists
        each = total / np.maximum(lenders.sum(axis=1), 1)
        capacity = telemetry.capacity_bytes
        pool = np.clip(
            each[:, None], self.least_pool_frac * capacity, self.most_pool_frac * capacity
        )
        return np.where(lenders, pool, 0.0)
