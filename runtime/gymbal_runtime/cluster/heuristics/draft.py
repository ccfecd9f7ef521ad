"""Orders in the making: only what is legal, and moves that do not count on the same memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gymbal_runtime.cluster.heuristics.situation import Situation, leaving
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
    WAIT,
    Orders,
)
from gymbal_runtime.cluster.telemetry import ClusterTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats

MOST_MOVES = 8
"""Moves that a cluster begins in one decision at most."""
LINK_WEIGHT = 0.25
"""A target whose link is full counts as having this part of its memory left over."""
MOST_STEAL = 0.2
"""A host whose VMs miss more CPU time than this on average takes nobody in."""


@dataclass(eq=False)
class Draft:
    """What is told so far.

    Args:
        telemetry: the record.
        seen: what was read from it.
        margin_frac: 1, part of a target's memory that a move leaves free.
        moves_per_host: VMs that may be on their way out of a host at once.

    Attributes:
        told: the orders.
        room: (C, H) what is left of what is legal to reserve.
        headroom: (C, H) what is left of what may be needed.
        slots: (C, H) vacant.
        leaving: (C, H) VMs on their way out.
    """

    telemetry: ClusterTelemetry
    seen: Situation
    margin_frac: float
    moves_per_host: int
    told: Orders = field(init=False)
    room: Floats = field(init=False)
    headroom: Floats = field(init=False)
    slots: Ints = field(init=False)
    leaving: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.told = Orders.none(*self.telemetry.shape)
        self.room = self.telemetry.room_bytes.copy()
        margin = self.margin_frac * self.telemetry.capacity_bytes
        self.headroom = self.seen.headroom_bytes - margin
        self.slots = self.telemetry.vacant.sum(axis=2)
        self.leaving = leaving(self.telemetry).sum(axis=2)

    def tell(self, verb: int, wanted: Bools) -> None:
        """Give an order without a target to the wanted VMs (C, H, V) that wait and where legal."""
        legal = self.seen.legal
        allowed = {
            SQUEEZE: legal.squeeze,
            BORROW: legal.borrow,
            RECALL: legal.recall,
            MERGE: legal.merge,
            CANCEL: legal.cancel,
        }[verb]
        self.told.verb[wanted & allowed & (self.told.verb == WAIT)] = verb

    def good_targets(self, verb: int) -> Bools:
        """Legal targets (C, H, V, H) that neither are overloaded nor would be by the VM's peak."""
        pairs = self.seen.legal.migrate if verb == MIGRATE else self.seen.legal.clone
        calm = ~self.seen.suffering.any(axis=2) & (self._mean_steal() <= MOST_STEAL)
        needed = self._needed(verb)
        fits: Bools = needed[..., None] <= self.headroom[:, None, None, :]
        fits &= pairs & calm[:, None, None, :]
        return fits

    def move(self, urgency: Floats, verb: int = MIGRATE) -> None:
        """Send VMs to other hosts, the most urgent first, as long as there are good targets.

        A VM goes where least is left over once it has its peak demand there (best fit), less so
        where the link is busy. A VM that was told something else moves instead.

        Args:
            urgency: (C, H, V) larger goes first; not finite: stays.
            verb: MIGRATE or CLONE.
        """
        targets = self.good_targets(verb)
        waiting = np.where(targets.any(axis=3) & np.isfinite(urgency), urgency, -np.inf)
        waiting[self.leaving >= self.moves_per_host] = -np.inf
        for _ in range(MOST_MOVES):
            flat = waiting.reshape(len(waiting), -1)
            first = flat.argmax(axis=1)
            clusters = np.flatnonzero(flat[np.arange(len(flat)), first] > -np.inf)
            if not len(clusters):
                return
            host, slot = np.divmod(first[clusters], self.telemetry.num_vms)
            waiting[clusters, host, slot] = -np.inf
            self._send(clusters, host, slot, targets[clusters, host, slot], verb)
            full = self.leaving >= self.moves_per_host
            waiting[full] = -np.inf

    def _send(self, clusters: Ints, host: Ints, slot: Ints, fits: Bools, verb: int) -> None:
        """Order one move per cluster, if its VM still has a target; ``fits`` (n, H)."""
        telemetry = self.telemetry
        at = (clusters, host, slot)
        size = (telemetry.size_bytes if verb == MIGRATE else telemetry.clone_bytes)[at]
        needed = self._needed(verb)[at]
        room, headroom = self.room[clusters], self.headroom[clusters]
        fits = fits & (size[:, None] <= room) & (needed[:, None] <= headroom)
        fits &= self.slots[clusters] > 0
        capacity = np.maximum(telemetry.capacity_bytes[clusters], 1.0)
        load = (
            telemetry.received_bytes_s[clusters] / np.maximum(telemetry.nic_bytes_s, 1.0)[clusters]
        )
        over = (headroom - needed[:, None]) / capacity + LINK_WEIGHT * load
        goal = np.where(fits, over, np.inf).argmin(axis=1)
        found = fits.any(axis=1)
        clusters, host, slot, goal = (a[found] for a in (clusters, host, slot, goal))
        self.told.verb[clusters, host, slot] = verb
        self.told.target[clusters, host, slot] = goal
        self.room[clusters, goal] -= size[found]
        self.headroom[clusters, goal] -= needed[found]
        self.slots[clusters, goal] -= 1
        self.leaving[clusters, host] += 1

    def _needed(self, verb: int) -> Floats:
        """What a move would need at its target in the end, (C, H, V) bytes."""
        if verb == MIGRATE:
            return np.maximum(self.seen.peak_bytes, self.telemetry.size_bytes)
        return np.maximum(0.5 * self.seen.peak_bytes, self.telemetry.clone_bytes)

    def _mean_steal(self) -> Floats:
        """Mean part of the wanted CPU time that a host's VMs miss, (C, H)."""
        hosts = self.telemetry.hosts
        known = hosts.present & ~np.isnan(hosts.steal_frac)
        steal = np.where(known, hosts.steal_frac, 0.0).sum(axis=1)
        mean: Floats = self.telemetry.per_host(steal / np.maximum(known.sum(axis=1), 1))
        return mean
