"""What hosts have left for VMs while orders are made, and whole hosts that others can take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.cluster.telemetry import Ints
from gymbal_runtime.telemetry import Bools, Floats

_FULL = 1e6
"""Times its memory: a host that lacks so much takes nobody but in need."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What VMs take of a host, (...) each, of one shape."""

    reserved_bytes: Floats  # that a target must have for them now
    needed_bytes: Floats  # that they may need, by their peak of late
    cores: Floats  # that they want

    def at(self, *places: Ints) -> Sizes:
        """The sizes of some of them."""
        return Sizes(self.reserved_bytes[places], self.needed_bytes[places], self.cores[places])


@dataclass(frozen=True, eq=False)
class Rooms:
    """What hosts of n clusters have left, (n, H) each; changed in place as VMs are given to them.

    Attributes:
        memory_bytes: that may be reserved.
        headroom_bytes: that VMs may need until the host counts as full.
        cores: the same of CPU time.
        slots: vacant.
        capacity_bytes: of the hosts.
        avoided: hosts that take VMs only if these fit nowhere else.
    """

    memory_bytes: Floats
    headroom_bytes: Floats
    cores: Floats
    slots: Ints
    capacity_bytes: Floats
    avoided: Bools

    def of(self, clusters: Ints) -> Rooms:
        """A copy for some of the clusters, to try things."""
        return Rooms(
            self.memory_bytes[clusters],
            self.headroom_bytes[clusters],
            self.cores[clusters],
            self.slots[clusters],
            self.capacity_bytes[clusters],
            self.avoided[clusters],
        )

    def adopt(self, clusters: Ints, tried: Rooms) -> None:
        """Take over what was tried in these clusters."""
        self.memory_bytes[clusters] = tried.memory_bytes
        self.headroom_bytes[clusters] = tried.headroom_bytes
        self.cores[clusters] = tried.cores
        self.slots[clusters] = tried.slots

    def best_fit(self, sizes: Sizes, within_limits: bool = True) -> tuple[Ints, Bools]:
        """Host for one VM of each cluster: that with least left over, and whether there is one.

        Args:
            sizes: (n,) of the VMs.
            within_limits: only hosts that would not be full; else any that can take it, and the one
                with most left over.
        """
        possible: Bools = np.logical_and(
            sizes.reserved_bytes[:, None] <= self.memory_bytes, self.slots > 0
        )
        spare = np.maximum(self.headroom_bytes, -_FULL * self.capacity_bytes)
        left = (spare - sizes.needed_bytes[:, None]) / self.capacity_bytes
        if within_limits:
            within = np.logical_and(left >= 0.0, sizes.cores[:, None] <= self.cores)
            possible = np.logical_and(possible, within)
        else:
            left = -left
        preferred = np.logical_and(possible, ~self.avoided)
        possible = np.where(preferred.any(axis=1, keepdims=True), preferred, possible)
        goal = np.where(possible, left, np.inf).argmin(axis=1)
        found: Bools = np.asarray(possible.any(axis=1))
        return goal, found

    def take(self, clusters: Ints, goal: Ints, sizes: Sizes) -> None:
        """Give one VM of each of these clusters to a host, (m,) each."""
        at = (clusters, goal)
        self.memory_bytes[at] -= sizes.reserved_bytes
        self.headroom_bytes[at] -= sizes.needed_bytes
        self.cores[at] -= sizes.cores
        self.slots[at] -= 1


def clearing(
    rooms: Rooms, clusters: Ints, hosts: Ints, sizes: Sizes, movable: Bools
) -> tuple[Ints, Bools, Rooms]:
    """Where the VMs of one host of each cluster could go, the largest first.

    Args:
        rooms: of all clusters; not changed.
        clusters: (n,) which.
        hosts: (n,) the host to be cleared.
        sizes: (C, H, V) of all VMs.
        movable: (C, H, V) those that shall go.

    Returns:
        (n, V) target of the VM in each slot, -1 where none shall go or none was found; (n,) whether
        all of them found one; what would be left.
    """
    n, rows = clusters.size, np.arange(clusters.size)
    tried = rooms.of(clusters)
    tried.headroom_bytes[rows, hosts] = -np.inf  # not to itself
    tried.slots[rows, hosts] = 0
    mine, going = sizes.at(clusters, hosts), movable[clusters, hosts]
    order = np.argsort(np.where(going, -mine.needed_bytes, np.inf), axis=1, kind="stable")
    goals = np.full(going.shape, -1, dtype=np.int64)
    complete = np.ones(n, dtype=np.bool_)
    for rank in range(int(going.sum(axis=1).max(initial=0))):
        slot = order[:, rank]
        asked = going[rows, slot]
        one = mine.at(rows, slot)
        goal, found = tried.best_fit(one)
        given = np.flatnonzero(asked & found)
        goals[given, slot[given]] = goal[given]
        tried.take(given, goal[given], one.at(given))
        complete &= found | ~asked
    tried.headroom_bytes[rows, hosts] = rooms.headroom_bytes[clusters, hosts]
    tried.slots[rows, hosts] = rooms.slots[clusters, hosts]
    return goals, complete, tried
