"""What was done in an episode of a cluster: moves, and orders that were carried out.

Read from what was written down decision by decision; times are those of decisions, so they are
exact to one control interval (moves: to the instant of the order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
)
from gymbal_runtime.cluster.telemetry import IDLE, NOBODY

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

ARRIVED, CANCELLED, FAILED, UNDER_WAY = "arrived", "cancelled", "failed", "under way"
_KINDS = {
    "precopy": "pre-copy",
    "postcopy": "post-copy",
    "stop_and_copy": "stop-and-copy",
    "hybrid": "hybrid",
}
CLONED = "clone"
_SAME_S = 0.5
"""Two moves of a VM whose beginnings differ by less are one."""


@dataclass(frozen=True)
class Move:
    """A VM on its way to another host, or a clone that begins there.

    Attributes:
        vm: identity; of a clone, its own.
        kind: pre-copy, post-copy, stop-and-copy, hybrid or clone.
        source: host.
        target: host.
        begins_s: when it was ordered.
        switches_s: when the VM runs at its target; NaN where it does not.
        ends_s: when nothing of it is left to do; the end of the record where it is under way.
        outcome: arrived, cancelled, failed (given up by itself) or under way.
    """

    vm: int
    kind: str
    source: int
    target: int
    begins_s: float
    switches_s: float
    ends_s: float
    outcome: str

    @property
    def lasts_s(self) -> float:
        """Seconds from the order to the end."""
        return self.ends_s - self.begins_s


@dataclass(frozen=True)
class Order:
    """An order that was carried out.

    Attributes:
        time_s: of the decision.
        host: where the VM was then.
        vm: identity.
        verb: as in `gymbal_runtime.cluster.orders`.
    """

    time_s: float
    host: int
    vm: int
    verb: int


def moves_of(episode: ClusterEpisode) -> list[Move]:
    """All moves and clones, in the order of their beginning."""
    tracks = episode.tracks
    phase = tracks.of_vms(episode.phase, IDLE)
    elsewhere = (np.diff(tracks.host, axis=0) != 0) & (tracks.host[1:] != NOBODY)
    found = _clones(episode)
    for column in np.flatnonzero((phase != IDLE).any(axis=0) | elsewhere.any(axis=0)):
        found += _moves_of_vm(episode, int(column))
    return sorted(found, key=lambda move: (move.begins_s, move.vm))


def _moves_of_vm(episode: ClusterEpisode, column: int) -> list[Move]:
    """The moves of one VM: from an order on until it has no phase any more."""
    tracks, time_s = episode.tracks, episode.time_s
    host = tracks.host[:, column]
    phase, goal, elapsed = (
        tracks.of_vms(values)[:, column] for values in (episode.phase, episode.goal, episode.move_s)
    )
    failed = tracks.of_vms(episode.failed)[:, column] > 0.0
    kind = _KINDS[episode.scenario.migration.method]
    found: list[Move] = []
    move: Move | None = None
    for k, now in enumerate(time_s):
        there = host[k] != NOBODY
        moving = there and phase[k] != IDLE
        jumped = bool(k and there and host[k - 1] not in (NOBODY, host[k]))
        begins = float(now - elapsed[k]) if moving else float(time_s[max(k - 1, 0)])
        if move is not None and moving and begins > move.begins_s + _SAME_S:
            found.append(
                _ended(move, begins, failed[k])
            )  # one ended and another began within the interval
            move = None
        if move is None and (moving or jumped):
            target = int(host[k] if jumped else goal[k])
            source = int(host[k - 1] if jumped else host[k])
            vm = int(tracks.ids[column])
            move = Move(vm, kind, source, target, begins, np.nan, float(now), UNDER_WAY)
        if move is not None and jumped:
            move = replace(move, target=int(host[k]), switches_s=float(now))
        if move is not None and not moving:
            found.append(_ended(move, float(now), failed[k]))
            move = None
    return found if move is None else [*found, replace(move, ends_s=float(time_s[-1]))]


def _ended(move: Move, now_s: float, failed: bool) -> Move:
    outcome = ARRIVED
    if np.isnan(move.switches_s):
        outcome = FAILED if failed else CANCELLED
    return replace(move, ends_s=now_s, outcome=outcome)


def _clones(episode: ClusterEpisode) -> list[Move]:
    """VMs that were not there at the start and have a twin."""
    tracks = episode.tracks
    twin = tracks.of_vms(episode.twin, NOBODY)
    found = []
    for column in np.flatnonzero((tracks.host[0] == NOBODY) & (twin != NOBODY).any(axis=0)):
        first = int(np.argmax(twin[:, column] != NOBODY))
        begins, runs = float(episode.time_s[max(first - 1, 0)]), float(episode.time_s[first])
        where = (int(twin[first, column]), int(tracks.host[first, column]))
        found.append(Move(int(tracks.ids[column]), CLONED, *where, begins, runs, runs, ARRIVED))
    return found


def orders_of(episode: ClusterEpisode, moves: Sequence[Move] | None = None) -> list[Order]:
    """Orders that were carried out, in the order of time, as the manager's books show them.

    What ends without an order looks like one: the move of a VM that ends like CANCEL, a VM that no
    longer borrows because the memory was lost like RECALL.

    Args:
        episode: what was written down.
        moves: `moves_of` it, where they are known already.
    """
    moves = moves_of(episode) if moves is None else moves
    tracks = episode.tracks
    stays = (tracks.host[1:] != NOBODY) & (tracks.host[:-1] != NOBODY)
    boosted, borrowing = (
        tracks.of_vms(values, False).astype(np.bool_)
        for values in (episode.boosted, episode.borrowing)
    )
    paired = tracks.of_vms(episode.twin, NOBODY) != NOBODY
    found = []
    for verb, state, wanted in (
        (SQUEEZE, boosted, True),
        (BORROW, borrowing, True),
        (RECALL, borrowing, False),
        (CLONE, paired, True),
        (MERGE, paired, False),
    ):
        changed = stays & (state[1:] == wanted) & (state[:-1] != wanted)
        for k, column in np.argwhere(changed):
            host, vm = int(tracks.host[k, column]), int(tracks.ids[column])
            found.append(Order(float(episode.time_s[k]), host, vm, verb))
    for move in moves:
        if move.kind != CLONED:
            found.append(Order(move.begins_s, move.source, move.vm, MIGRATE))
        if move.outcome == CANCELLED:
            found.append(Order(move.ends_s, move.source, move.vm, CANCEL))
    return sorted(found, key=lambda order: (order.time_s, order.host, order.vm, order.verb))
