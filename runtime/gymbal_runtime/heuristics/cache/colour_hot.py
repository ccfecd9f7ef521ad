"""Page colours with hot pages: repartition only where it pays for the pages that move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.cache.curves import NUM_KNOTS, lost_progress, relative_shares
from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.lookahead import lookahead_partition
from gymbal_runtime.heuristics.cache.partitioning import Memory, PartitionHeuristic
from gymbal_runtime.heuristics.cache.ucp import chosen, predicted_cost, remembered_cost
from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.llc import PAGE_BYTES, PAGE_MOVE_S
from gymbal_runtime.telemetry import Floats, Telemetry


@dataclass(frozen=True, eq=False)
class ColourHot(PartitionHeuristic):
    """UCP's target, made true only if it wins back more time than moving hot pages takes.

    Changing a VM from u to u' colours moves |u' - u| / max(u, u') of its hot pages, each of which
    is copied, remapped and shot down from the TLBs while the VM waits. All changes of a host are
    made together or not at all: when the lost progress that they save over the time until the next
    change exceeds that wait, both weighted with the owners' shares.

    Source: Wang et al., dynamic cache partitioning under Xen, Frontiers of Computer Science 2012
    (cited by the seed paper, section 3.3), and Zhang, Dwarkadas and Shen, "Towards Practical Page
    Coloring-Based Multicore Cache Management", EuroSys 2009; models.md 8.1. Reconstructed: the
    papers tell the mechanism and the balance of cost and benefit, not a formula for the dwell time.
    Where units are ways, nothing moves and any gain is enough.

    Attributes:
        period_s: s.
        history: 1, weight of the past in the mean of the curves.
        dwell_s: s for which a partition is expected to be right.
        hot_frac: 1, hot pages as a part of the active memory (of the whole footprint of a static
            profile where activity is not sampled, of what is allocated where there is neither).
        page_move_s: s per page, 3-10 us (models.md 8.1).
        by_stall: choose the target by lost progress and not by misses. An extension, as in `Ucp`.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "history": (0.0, 0.95),
        "dwell_s": (5.0, 600.0),
        "hot_frac": (0.05, 1.0),
        "period_s": (5.0, 60.0),
    }
    name = "colour_hot"

    history: float = 0.5
    dwell_s: float = 60.0
    hot_frac: float = 0.5
    page_move_s: float = PAGE_MOVE_S
    by_stall: bool = True

    def __post_init__(self) -> None:
        check_range(
            self.name,
            period_s=(self.period_s, 0.0, np.inf),
            history=(self.history, 0.0, 0.999),
            dwell_s=(self.dwell_s, 0.0, np.inf),
            hot_frac=(self.hot_frac, 0.0, 1.0),
            page_move_s=(self.page_move_s, 0.0, 1.0),
        )

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        return {**shapes, "cost": (num_hosts, num_vms, NUM_KNOTS)}

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        cost = remembered_cost(telemetry, memory, self.by_stall, self.history)
        new_class, new_units = lookahead_partition(cost, limits)
        lost = lost_progress(telemetry)
        lost = np.where(np.isnan(lost), 0.0, lost)
        old_class, old_units = self._in_force(telemetry, limits, memory)
        before = predicted_cost(lost, old_class, old_units, limits)
        after = predicted_cost(lost, new_class, new_units, limits)
        gain_s = self.dwell_s * (before - after).sum(axis=1)
        wait_s = self.page_move_s * self._pages(telemetry, new_units, old_units)
        price_s = np.where(limits.present, relative_shares(telemetry) * wait_s, 0.0).sum(axis=1)
        moves = ~(gain_s <= price_s)  # a host whose partition is not known is given one
        memory["llc_class"], memory["llc_units"] = old_class, old_units
        return chosen(moves, new_class, new_units, memory)

    def _in_force(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Floats, Floats]:
        """Class and units (H, V) told last, else the shared cache if that is what VMs report."""
        told = ~np.isnan(np.where(limits.present, memory["llc_units"], 0.0)).any(axis=1)
        whole = telemetry.llc_units_held == limits.units[:, None]
        shared = ~told & (whole | ~limits.present).all(axis=1)
        vm_class = np.where(shared[:, None], 0.0, memory["llc_class"])
        vm_units = np.where(shared[:, None], limits.units[:, None], memory["llc_units"])
        return vm_class, vm_units

    def _pages(self, telemetry: Telemetry, new_units: Ints, old_units: Floats) -> Floats:
        """Hot pages (H, V) that change colour; none where units are ways."""
        known = telemetry.active_bytes
        for substitute in (telemetry.hint_footprint_bytes, telemetry.actual_bytes):
            known = np.where(np.isnan(known), substitute, known)
        hot = self.hot_frac * known / PAGE_BYTES
        moved = np.abs(new_units - old_units) / np.maximum(np.maximum(new_units, old_units), 1.0)
        return np.where(telemetry.llc_recolours[:, None] > 0.0, hot * moved, 0.0)
