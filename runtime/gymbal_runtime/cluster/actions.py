"""One number per cluster: which order it stands for, which numbers are legal, and back.

0 is nothing. Else the number is ``1 + (h * K + k) * (4 + H) + a``: host h, its k-th candidate, and
a = 0 SQUEEZE, 1 BORROW, 2 home (of a VM with a twin MERGE, of one being moved CANCEL, else RECALL),
3 CLONE to the legal host with most room, 4 + j MIGRATE to host j. A cluster gets at most one order
per decision, so whatever is legal on its own can be carried out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
    WAIT,
    Legal,
    Orders,
)
from gymbal_runtime.cluster.telemetry import IDLE, NOBODY, ClusterTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats

TO_SQUEEZE, TO_BORROW, TO_HOME, TO_CLONE, TO_MIGRATE = range(5)
"""Places of the orders in a candidate's block of ``4 + H`` actions; the last is host 0's."""

_VERBS = np.array([SQUEEZE, BORROW, WAIT, CLONE, MIGRATE])
"""Verb at each place; that of TO_HOME depends on the VM."""

_URGENCY = {CANCEL: 7, MIGRATE: 6, CLONE: 5, BORROW: 4, SQUEEZE: 3, MERGE: 2, RECALL: 1, WAIT: 0}
"""Which of a heuristic's orders goes first: what frees a link, then what was waited for long and
happens once, then what helps at once and can be repeated, then tidying up."""
_VERB_URGENCY = np.array([_URGENCY[verb] for verb in sorted(_URGENCY)])


def actions_of(num_hosts: int, num_candidates: int) -> int:
    """Number of actions of a cluster of H hosts with K candidates each."""
    return 1 + num_hosts * num_candidates * (TO_MIGRATE + num_hosts)


def verb_home(telemetry: ClusterTelemetry, slots: Ints) -> Ints:
    """What *home* means for the VMs in the given slots (C, H, K): MERGE, CANCEL or RECALL."""
    places = np.maximum(slots, 0)
    twin = np.take_along_axis(telemetry.twin, places, axis=2) != NOBODY
    moving = np.take_along_axis(telemetry.move_phase, places, axis=2) != IDLE
    return np.where(twin, MERGE, np.where(moving, CANCEL, RECALL))


def mask_of(legal: Legal, home: Ints) -> Bools:
    """Legal actions, (C, actions); 0 always is one.

    Args:
        legal: legal orders of the candidates (C, H, K).
        home: (C, H, K) what *home* means for each.
    """
    num_clusters, num_hosts, count = home.shape
    blocks = np.empty((num_clusters, num_hosts, count, TO_MIGRATE + num_hosts), dtype=np.bool_)
    blocks[..., TO_SQUEEZE] = legal.squeeze
    blocks[..., TO_BORROW] = legal.borrow
    blocks[..., TO_HOME] = np.where(
        home == MERGE, legal.merge, np.where(home == CANCEL, legal.cancel, legal.recall)
    )
    blocks[..., TO_CLONE] = legal.clone.any(axis=3)
    blocks[..., TO_MIGRATE:] = legal.migrate
    mask = np.ones((num_clusters, actions_of(num_hosts, count)), dtype=np.bool_)
    mask[:, 1:] = blocks.reshape(num_clusters, -1)
    return mask


def action_of(orders: Orders, slots: Ints, rank: Floats, home: Ints, mask: Bools) -> Ints:
    """The most urgent of the orders that an action can stand for, (C,); 0 where there is none.

    Orders to VMs that are no candidates, and those that the mask forbids, cannot be expressed; of
    CLONE the target is not.

    Args:
        orders: any.
        slots: (C, H, K) candidates.
        rank: (C, H, K) how urgent each candidate is, among orders with the same verb; below 5.
        home: (C, H, K) what *home* means for each.
        mask: (C, actions) legal actions.
    """
    num_clusters, num_hosts, count = slots.shape
    width = TO_MIGRATE + num_hosts
    places = np.maximum(slots, 0)
    verb = np.where(slots >= 0, np.take_along_axis(orders.verb, places, axis=2), WAIT)
    target = np.take_along_axis(orders.target, places, axis=2)
    offset = np.full(slots.shape, -1, dtype=np.int64)
    for said, place in ((SQUEEZE, TO_SQUEEZE), (BORROW, TO_BORROW), (CLONE, TO_CLONE)):
        offset[verb == said] = place
    offset = np.where((verb == home) & (verb != WAIT), TO_HOME, offset)
    offset = np.where(verb == MIGRATE, TO_MIGRATE + target, offset)
    block = np.arange(num_hosts * count).reshape(num_hosts, count)
    number = 1 + block * width + np.maximum(offset, 0)
    flat = number.reshape(num_clusters, -1)
    possible = (offset >= 0).reshape(num_clusters, -1)
    possible &= np.take_along_axis(mask, flat, axis=1)
    weight = np.where(possible, _VERB_URGENCY[verb].reshape(possible.shape) * 5.0, -np.inf)
    first = (weight + rank.reshape(possible.shape)).argmax(axis=1)
    rows = np.arange(num_clusters)
    return np.where(possible[rows, first], flat[rows, first], 0)


def orders_of(
    action: NDArray[np.integer], telemetry: ClusterTelemetry, slots: Ints, legal: Legal
) -> Orders:
    """The single order of each cluster that its action stands for.

    An action of no candidate, or CLONE where no host is legal, is WAIT. Others are not checked:
    what is illegal is refused when it is carried out.

    Args:
        action: (C,) numbers.
        telemetry: the record that was seen.
        slots: (C, H, K) its candidates.
        legal: legal orders of the candidates.

    Raises:
        ValueError: a number is not that of an action.
    """
    num_clusters, num_hosts, count = slots.shape
    number = np.asarray(action, dtype=np.int64)
    last = actions_of(num_hosts, count) - 1
    if number.shape != (num_clusters,) or number.min(initial=0) < 0 or number.max(initial=0) > last:
        raise ValueError(f"actions must be {num_clusters} numbers in 0..{last}")
    orders = Orders.none(*telemetry.shape)
    rows = np.flatnonzero(number)
    block, offset = np.divmod(number[rows] - 1, TO_MIGRATE + num_hosts)
    host, which = np.divmod(block, count)
    slot = slots[rows, host, which]
    home = verb_home(telemetry, slots)[rows, host, which]
    verb = np.where(offset == TO_HOME, home, _VERBS[np.minimum(offset, TO_MIGRATE)])
    room = np.where(legal.clone[rows, host, which], telemetry.room_bytes[rows], -1.0)
    goal = np.where(offset == TO_CLONE, room.argmax(axis=1), offset - TO_MIGRATE)
    pointless = (slot < 0) | ((offset == TO_CLONE) & (room.max(axis=1, initial=-1.0) < 0.0))
    told = ~pointless
    at = (rows[told], host[told], slot[told])
    orders.verb[at] = verb[told]
    directed = (verb == MIGRATE) | (verb == CLONE)
    orders.target[at] = np.where(directed, goal, NOBODY)[told]
    return orders
