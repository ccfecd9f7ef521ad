"""Where VMs should be when the whole future is known, as an abstract problem with linear costs.

T steps, V virtual machines with known needs of memory and cores, H hosts. In every step each VM is
on one host; to be on another than before costs what a move of this VM costs. What a host's VMs need
beyond its memory lies in the free memory of other hosts at one price per byte and step, as far as
there is any, and on its swap device at another; missing cores have a price, too. The costs are
linear, so that an integer program can say what is optimal (`placement_milp`; models.md 12, row E2);
`placement_descent` finds good answers to large problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlacementProblem:
    """V VMs on H hosts over T steps.

    Attributes:
        need: (V, T) bytes that each VM needs.
        cores: (V, T) cores that each wants.
        memory: (H,) bytes.
        cpu: (H,) cores.
        slots: (H,) VMs that a host can take.
        home: (V,) where each is before the first step.
        move_cost: (V,) of one move.
        far_price: per byte and step that lies in other hosts' memory.
        swap_price: per byte and step that lies on the swap device; not below `far_price`.
        core_price: per missing core and step.
    """

    need: Floats
    cores: Floats
    memory: Floats
    cpu: Floats
    slots: Places
    home: Places
    move_cost: Floats
    far_price: float
    swap_price: float
    core_price: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(V, H, T)."""
        return self.need.shape[0], self.memory.size, self.need.shape[1]

    @property
    def at_home(self) -> Places:
        """(V, T): nobody ever moves."""
        return np.repeat(self.home[:, None], self.need.shape[1], axis=1)

    def ride_out(self, excess: Floats, spare: Floats, missing: Floats) -> Floats:
        """Cost of steps from what all hosts lack, have to spare, and lack of cores; any shape."""
        far = np.minimum(excess, spare)
        cost: Floats = far * self.far_price + (excess - far) * self.swap_price
        return cost + missing * self.core_price

    def moves(self, where: Places) -> Places:
        """(V,) number of moves in a placement (V, T)."""
        before = np.concatenate([self.home[:, None], where[:, :-1]], axis=1)
        count: Places = (where != before).sum(axis=1)
        return count


class Load(NamedTuple):
    """What is on hosts, arrays (..., H, T)."""

    memory: Floats  # bytes
    cores: Floats
    guests: Floats  # VMs

    def plus(self, memory: Floats, cores: Floats, guests: Floats | float) -> Load:
        """With more."""
        return Load(self.memory + memory, self.cores + cores, self.guests + guests)


def load_of(problem: PlacementProblem, where: Places) -> Load:
    """What a placement (V, T) puts on each host, (H, T)."""
    _, h, _ = problem.shape
    there = (where[:, None, :] == np.arange(h)[:, None]).astype(np.float64)
    return Load(
        np.einsum("vht,vt->ht", there, problem.need),
        np.einsum("vht,vt->ht", there, problem.cores),
        there.sum(axis=0),
    )


def placement_cost(problem: PlacementProblem, where: Places) -> float:
    """Cost of a placement (V, T); infinite where a host has more VMs than slots."""
    load = load_of(problem, where)
    if np.any(load.guests > problem.slots[:, None]):
        return float("inf")
    moved = problem.moves(where) @ problem.move_cost
    return float(problem.ride_out(*totals(problem, load)).sum() + moved)


def totals(problem: PlacementProblem, load: Load) -> tuple[Floats, Floats, Floats]:
    """Excess, spare memory and missing cores of all hosts, (..., T), from loads (..., H, T)."""
    over = load.memory - problem.memory[:, None]
    missing = np.maximum(load.cores - problem.cpu[:, None], 0.0)
    return (
        np.maximum(over, 0.0).sum(axis=-2),
        np.maximum(-over, 0.0).sum(axis=-2),
        missing.sum(axis=-2),
    )


def without(problem: PlacementProblem, where: Places, groups: Places) -> Load:
    """The load (P, H, T) where the VMs of each of P groups (P, G) are taken away."""
    _, h, _ = problem.shape
    all_of_them = load_of(problem, where)
    memory, cores, guests = (np.repeat(one[None], len(groups), axis=0) for one in all_of_them)
    for vm in groups.T:
        there = where[vm][:, None, :] == np.arange(h)[:, None]
        memory -= there * problem.need[vm][:, None]
        cores -= there * problem.cores[vm][:, None]
        guests -= there
    return Load(memory, cores, guests)


def step_costs(problem: PlacementProblem, where: Places, vms: Places) -> Floats:
    """(P, H, T) cost of every step with VM p on host h and all others where they are."""
    left = without(problem, where, vms[:, None])
    return _with_one_more(problem, left, vms)


def pair_costs(problem: PlacementProblem, where: Places, pairs: Places) -> Floats:
    """(P, H, H, T) the same for pairs (P, 2): the first on host g, the second on host h."""
    _, h, _ = problem.shape
    left, first = without(problem, where, pairs), pairs[:, 0]
    answers = []
    for host in range(h):
        here = (np.arange(h) == host)[:, None].astype(np.float64)
        one = here * problem.need[first][:, None], here * problem.cores[first][:, None], here
        answers.append(_with_one_more(problem, left.plus(*one), pairs[:, 1]))
    return np.stack(answers, axis=1)


def _with_one_more(problem: PlacementProblem, left: Load, vms: Places) -> Floats:
    """Cost (P, H, T) of all steps with VM p on host h besides what is there, ``left`` (P, H, T)."""
    added = left.plus(problem.need[vms][:, None], problem.cores[vms][:, None], 1.0)
    excess, spare, missing = totals(problem, left)
    over = left.memory - problem.memory[:, None]
    after = added.memory - problem.memory[:, None]
    cpu = problem.cpu[:, None]
    lack = np.maximum(added.cores - cpu, 0.0) - np.maximum(left.cores - cpu, 0.0)
    cost = problem.ride_out(
        excess[:, None] + np.maximum(after, 0.0) - np.maximum(over, 0.0),
        spare[:, None] + np.maximum(-after, 0.0) - np.maximum(-over, 0.0),
        missing[:, None] + lack,
    )
    slots = problem.slots[:, None]
    full: NDArray[np.bool_] = np.any(left.guests > slots, axis=1, keepdims=True)
    return np.where((added.guests > slots) | full, np.inf, cost)
