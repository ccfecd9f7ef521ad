"""Rules that ask what VMs would do to each other: by table, by bubbles, by completed rows."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.telemetry import Ints
from gymbal_runtime.placement.books import COMING, IN_USE, SLEEPING, Books
from gymbal_runtime.placement.compatibility import CompatibilityTable
from gymbal_runtime.placement.heuristics.rule import PlacementRule
from gymbal_runtime.telemetry import Floats


@dataclass(frozen=True, eq=False)
class InterferenceRule(PlacementRule):
    """Weighs what a VM would suffer and cause on a host against using one host more.

    The cost of a host is the progress that the VM and those that run there would lose, as part of
    what all VMs of the centre want, weighted by shares. An empty host costs a part of all hosts on
    top, a sleeping one also the wait. Without ``greedy`` hosts in use come first, as for every
    rule.

    Attributes:
        host_cost: of using one host more, per host of the centre.
        wake_cost: of having to wait for a host that wakes: part of an interval's progress of the
            VM.
        greedy: weigh; else pack, and only choose the best of the hosts in use.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **PlacementRule.TUNABLE,
        "host_cost": (0.01, 2.0),
        "wake_cost": (0.0, 2.0),
    }

    host_cost: float = 0.2
    wake_cost: float = 0.2
    greedy: bool = True

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(
            self.name,
            host_cost=(self.host_cost, 0.0, 1e3),
            wake_cost=(self.wake_cost, 0.0, 1e3),
        )

    @abstractmethod
    def extra_time(self, books: Books, vm: Ints) -> tuple[Floats, Floats]:
        """What the VM would suffer and cause on each host, (C, H) each.

        The first is extra time as part of its own; the second adds up that of those that run
        there, times their worth (wanted MIPS times shares).
        """

    def cost(self, books: Books, vm: Ints) -> Floats:
        """Of each host, (C, H): part of the centre's progress."""
        suffered, caused = self.extra_time(books, vm)
        own = np.asarray(books.of(books.worth, vm), dtype=np.float64)[:, None]
        total = books.total_worth[:, None]
        hosts = np.maximum(books.telemetry.exists.sum(axis=1), 1)[:, None]
        lost = (own * suffered / (1.0 + suffered) + caused) / total
        later = (books.group == COMING) | (books.group == SLEEPING)
        new = (books.group != IN_USE) & (books.vms == 0)
        cost: Floats = lost + new * self.host_cost / hosts + later * self.wake_cost * own / total
        return cost

    def _score(self, books: Books, vm: Ints) -> Floats:
        return self.cost(books, vm)

    def _tiers(self, group: Ints) -> Floats:
        return np.zeros(group.shape) if self.greedy else super()._tiers(group)


@dataclass(frozen=True, eq=False)
class CompatibleFit(InterferenceRule):
    """The host where the table of co-runs says that least progress is lost.

    Extra times of several neighbours add up, each in proportion to its busy cores.

    Source: the incompatibility table of the programs' features that section 3.2 of the paper asks
    for (models.md 9).
    """

    name = "compatible"

    def extra_time(self, books: Books, vm: Ints) -> tuple[Floats, Floats]:
        """As the table has it, for the nearest reference program of each VM."""
        extra = self._table.extra_or_mean
        kind = np.asarray(books.of(books.kind, vm), dtype=np.int64)
        cores = np.asarray(books.of(books.cores, vm), dtype=np.float64)[:, None]
        suffered = np.einsum("chr,cr->ch", books.busy, extra[kind])
        caused = np.einsum("chr,cr->ch", books.weight, extra[:, kind].T) * cores
        return suffered, caused


@dataclass(frozen=True, eq=False)
class BubbleUp(InterferenceRule):
    """Share a host only where nobody would be slower than allowed, and then the fullest one.

    A host's VMs add up to a bubble; each program's sensitivity curve says what a bubble does to it.
    A VM's own curve is that of the nearest reference program.

    Source: Mars, Tang, Hundt, Skadron, Soffa, "Bubble-Up", MICRO 2011: pressure scores, sensitivity
    curves and a threshold of quality; scores of several neighbours are added (models.md 9).

    Attributes:
        allowed: extra time that a VM may suffer.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **PlacementRule.TUNABLE,
        "allowed": (0.01, 1.0),
    }
    name = "bubble_up"

    allowed: float = 0.15
    greedy: bool = False

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(self.name, allowed=(self.allowed, 0.0, 1e3))

    def extra_time(self, books: Books, vm: Ints) -> tuple[Floats, Floats]:
        """By the curves of all programs on a host at the bubbles that they see."""
        suffered, others = self._suffering(books, vm)
        return suffered, (others * books.weight).sum(axis=2)

    def _suffering(self, books: Books, vm: Ints) -> tuple[Floats, Floats]:
        """Extra time of the VM (C, H) and of each program (C, H, R + 1) with it on each host."""
        table = self._table
        score = np.append(table.score, table.score.mean())
        curve = np.vstack([table.curve, table.curve.mean(axis=0)])
        kind = np.asarray(books.of(books.kind, vm), dtype=np.int64)
        cores = np.asarray(books.of(books.cores, vm), dtype=np.float64)
        bubble = books.busy @ score  # (C, H)
        suffered = at_bubble(curve[kind][:, None], table.bubble_score, bubble)
        seen = bubble + (cores * score[kind])[:, None]
        mean = books.busy / np.maximum(books.vms, 1.0)[..., None]  # of itself a VM sees nothing
        own = np.minimum(mean, 1.0) * score
        others = at_bubble(curve, table.bubble_score, np.maximum(seen[..., None] - own, 0.0))
        return suffered, others

    def _score(self, books: Books, vm: Ints) -> Floats:
        suffered, others = self._suffering(books, vm)
        worst = np.where(books.weight > 0, others, 0.0).max(axis=2)
        shared = books.vms > 0
        too_slow = shared & (np.maximum(suffered, worst) > self.allowed)
        return np.where(too_slow, 1e5 + suffered, -books.use_after(vm))

    def rank(self, books: Books, vm: Ints) -> Floats:
        """A host that would be too slow comes after those that have to wake."""
        rank = super().rank(books, vm)
        slow = self._score(books, vm) > 1e4
        return rank + np.where(slow, 1e6 * 5.0, 0.0)


@dataclass(frozen=True, eq=False)
class Paragon(InterferenceRule):
    """As the table, but each VM has a row of its own: completed from the little known of it.

    The rows of all reference programs (what they suffer from each, what they cause to each, what
    their static profiles say) are, but for a few directions, alike. A VM's static profile says
    where it lies in these directions, and so all the rest of its row.

    Source: Delimitrou and Kozyrakis, "Paragon", ASPLOS 2013: collaborative filtering (singular
    value decomposition) of a sparse interference matrix, then greedy by interference.

    Attributes:
        directions: kept of the decomposition.
        ridge: keeps rows of strange profiles near the mean.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **InterferenceRule.TUNABLE,
        "ridge": (0.01, 10.0),
    }
    name = "paragon"

    directions: int = 3
    ridge: float = 0.5
    _maps: list[tuple[Floats, Floats]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(self.name, directions=(self.directions, 1, 64), ridge=(self.ridge, 1e-6, 1e6))

    def extra_time(self, books: Books, vm: Ints) -> tuple[Floats, Floats]:
        """By the VM's own row, completed from its static profile."""
        mean, weights = self._map
        count = self._table.count
        rows = np.maximum(mean + np.asarray(books.of(books.marks, vm)) @ weights, 0.0)
        suffers = np.hstack([rows[:, :count], rows[:, :count].mean(axis=1, keepdims=True)])
        causes = np.hstack([rows[:, count:], rows[:, count:].mean(axis=1, keepdims=True)])
        cores = np.asarray(books.of(books.cores, vm), dtype=np.float64)[:, None]
        suffered = np.einsum("chr,cr->ch", books.busy, suffers)
        caused = np.einsum("chr,cr->ch", books.weight, causes) * cores
        return suffered, caused

    @property
    def _map(self) -> tuple[Floats, Floats]:
        """Mean row (2 R,), and from a static profile to the difference from it, (3, 2 R)."""
        if not self._maps:
            self._maps.append(completion(self._table, self.directions, self.ridge))
        return self._maps[0]


def completion(table: CompatibilityTable, directions: int, ridge: float) -> tuple[Floats, Floats]:
    """The mean row of the table, (2 R,), and the map (3, 2 R) from static profiles to the rest.

    ``A = U S V'`` of the centred rows [suffers, causes, profile]; with the profile's columns known,
    the place z in the first directions is the least-squares one, and the row is ``z V'``.
    """
    rows = np.hstack([table.extra, table.extra.T])  # (R, 2 R)
    mean = rows.mean(axis=0)
    scale = max(float((rows - mean).std()), 1e-12)
    known = table.own_marks
    matrix = np.hstack([(rows - mean) / scale, known])
    _, size, axes = np.linalg.svd(matrix, full_matrices=False)
    kept = axes[:directions] * (size[:directions, None] / np.sqrt(len(matrix)))
    seen, rest = kept[:, -known.shape[1] :], kept[:, : -known.shape[1]]
    gram = seen @ seen.T + ridge * np.eye(len(seen))
    weights: Floats = np.linalg.solve(gram, seen).T @ rest * scale
    return mean, weights


def at_bubble(curve: Floats, scores: Floats, bubble: Floats) -> Floats:
    """Extra time at bubbles: curves (..., P) over rising scores (P,), linear, at ``bubble`` (...).

    Beyond the largest bubble a curve goes on as it ended.
    """
    position = np.clip(np.searchsorted(scores, bubble) - 1, 0, scores.size - 2)
    low, high = scores[position], scores[position + 1]
    part = (bubble - low) / np.maximum(high - low, 1e-12)
    shape = np.broadcast_shapes(curve.shape[:-1], position.shape)
    curves = np.broadcast_to(curve, (*shape, scores.size))
    index = np.broadcast_to(position, shape)[..., None]
    left = np.take_along_axis(curves, index, axis=-1)[..., 0]
    right = np.take_along_axis(curves, index + 1, axis=-1)[..., 0]
    extra: Floats = np.maximum(left + (right - left) * part, 0.0)
    return extra
