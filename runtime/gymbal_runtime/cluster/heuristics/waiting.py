"""Rules that wait for some time and then move the suffering VM: from never to at once."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.heuristics.costs import PricedRule, overload_rate
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.rule import ClusterRule
from gymbal_runtime.cluster.heuristics.situation import Situation
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Floats


@dataclass(frozen=True, eq=False)
class _Waiting(ClusterRule):
    """Borrow remote memory while an overload is young; move the VM when it is older than theta.

    Attributes:
        borrow: far memory is used while waiting; False: the local swap device alone.
    """

    borrow: bool = True

    @abstractmethod
    def _theta_s(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        """Age of an overload at which its VM moves, (C, H, V) s; infinite: never."""

    def _decide(self, telemetry: ClusterTelemetry, seen: Situation, draft: Draft) -> None:
        if self.borrow:
            self._borrow(telemetry, draft, seen.suffering)
        due = seen.suffering & (seen.elapsed_s >= self._theta_s(telemetry, seen))
        draft.move(np.where(due & self._may_move(seen), seen.stall + seen.elapsed_s, -np.inf))


@dataclass(frozen=True, eq=False)
class Never(_Waiting):
    """Ride every overload out on far memory: right for short ones, ruinous for the few long ones.

    Source: models.md 5.1, where it costs 6.8 times the clairvoyant choice.
    """

    name = "never_migrate"

    def _theta_s(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        return np.full(telemetry.shape, np.inf)


@dataclass(frozen=True, eq=False)
class Always(_Waiting):
    """Move a VM as soon as it suffers, and use no far memory: migration alone.

    Source: the baseline that Overdriver (VEE 2011) is compared with; models.md 5.3.
    """

    name = "always_migrate"

    borrow: bool = False

    def _theta_s(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        return np.zeros(telemetry.shape)


@dataclass(frozen=True, eq=False)
class Delay(_Waiting):
    """Move a VM once its overload is older than a fixed time; far memory until then.

    Source: models.md 5.3, with 30, 60 and 120 s.

    Attributes:
        theta_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **_Waiting.TUNABLE,
        "theta_s": (10.0, 600.0),
    }
    name = "delay"

    theta_s: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self.name, theta_s=(self.theta_s, 0.0, 86400.0))

    def _theta_s(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        return np.full(telemetry.shape, self.theta_s)


@dataclass(frozen=True, eq=False)
class SkiRental(PricedRule, _Waiting):
    """Move a VM once waiting has cost as much as the move would: at most twice the optimum.

    theta = C_m / c_r, each estimated for the VM as it is now (`costs`): what is rented is far
    memory by the second, what is bought is the move.

    Source: the ski-rental problem, Karlin et al., "Competitive snoopy caching" (Algorithmica 1988);
    models.md 5.1.
    """

    name = "ski_rental"

    def _theta_s(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        theta: Floats = self._move_cost_s(telemetry) / overload_rate(telemetry, seen)
        return theta
