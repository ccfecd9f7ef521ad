"""What a cluster may be told, and when an order can be carried out.

An order that is legal for a record is never refused when it is the only one of its cluster. Of
several, each can take a slot or memory that another one counted on; those are refused and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.orders import LEAVE, WAKE
from gymbal_runtime.cluster.telemetry import (
    COPYING,
    IDLE,
    NOBODY,
    SETUP,
    ClusterTelemetry,
    Ints,
)
from gymbal_runtime.telemetry import Bools, Floats

WAIT, SQUEEZE, BORROW, RECALL, CLONE, MIGRATE, MERGE, CANCEL, PLACE = range(9)
"""What a VM can be told: nothing; its neighbours give to it for a while; what it evicts goes to
other hosts' memory; its far pages come home; it is cloned to a host and the load divided; it moves
to a host; it and its clone become one again; its move ends and it stays; it waits for a host, and
starts on one."""
VERBS = ("wait", "squeeze", "borrow", "recall", "clone", "migrate", "merge", "cancel", "place")

SQUEEZED_FRAC = 0.5
"""Part of its unused memory that a neighbour gives while a VM is squeezed for. To take what
neighbours use, a quarter of all above their floors, cost more than it brought in nine of ten cases
(docs/clusters.md)."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What C clusters of H hosts with V VM slots are told.

    They are carried out host by host, slot by slot.

    Attributes:
        verb: (C, H, V) int8, what the VM in this slot is told.
        target: (C, H, V) int16, host within the cluster that CLONE, MIGRATE and PLACE lead to; -1
            none.
        balance: (C,) local agents divide the memory of their hosts; False: a static split.
        pool_bytes: (C, H) memory that each host sets aside to lend; NaN: it lends what is free.
        power: (C, H) int8, LEAVE, SLEEP or WAKE (`gymbal_runtime.centre.orders`); None: all stay as
            they are. SLEEP waits until the host is empty.
        thrift: (C, H) -1..1, how much more or less of the memory that calm VMs do not use stays
            with each host than is set (`gymbal_runtime.cluster.spare.thrifty`); None: as is set.
    """

    verb: NDArray[np.int8]
    target: NDArray[np.int16]
    balance: Bools
    pool_bytes: Floats
    power: NDArray[np.int8] | None = None
    thrift: Floats | None = None

    @classmethod
    def none(cls, num_clusters: int, num_hosts: int, num_vms: int) -> Orders:
        """Every VM waits, memory is balanced locally, lending is elastic."""
        slots = (num_clusters, num_hosts, num_vms)
        return cls(
            verb=np.zeros(slots, dtype=np.int8),
            target=np.full(slots, NOBODY, dtype=np.int16),
            balance=np.ones(num_clusters, dtype=np.bool_),
            pool_bytes=np.full((num_clusters, num_hosts), np.nan),
        )

    @property
    def lasting(self) -> Orders:
        """What holds until somebody says otherwise; the rest is told once."""
        none = Orders.none(*self.verb.shape)
        return replace(none, balance=self.balance, pool_bytes=self.pool_bytes, thrift=self.thrift)

    def check(self, shape: tuple[int, int, int]) -> None:
        """Refuse what does not fit (C, H, V) slots.

        Raises:
            ValueError: an array has another shape, a verb or a host does not exist, a pool is
                negative or infinite, or thrift lies outside -1..1.
        """
        num_clusters, num_hosts, _ = shape
        if self.verb.shape != shape or self.target.shape != shape:
            raise ValueError(f"orders are for {self.verb.shape} slots, the clusters have {shape}")
        if self.balance.shape != (num_clusters,) or self.pool_bytes.shape != shape[:2]:
            raise ValueError(f"balance or pool_bytes does not fit {num_clusters} x {num_hosts}")
        if self.verb.min(initial=0) < WAIT or self.verb.max(initial=0) > PLACE:
            raise ValueError(f"a verb is not one of {WAIT}..{PLACE}")
        directed = np.isin(self.verb, (MIGRATE, CLONE, PLACE))
        goals = self.target[directed]
        if goals.size and (goals.min() < 0 or goals.max() >= num_hosts):
            raise ValueError(f"MIGRATE, CLONE and PLACE need a target host in 0..{num_hosts - 1}")
        if np.any(np.isinf(self.pool_bytes) | (self.pool_bytes < 0)):
            raise ValueError("pool_bytes must be NaN, zero or positive")
        self._check_hosts(shape)

    def _check_hosts(self, shape: tuple[int, int, int]) -> None:
        if self.thrift is not None:
            if self.thrift.shape != shape[:2]:
                raise ValueError(
                    f"thrift is for {self.thrift.shape} hosts, the clusters have {shape[:2]}"
                )
            if not (np.abs(self.thrift) <= 1.0).all():
                raise ValueError("thrift must lie in -1..1")
        if self.power is None:
            return
        if self.power.shape != shape[:2]:
            raise ValueError(
                f"power is for {self.power.shape} hosts, the clusters have {shape[:2]}"
            )
        if self.power.min(initial=0) < LEAVE or self.power.max(initial=0) > WAKE:
            raise ValueError(f"what a host is told is not one of {LEAVE}..{WAKE}")


@dataclass(frozen=True, slots=True)
class Legal:
    """Which orders can be carried out, each as the only one of its cluster.

    WAIT always can. Per host pair: from where the VM is to where it or its clone would go.
    """

    squeeze: Bools  # (C, H, V) present, not boosted, and not alone on its host
    borrow: Bools  # (C, H, V) present, no twin, not borrowing, not paused, another host would lend
    recall: Bools  # (C, H, V) present, no twin, not paused or pushed, borrows or has far pages
    merge: Bools  # (C, H, V) present with a twin
    cancel: Bools  # (C, H, V) present, its move is being set up or copies
    migrate: Bools  # (C, H, V, H) present, no twin, not moving, slot and room for its size there
    clone: Bools  # (C, H, V, H) the same with room for a clone; clonable, not pinned, origin serves

    def of(self, orders: Orders) -> Bools:
        """Which of the given orders are legal on their own, (C, H, V)."""
        allowed = np.ones(orders.verb.shape, dtype=np.bool_)
        for verb, legal in (
            (SQUEEZE, self.squeeze),
            (BORROW, self.borrow),
            (RECALL, self.recall),
            (MERGE, self.merge),
            (CANCEL, self.cancel),
        ):
            np.copyto(allowed, legal, where=orders.verb == verb)
        goal = np.maximum(orders.target, 0).astype(np.int64)[..., None]
        for verb, pairs in ((CLONE, self.clone), (MIGRATE, self.migrate)):
            there = np.take_along_axis(pairs, goal, axis=3)[..., 0] & (orders.target >= 0)
            np.copyto(allowed, there, where=orders.verb == verb)
        return allowed


def legal(telemetry: ClusterTelemetry, slots: Ints | None = None) -> Legal:
    """The legal orders of each cluster; `Legal` states the rules.

    MIGRATE compares ``size_bytes`` of the VM with ``room_bytes`` of the target, CLONE its
    ``clone_bytes``; BORROW needs ``lendable_bytes`` on another host. These are the manager's own
    books, so the answer is exact. Moving to a host behind a cut link is legal: it will fail later.
    A passthrough device is no obstacle to MIGRATE, which switches it to the emulated one first.

    Args:
        telemetry: record of C clusters of H hosts with V slots.
        slots: (C, H, K) the slots that are asked about, -1 nobody; None: all V in their order.
    """

    def of_slots(values: NDArray[Any]) -> NDArray[Any]:
        if slots is None:
            return values
        return np.take_along_axis(values, np.maximum(slots, 0), axis=2)

    everyone = telemetry.present
    present = everyone if slots is None else of_slots(everyone) & (slots >= 0)
    phase, borrowing = of_slots(telemetry.move_phase), of_slots(telemetry.borrowing)
    alone = of_slots(telemetry.twin) == NOBODY
    early = (phase == SETUP) | (phase == COPYING)
    lenders = telemetry.lendable_bytes > 0.0
    elsewhere = lenders.sum(axis=1)[:, None] > lenders  # (C, H) another host would lend
    settled = present & alone & ((phase == IDLE) | early)
    movable = settled & ~early
    served = telemetry.lends[:, :, None]
    clonable = movable & of_slots(telemetry.clonable & ~telemetry.pinned) & served
    return Legal(
        squeeze=present & ~of_slots(telemetry.boosted) & (everyone.sum(axis=2) > 1)[:, :, None],
        borrow=settled & ~borrowing & elsewhere[:, :, None],
        recall=settled & (borrowing | (of_slots(telemetry.far_bytes) > 0.0)),
        merge=present & ~alone,
        cancel=present & early,
        migrate=_where_it_fits(telemetry, movable, of_slots(telemetry.size_bytes)),
        clone=_where_it_fits(telemetry, clonable, of_slots(telemetry.clone_bytes)),
    )


def _where_it_fits(telemetry: ClusterTelemetry, movable: Bools, needed: Floats) -> Bools:
    """Other hosts with a vacant slot and room for ``needed`` bytes (C, H, K), as (C, H, K, H)."""
    vacant = telemetry.vacant.any(axis=2)
    room = np.where(vacant, telemetry.room_bytes, -np.inf)  # (C, H)
    fits: Bools = needed[..., None] <= room[:, None, None, :]
    fits &= movable[..., None]
    own = np.arange(telemetry.num_hosts)
    fits[:, own, :, own] = False
    return fits
