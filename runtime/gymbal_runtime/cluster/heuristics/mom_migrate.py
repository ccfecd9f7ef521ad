"""Local balancing, and migration when it is not enough: what is run today, without far memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.rule import ClusterRule
from gymbal_runtime.cluster.heuristics.situation import Situation
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools


@dataclass(frozen=True, eq=False)
class MomMigrate(ClusterRule):
    """When a host stays overloaded under local balancing, its VM with most swap moves away.

    A host is overloaded as long as some VM of it suffers although the local agent could have given
    it memory of others. No far memory is used.

    Source: oVirt with MOM's ballooning (doc/balloon.rules) and its scheduler that moves VMs off
    overloaded hosts; models.md 5.3 "MigrateOnly + balloon".

    Attributes:
        theta_s: s that the overload of a host may last; three rounds of balancing.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **ClusterRule.TUNABLE,
        "theta_s": (10.0, 600.0),
    }
    name = "mom_migrate"

    theta_s: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self.name, theta_s=(self.theta_s, 0.0, 86400.0))

    def _decide(self, telemetry: ClusterTelemetry, seen: Situation, draft: Draft) -> None:
        overloaded = (seen.elapsed_s >= self.theta_s) & seen.suffering
        host: Bools = np.any(overloaded, axis=2, keepdims=True)
        due = host & telemetry.present & self._may_move(seen)
        swapped = np.nan_to_num(telemetry.per_host(telemetry.hosts.swap_used_bytes))
        draft.move(np.where(due & (swapped > 0.0), swapped, -np.inf))
