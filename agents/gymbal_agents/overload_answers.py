"""What was done about overloads of hosts and shortages of VMs: what was ordered, and when.

`gymbal_envs.tasks.cluster_overloads` says what they are: in an overload a host's VMs need more than
the host has for them; in a shortage a VM loses progress to memory. The answer to an overload is
what was ordered for VMs of that host while it lasted; to a shortage, what was ordered for the VM,
and that a neighbour moved or was cloned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.tasks.cluster_events import Order
from gymbal_envs.tasks.cluster_overloads import (
    RELEASE_S,
    Overload,
    Shortage,
    overloads_of,
    shortages_of,
    stretches,
)
from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_runtime.cluster.orders import BORROW, CLONE, MIGRATE, SQUEEZE
from gymbal_runtime.cluster.telemetry import COPYING, LAST_COPY, NOBODY, SETUP

Floats = NDArray[np.float64]

ANSWERS = (SQUEEZE, BORROW, MIGRATE, CLONE)
"""Orders that answer an overload; the others undo one of them."""
NEIGHBOUR = -1
"""In place of a verb: another VM of the same host was told to move, or cloned."""
BY_ITSELF, SQUEEZED, BORROWED, MOVED, CLONED, NOT_OVER = (
    "by itself", "squeezed", "borrowing", "a VM moved", "a VM cloned", "not over",
)  # fmt: skip
LEAVING = (SETUP, COPYING, LAST_COPY)
"""Phases of a move in which the VM is still at its source."""
ENDS = (BY_ITSELF, SQUEEZED, BORROWED, MOVED, CLONED, NOT_OVER)
"""How an overload ended; the last that applies."""


@dataclass(frozen=True)
class Answered:
    """When what was ordered, counted from the beginning of what it answers.

    Attributes:
        scenario: number of it.
        delays: by verb of `ANSWERS`, and `NEIGHBOUR`: seconds until the decision; -inf where it was
            in force already, inf where it was not ordered.
    """

    scenario: int
    delays: dict[int, float]

    @property
    def in_force(self) -> bool:
        """Whether something was in force at the beginning."""
        return any(delay == -np.inf for delay in self.delays.values())

    @property
    def first(self) -> int | None:
        """Verb that was ordered first; None where none was, or one was in force already."""
        verb = min(self.delays, key=lambda verb: self.delays[verb])
        return verb if np.isfinite(self.delays[verb]) else None


@dataclass(frozen=True)
class Answer(Answered):
    """What was done about an overload of a host.

    In force is what half of the missing memory's VMs had at the beginning: VMs that lack at least
    half of what all VMs of the host lack borrowed, were squeezed for, or had a clone; or some VM
    was on its way to another host.

    Attributes:
        overload: when, where, how bad.
        alone_s: how long the VMs that were there at its beginning would have needed more than the
            host had then, had nobody done anything; until the end of the scenario at most. NaN
            where a clone was among them.
        ended: one of `ENDS`.
    """

    overload: Overload
    alone_s: float
    ended: str


@dataclass(frozen=True)
class VmAnswer(Answered):
    """What was done about a shortage of a VM.

    Attributes:
        shortage: when, who, how bad.
    """

    shortage: Shortage

    @property
    def left_s(self) -> float:
        """How long the shortage lasted from the first order on; all of it where there was none."""
        first = self.first
        return self.shortage.lasts_s - (0.0 if first is None else self.delays[first])


def answers_of(
    episode: ClusterEpisode,
    orders: Sequence[Order],
    alone: Mapping[int, Floats],
    scenario: int = 0,
) -> list[Answer]:
    """What was done about each overload of an episode.

    Args:
        episode: what happened.
        orders: `orders_of` it.
        alone: (T,) bytes that each VM needs when nobody does anything, by identity.
        scenario: its number.
    """
    return [
        Answer(
            scenario=scenario,
            overload=overload,
            alone_s=_alone_s(episode, overload, alone),
            delays=_delays(episode, overload, orders),
            ended=_end_of(episode, overload),
        )
        for overload in overloads_of(episode)
    ]


def _alone_s(episode: ClusterEpisode, overload: Overload, alone: Mapping[int, Floats]) -> float:
    there = episode.vm_id[overload.first, overload.host]
    vms = there[there != NOBODY].tolist()
    if any(vm not in alone for vm in vms):
        return float("nan")
    needed = np.sum([alone[vm] for vm in vms], axis=0)
    has = episode.available_bytes[overload.first, overload.host]
    short = needed > has
    short[: overload.first] = False
    if not short[overload.first]:
        return 0.0
    _, last = stretches(short, episode.time_s, RELEASE_S)[0]
    return float(episode.time_s[min(last, short.size - 1)]) - overload.begins_s


def _delays(
    episode: ClusterEpisode, overload: Overload, orders: Sequence[Order]
) -> dict[int, float]:
    """From the beginning to the first order of each kind."""
    start, host = overload.first, overload.host
    lack = np.maximum(episode.needed_bytes - episode.held_bytes, 0.0)[start, host]
    half = max(0.5 * float(lack.sum()), 1.0)
    moving = np.isin(episode.phase[start, host], LEAVING)
    in_force = {
        SQUEEZE: lack[episode.boosted[start, host]].sum() >= half,
        BORROW: lack[episode.borrowing[start, host]].sum() >= half,
        MIGRATE: bool(moving.any()),
        CLONE: lack[episode.twin[start, host] != NOBODY].sum() >= half,
    }
    delays = {verb: -np.inf if in_force[verb] else np.inf for verb in ANSWERS}
    for order in orders_during(orders, overload):
        if order.verb in delays:
            delays[order.verb] = min(delays[order.verb], order.time_s - overload.begins_s)
    return delays


def vm_answers_of(
    episode: ClusterEpisode, orders: Sequence[Order], scenario: int = 0
) -> list[VmAnswer]:
    """What was done about each shortage of an episode.

    Args:
        episode: what happened.
        orders: `orders_of` it.
        scenario: its number.
    """
    return [
        VmAnswer(scenario, _vm_delays(episode, shortage, orders), shortage)
        for shortage in shortages_of(episode)
    ]


def _vm_delays(
    episode: ClusterEpisode, shortage: Shortage, orders: Sequence[Order]
) -> dict[int, float]:
    """From the beginning to the first order of each kind."""
    start, host = shortage.first, shortage.host
    mine = episode.vm_id[start, host] == shortage.vm
    moving = np.isin(episode.phase[start, host], LEAVING)
    in_force = {
        SQUEEZE: episode.boosted[start, host][mine].any(),
        BORROW: episode.borrowing[start, host][mine].any(),
        MIGRATE: moving[mine].any(),
        CLONE: (episode.twin[start, host][mine] != NOBODY).any(),
        NEIGHBOUR: moving[~mine].any(),
    }
    delays = {verb: -np.inf if there else np.inf for verb, there in in_force.items()}
    for order in orders:
        if not shortage.begins_s <= order.time_s < shortage.ends_s:
            continue
        verb = order.verb
        if order.vm != shortage.vm:
            if order.host != shortage.host or verb not in (MIGRATE, CLONE):
                continue
            verb = NEIGHBOUR
        if verb in delays:
            delays[verb] = min(delays[verb], order.time_s - shortage.begins_s)
    return delays


def orders_during(orders: Sequence[Order], overload: Overload) -> list[Order]:
    """Orders for VMs of the overloaded host while it was."""
    return [
        order
        for order in orders
        if order.host == overload.host and overload.begins_s <= order.time_s < overload.ends_s
    ]


def _end_of(episode: ClusterEpisode, overload: Overload) -> str:
    """One of `ENDS`: the last that applies."""
    if not overload.over:
        return NOT_OVER
    host, during = overload.host, slice(overload.first, overload.last)
    if (episode.twin[overload.last, host] != NOBODY).any():
        return CLONED
    tracks = episode.tracks
    where = tracks.host[overload.first : overload.last + 1]
    left = (where[:-1] == host) & (where[1:] != host) & (where[1:] != NOBODY)
    if left.any():
        return MOVED
    last = overload.last - 1
    if (episode.borrowing[last, host] | (episode.far_bytes[last, host] > 0.0)).any():
        return BORROWED
    if episode.boosted[during, host].any():
        return SQUEEZED
    return BY_ITSELF
