"""A cluster in a part of its episode, as those see it who want to change its plan.

Who loses when, who is where and who has room is read from the last trial of the plan; which moves
promise something comes from the placement problem of what lies ahead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.clairvoyant import moves_of
from gymbal_agents.oracles.cluster_foresight import Foresight
from gymbal_agents.oracles.cluster_plans import PATIENCE, Item, Plan
from gymbal_agents.oracles.cluster_trials import Trial
from gymbal_agents.oracles.placement import Places
from gymbal_agents.oracles.placement_descent import best_placement, best_responses
from gymbal_runtime.cluster.orders import MIGRATE

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Move:
    """A move that the placement problem promises something of."""

    vm: int
    target: int
    step: int

    def item(self, step: int) -> Item:
        """The order, begun at ``step``."""
        return Item(step, self.vm, MIGRATE, self.target, step + PATIENCE)


@dataclass(frozen=True, eq=False)
class Scene:
    """One cluster in the part of the episode whose orders are being changed.

    Attributes:
        plan: as it is.
        first: decision at which the part begins.
        last: the one after its last.
        lost: (W, H, V) what each VM lost in each decision from ``first`` on.
        vm_id: (W, H, V) who was where.
        size: (W, H, V) bytes that a move of each needs.
        away: (W, H, V) VMs that borrow or have pages elsewhere.
        room: (W, H) bytes that arrivals may have; -1 where no slot is vacant.
        lendable: (W, H) bytes that hosts would lend.
        moves: most promising first.
        joint: moves that together promise most; empty: none do.
        hosts: numbers of the hosts that exist.
        clonable: identities.
    """

    plan: Plan
    first: int
    last: int
    lost: Singles
    vm_id: NDArray[np.int16]
    size: Singles
    away: NDArray[np.bool_]
    room: Singles
    lendable: Singles
    moves: tuple[Move, ...]
    joint: tuple[Item, ...]
    hosts: Places
    clonable: frozenset[int]

    @property
    def own(self) -> list[Item]:
        """The plan's orders in this part."""
        return [item for item in self.plan.items if self.first <= item.step < self.last]

    def victim(self, rng: np.random.Generator) -> tuple[int, int]:
        """A VM that loses much, drawn in proportion, and a decision about when that begins."""
        every = self.vm_id[self.vm_id >= 0]
        names = np.unique(every)
        place = np.searchsorted(names, every)
        lost = np.bincount(place, weights=self.lost[self.vm_id >= 0], minlength=names.size)
        lost = np.maximum(lost, 1e-9)
        vm = int(rng.choice(names, p=lost / lost.sum()))
        by_step = np.where(self.vm_id == vm, self.lost, 0.0).sum(axis=(1, 2))
        onset = int((by_step > 0.3 * by_step.max()).argmax()) if by_step.max() > 0 else 0
        return vm, max(self.first + onset - int(rng.integers(0, 4)), self.first)

    def place(self, vm: int, step: int) -> tuple[int, int, int] | None:
        """Decision of the window, host and slot of a VM; None where it is not there."""
        k = min(step - self.first, len(self.vm_id) - 1)
        found = np.argwhere(self.vm_id[k] == vm)
        return (k, int(found[0, 0]), int(found[0, 1])) if len(found) else None

    def mates(self, place: tuple[int, int, int]) -> list[int]:
        """Everybody on the same host."""
        return [int(one) for one in self.vm_id[place[:2]] if one >= 0]

    def targets(self, vm: int, step: int, part: float = 1.0) -> list[int]:
        """Hosts that have room for a part of a VM, at the step or not long after it."""
        place = self.place(vm, step)
        if place is None:
            return []
        k, host, _ = place
        room = self.room[k : k + PATIENCE].max(axis=0)
        fits = room[self.hosts] >= part * self.size[place]
        return [int(one) for one in self.hosts[fits] if one != host]


def scene_of(
    foresight: Foresight, plan: Plan, best: Trial, n: int, first: int, last: int, with_joint: bool
) -> Scene:
    """What cluster ``n`` of a trial looks like.

    Args:
        foresight: of decision ``first``.
        plan: of the trial.
        best: the trial, from decision ``first`` on.
        n: which of its copies.
        first: decision at which the part begins.
        last: the one after its last.
        with_joint: look for moves that promise something together.
    """
    joint: list[Item] = []
    if with_joint:
        moves = moves_of(foresight, best_placement(foresight.problem), first)
        joint = [item for item in moves if item.step < last]
    scene = Scene(
        plan=plan,
        first=first,
        last=last,
        lost=best.lost[:, n],
        vm_id=best.vm_id[: best.window, n],
        size=best.size[:, n],
        away=best.away[:, n],
        room=best.room[:, n],
        lendable=best.lendable[:, n],
        moves=(),
        joint=tuple(joint),
        hosts=foresight.hosts,
        clonable=foresight.clonable,
    )
    return replace(scene, moves=_promising(foresight, scene, best.vm_id[:, n]))


def _promising(foresight: Foresight, scene: Scene, vm_id: NDArray[np.int16]) -> tuple[Move, ...]:
    """First moves of the VMs that would gain most, where there is room for them; best first."""
    paths, gains = best_responses(foresight.problem, _future_places(foresight, vm_id))
    moves = []
    for k in np.argsort(-gains, kind="stable"):
        away = np.flatnonzero(paths[k] != foresight.problem.home[k])
        if gains[k] <= 0.0 or not away.size:
            continue
        due = away[0] * foresight.knot_steps - foresight.move_steps[k]
        step, vm = scene.first + max(int(due), 0), int(foresight.vms[k])
        target = int(foresight.hosts[paths[k, away[0]]])
        if step < scene.first + len(scene.lost) and target in scene.targets(vm, step):
            moves.append(Move(vm, target, step))
    return tuple(moves)


def _future_places(foresight: Foresight, vm_id: NDArray[np.int16]) -> Places:
    """(V, T) where the problem's VMs will be at each knot, as in a trial (S, H, V).

    VMs that are gone, or not there yet, count as at home.
    """
    v, _, t = foresight.problem.shape
    steps = (np.arange(t) * foresight.knot_steps).astype(np.int64)
    seen = vm_id[np.minimum(steps, vm_id.shape[0] - 1)][:, foresight.hosts]
    where = np.repeat(foresight.problem.home[:, None], t, axis=1)
    for k in range(v):
        there = (seen == foresight.vms[k]).any(axis=2)  # (T, H)
        where[k] = np.where(there.any(axis=1), there.argmax(axis=1), where[k])
    return where
