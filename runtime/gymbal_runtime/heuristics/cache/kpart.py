"""KPart: share between programs that get along, partition between the groups (HPCA 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.heuristics.cache.by_curves import CurveHeuristic
from gymbal_runtime.heuristics.cache.curves import (
    NUM_KNOTS,
    at_fraction,
    filled,
    lost_progress,
    miss_curves,
    smoothed,
)
from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.heuristics.cache.lookahead import lookahead_units
from gymbal_runtime.heuristics.cache.partitioning import Memory
from gymbal_runtime.heuristics.cache.sharing import combined, partitioned
from gymbal_runtime.heuristics.cache.way_split import of_class, renumber
from gymbal_runtime.telemetry import Floats, Telemetry


@dataclass(frozen=True, eq=False)
class KPart(CurveHeuristic):
    """Merge the VMs whose sharing costs least, step by step; keep the best number of clusters.

    The distance of two clusters is the area between their curve when they share a part and their
    curve when that part is divided between them as well as can be: what sharing adds. The two
    nearest are merged until one is left; each number of clusters that the hardware allows is
    divided by UCP's lookahead, and the one with the lowest predicted cost is told. Ties go to fewer
    clusters.

    Source: El-Sayed, Mukkara, Tsai, Kasture, Ma and Sanchez, "KPart: A Hybrid Cache
    Partitioning-Sharing Technique for Commodity Multicores", HPCA 2018 (models.md 8.2).
    Reconstructed: that distances to a merged cluster are computed from its combined curve, and that
    the division of a pair is the exact one, where the original uses its lookahead. Its sampling of
    curves by shifting ways is left out, as telemetry has curves.

    Attributes:
        period_s: s; the original repartitions every 20 M cycles and profiles every few seconds.
        history: 1, weight of the past in the mean of the curves.
        min_gain_frac: 1, a new partition is put into force only if its predicted cost is lower
            than that of the one in force, under today's curves, by this fraction. An extension.
        by_stall: add up lost progress times shares, and not misses. An extension, as in `Ucp`.
    """

    name = "kpart"

    def _state_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._state_shapes(num_hosts, num_vms)
        curves = (num_hosts, num_vms, NUM_KNOTS)
        return {**shapes, "flow": curves, "cost": curves}

    def _decide(
        self, telemetry: Telemetry, limits: CacheLimits, memory: Memory
    ) -> tuple[Ints, Ints]:
        flow = miss_curves(telemetry)
        cost = lost_progress(telemetry, flow) if self.by_stall else flow
        memory["flow"] = smoothed(flow, memory["flow"], self.history)
        memory["cost"] = smoothed(cost, memory["cost"], self.history)
        tree = _Clusters(
            filled(memory["flow"], limits.present), filled(memory["cost"], limits.present), limits
        )
        in_force = (memory["llc_class"], memory["llc_units"])
        return tree.best(in_force, self.min_gain_frac)


class _Clusters:
    """The clusters of N hosts while they are merged; a cluster lives in its first member's slot."""

    def __init__(self, flow: Floats, cost: Floats, limits: CacheLimits) -> None:
        shape = limits.present.shape
        self.flow, self.cost, self.limits = flow.copy(), cost.copy(), limits
        self.alive = limits.present.copy()
        self.owner = np.broadcast_to(np.arange(shape[1]), shape).copy()  # (N, V) slot of a VM's
        self.distance = np.full((*shape, shape[1]), np.inf)  # (N, V, V) above the diagonal
        host, a, b = np.nonzero(
            self.alive[:, :, None]
            & self.alive[:, None, :]
            & np.triu(np.ones((shape[1], shape[1]), dtype=np.bool_), 1)
        )
        self._measure(host, a, b)

    def best(self, in_force: tuple[Floats, Floats], min_gain_frac: float) -> tuple[Ints, Ints]:
        """Class and units (N, V) of the cheapest level of the tree, or what is in force."""
        shape = self.alive.shape
        vm_class = np.zeros(shape, dtype=np.int64)
        vm_units = np.zeros(shape, dtype=np.int64)
        least, kept = np.full(shape[0], np.inf), np.full(shape[0], np.inf)
        for _ in range(shape[1]):
            allowed = self.alive.sum(axis=1) <= self.limits.parts
            if allowed.any():
                units, total = self._divide(allowed)
                better = allowed & ~(total > least)  # total is NaN only where curves are absurd
                least = np.where(better, total, least)
                vm_class = np.where(better[:, None], self.owner, vm_class)
                told = of_class(units, self.owner, self.limits.present)
                vm_units = np.where(better[:, None], told, vm_units)
                kept = np.where(self._is_level(in_force[0]), self._cost(in_force[1]), kept)
            if not self._merge_nearest():
                break
        stays = (kept - least < min_gain_frac * kept) & np.isfinite(kept) & (min_gain_frac > 0.0)
        vm_class = np.where(stays[:, None], np.nan_to_num(in_force[0]), vm_class)
        vm_units = np.where(stays[:, None], np.nan_to_num(in_force[1]), vm_units)
        present = self.limits.present
        return renumber(vm_class.astype(np.int64), present), vm_units.astype(np.int64)

    def _divide(self, allowed: np.ndarray) -> tuple[Ints, Floats]:
        """Units of each cluster (N, V) by lookahead, and the predicted cost (N,)."""
        plays = self.alive & allowed[:, None]
        units = lookahead_units(self.cost, self.limits.min_units, self.limits.units, plays)
        part = units / self.limits.units[:, None]
        total = np.where(plays, at_fraction(self.cost, part), 0.0).sum(axis=1)
        return units, total

    def _is_level(self, vm_class: Floats) -> np.ndarray:
        """Whether the clusters of today are the classes in force, (N,)."""
        known = ~np.isnan(vm_class)
        groups = renumber(np.where(known, vm_class, -1).astype(np.int64), self.limits.present)
        same = groups == renumber(self.owner, self.limits.present)
        return np.asarray((same & known | ~self.limits.present).all(axis=1))

    def _cost(self, vm_units: Floats) -> Floats:
        """Predicted cost (N,) of the present clusters with these units of their members."""
        part = np.nan_to_num(vm_units) / self.limits.units[:, None]
        return np.asarray(np.where(self.alive, at_fraction(self.cost, part), 0.0).sum(axis=1))

    def _merge_nearest(self) -> bool:
        """Merge the two nearest clusters of each host; False once there is nothing to merge."""
        num_vms = self.alive.shape[1]
        nearest = self.distance.reshape(-1, num_vms * num_vms).argmin(axis=1)
        host = np.flatnonzero(self.alive.sum(axis=1) > 1)
        if host.size == 0:
            return False
        a, b = nearest[host] // num_vms, nearest[host] % num_vms
        self.flow[host, a], self.cost[host, a] = combined(
            self.flow[host, a], self.flow[host, b], self.cost[host, a], self.cost[host, b]
        )
        self.owner[host] = np.where(self.owner[host] == b[:, None], a[:, None], self.owner[host])
        self.alive[host, b] = False
        self.distance[host, b, :] = np.inf
        self.distance[host, :, b] = np.inf
        row, other = np.nonzero(self.alive[host] & (np.arange(num_vms) != a[:, None]))
        lower, upper = np.minimum(other, a[row]), np.maximum(other, a[row])
        self._measure(host[row], lower, upper)
        return True

    def _measure(self, host: Ints, a: Ints, b: Ints) -> None:
        """Distances of pairs of clusters, at every second knot, which is enough to rank them.

        Absurd curves are far from everything.
        """
        flow, cost = self.flow[:, :, ::2], self.cost[:, :, ::2]
        cost_a, cost_b = cost[host, a], cost[host, b]
        _, together = combined(flow[host, a], flow[host, b], cost_a, cost_b)
        area = (together - partitioned(cost_a, cost_b)).sum(axis=1)
        self.distance[host, a, b] = np.where(np.isfinite(area), area, np.finfo(np.float64).max)
