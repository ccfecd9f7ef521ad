"""Local first, then remote, then a move: the proposal that the project is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.overdriver import ProfileRule
from gymbal_runtime.cluster.heuristics.situation import Situation
from gymbal_runtime.cluster.orders import CLONE, MIGRATE, SQUEEZE, SQUEEZED_FRAC
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools, Floats


@dataclass(frozen=True, eq=False)
class BalanceFirst(ProfileRule):
    """Balance memory locally; squeeze; borrow what is free elsewhere; move only what lasts.

    Against an overload, in this order: local agents divide the host's memory; while neighbours have
    memory that they do not use, they are squeezed for the VM; when the host as a whole has too
    little, or balancing has not helped in time, the VM borrows whatever hosts have free (no pool is
    set aside); when its profile says that the overload lasts, the VM of the host moves that costs
    least and frees enough. VMs that can be cloned may be divided instead, where their host lacks
    CPU time as well.

    Source: Wang, Wang, Luo, "Dynamic resource balancing in cloud computing framework", section 3.4:
    "local first, remote later", short overloads on remote memory, long ones by migration, cloning
    as an alternative.

    Attributes:
        patience_s: s that balancing and squeezing have, before far memory is borrowed even so and
            before anybody moves.
        spare_frac: 1, part of what it has swapped that its neighbours must have to give.
        clone: clonable VMs are divided where CPU time is short, too.
        least_steal: 1, part of the wanted CPU time missed from which on it is short.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **ProfileRule.TUNABLE,
        "patience_s": (0.0, 60.0),
        "spare_frac": (0.02, 100.0),
    }
    name = "balance_first"

    patience_s: float = 20.0
    spare_frac: float = 1.0
    clone: bool = False
    least_steal: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(
            self.name,
            patience_s=(self.patience_s, 0.0, 3600.0),
            spare_frac=(self.spare_frac, 0.0, 1e6),
            least_steal=(self.least_steal, 0.0, 1.0),
        )

    def _decide(self, telemetry: ClusterTelemetry, seen: Situation, draft: Draft) -> None:
        late = seen.elapsed_s >= self.patience_s
        helpless = (seen.lack_bytes > 0.0)[:, :, None] | late
        self._borrow(telemetry, draft, seen.suffering & helpless)
        draft.tell(SQUEEZE, seen.suffering & self._neighbours_can_give(telemetry, seen))
        cost = self._move_cost_s(telemetry)
        targets = draft.good_targets(MIGRATE).any(axis=3) & self._may_move(seen)
        # The cheapest remedy of a host's overload may be to move somebody else.
        cheapest = np.where(targets, cost, np.inf).min(axis=2, initial=np.inf)[:, :, None]
        remedy = np.where(np.isfinite(cheapest), np.minimum(cost, cheapest), cost)
        lasting = self._lasting(telemetry, seen, late, remedy)
        if self.clone:
            short = telemetry.per_host(telemetry.hosts.steal_frac) >= self.least_steal
            draft.move(np.where(lasting & short, seen.elapsed_s + seen.stall, -np.inf), CLONE)
        draft.move(self._victims(telemetry, seen, cost, lasting, targets))

    def _neighbours_can_give(self, telemetry: ClusterTelemetry, seen: Situation) -> Bools:
        """VMs (C, H, V) whose neighbours do not suffer, and have enough unused to be worth it."""
        hosts, present = telemetry.hosts, telemetry.hosts.present
        unused = np.where(present, np.nan_to_num(hosts.usable_bytes), 0.0)
        given = SQUEEZED_FRAC * np.maximum(unused, 0.0)
        others = given.sum(axis=1, keepdims=True) - given
        worth = others > self.spare_frac * np.nan_to_num(hosts.swap_used_bytes)
        suffering = seen.suffering.reshape(present.shape)
        alone = suffering.sum(axis=1, keepdims=True) - suffering == 0
        can: Bools = telemetry.per_host(worth & alone & present)
        return can

    def _victims(
        self,
        telemetry: ClusterTelemetry,
        seen: Situation,
        cost: Floats,
        lasting: Bools,
        targets: Bools,
    ) -> Floats:
        """How urgently VMs shall move, (C, H, V): one per host with a lasting overload.

        Among those that have a target: the cheapest whose going ends the lack of the host; where
        none alone does, the one that frees most.
        """
        due: Bools = np.any(lasting, axis=2, keepdims=True)
        frees = seen.need_bytes
        enough = frees >= seen.lack_bytes[:, :, None]
        some: Bools = np.any(enough & targets, axis=2, keepdims=True)
        merit = np.where(some, np.where(enough, -cost, -np.inf), frees)
        merit = np.where(targets & due, merit, -np.inf)
        best = merit.argmax(axis=2)[:, :, None]
        urgency = np.full(telemetry.shape, -np.inf)
        age = np.where(lasting, seen.elapsed_s + seen.stall, 0.0).max(axis=2)[:, :, None]
        chosen = np.take_along_axis(merit, best, axis=2) > -np.inf
        np.put_along_axis(urgency, best, np.where(chosen, age, -np.inf), axis=2)
        return urgency
