"""What clusters will be told and when: plans that can be carried out, changed and compared.

A plan names VMs by their identity, not by where they are: after a change of an earlier order, later
ones still mean the same VM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.orders import CLONE, MIGRATE, WAIT, Orders, legal
from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PATIENCE = 12
"""Decisions for which orders usually wait until they are legal."""


class Item(NamedTuple):
    """One order to one VM.

    Attributes:
        step: decision at which it is due.
        vm: identity of the VM.
        verb: of `gymbal_runtime.cluster.orders`.
        target: host; `NOBODY` where the verb has none.
        until: last decision at which it is tried again as long as it is not legal.
    """

    step: int
    vm: int
    verb: int
    target: int = NOBODY
    until: int = -1


@dataclass(frozen=True)
class Plan:
    """What one cluster is told in T decisions.

    Attributes:
        items: in the order of their steps.
        balance: (T,) local agents divide the memory.
        pool_bytes: (T, H) memory that each host sets aside to lend; NaN: it lends what is free.
    """

    items: tuple[Item, ...]
    balance: Bools
    pool_bytes: Floats

    @classmethod
    def nothing(cls, steps: int, num_hosts: int, balance: bool = True) -> Plan:
        """Nobody is told anything."""
        pool = np.full((steps, num_hosts), np.nan)
        return cls((), np.full(steps, balance), pool)

    def with_items(self, *more: Item) -> Plan:
        """The same with further orders; they come after those of the same step."""
        return replace(self, items=tuple(sorted((*self.items, *more), key=_step_of)))

    def without(self, *some: Item) -> Plan:
        """The same without some of its orders."""
        return replace(self, items=tuple(item for item in self.items if item not in some))

    def balanced(self, first: int, last: int, balance: bool) -> Plan:
        """The same with local balancing on or off in decisions ``first`` to ``last`` - 1."""
        changed = self.balance.copy()
        changed[first:last] = balance
        return replace(self, balance=changed)


def _step_of(item: Item) -> int:
    return item.step


class Player:
    """Says decision by decision what plans of N clusters order.

    An order that is not legal when it is due waits until it is, or until it has expired. In one
    decision at most one such order leads to the same host, so that none counts on the memory of
    another. Recorded orders, which expire at once, are given as they were.

    Args:
        plans: N of them, all of the same length.
        step: decision at which to begin; what was due before is left out.
        waiting: for each plan, orders of before that are still waiting.
    """

    def __init__(
        self, plans: Sequence[Plan], step: int = 0, waiting: Sequence[Sequence[Item]] = ()
    ) -> None:
        self.plans = tuple(plans)
        self.step = step
        self._balance = np.stack([plan.balance for plan in plans])
        self._pool_bytes = np.stack([plan.pool_bytes for plan in plans])
        self._due: dict[int, list[tuple[int, Item]]] = {}
        self._waiting = [(n, item) for n, items in enumerate(waiting) for item in items]
        for n, plan in enumerate(self.plans):
            for item in plan.items:
                if item.step >= step:
                    self._due.setdefault(item.step, []).append((n, item))

    @property
    def waiting(self) -> list[list[Item]]:
        """For each plan, the orders that were due and are still waiting."""
        found: list[list[Item]] = [[] for _ in self.plans]
        for n, item in self._waiting:
            found[n].append(item)
        return found

    def only(self, which: NDArray[np.int64]) -> Player:
        """The player of some of the plans; it goes on where this one is."""
        waiting = self.waiting
        return Player([self.plans[n] for n in which], self.step, [waiting[n] for n in which])

    def orders(self, telemetry: ClusterTelemetry) -> Orders:
        """What the plans say in the next decision, for (N, H, V) slots."""
        orders = Orders.none(*telemetry.shape)
        now = min(self.step, self._balance.shape[1] - 1)
        orders.balance[:] = self._balance[:, now]
        orders.pool_bytes[:] = self._pool_bytes[:, now]
        asked = self._waiting + self._due.get(self.step, [])
        self._waiting = self._give(asked, telemetry, orders) if asked else []
        self.step += 1
        return orders

    def _give(
        self, asked: list[tuple[int, Item]], telemetry: ClusterTelemetry, orders: Orders
    ) -> list[tuple[int, Item]]:
        """Write the legal ones to ``orders``; those that wait on."""
        clusters = np.unique([n for n, _ in asked])
        row = {int(n): k for k, n in enumerate(clusters)}
        seen = telemetry.take_clusters(clusters)
        drafted, given, later = Orders.none(*seen.shape), [], []
        taken: set[tuple[int, int]] = set()
        for n, item in asked:
            k = row[n]
            place = np.argwhere(seen.vm_id[k] == item.vm)
            patient = item.until > item.step
            directed = item.verb in (MIGRATE, CLONE)
            busy = not len(place) or drafted.verb[k, *place[0]] != WAIT
            if busy or (patient and directed and (k, item.target) in taken):
                later.append((n, item))
                continue
            h, v = int(place[0, 0]), int(place[0, 1])
            drafted.verb[k, h, v], drafted.target[k, h, v] = item.verb, item.target
            taken.add((k, item.target))
            given.append((n, item, k, h, v))
        allowed = legal(seen).of(drafted)
        for n, item, k, h, v in given:
            if allowed[k, h, v]:
                orders.verb[n, h, v], orders.target[n, h, v] = item.verb, item.target
            else:
                later.append((n, item))
        return [(n, item) for n, item in later if item.until > self.step]


def recorded(orders: Orders, telemetry: ClusterTelemetry, step: int) -> list[list[Item]]:
    """The orders of one decision as items of each cluster, as far as they are legal."""
    found: list[list[Item]] = [[] for _ in range(telemetry.num_clusters)]
    if not orders.verb.any():
        return found
    given = (orders.verb != WAIT) & legal(telemetry).of(orders)
    for c, h, v in np.argwhere(given):
        vm, verb = int(telemetry.vm_id[c, h, v]), int(orders.verb[c, h, v])
        found[c].append(Item(step, vm, verb, int(orders.target[c, h, v]), step))
    return found


def put_orders(orders: Orders, clusters: NDArray[np.int64], said: Orders) -> None:
    """Tell the given clusters of ``orders`` what was said, in place."""
    for each in fields(said):
        if getattr(said, each.name) is not None:  # these clusters have no power to switch
            getattr(orders, each.name)[clusters] = getattr(said, each.name)
