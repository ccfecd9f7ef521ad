"""Rules of bin packing: the first, the fullest, the emptiest, any host, the least rise of power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.telemetry import Ints
from gymbal_runtime.placement.books import COMING, SLEEPING, Books
from gymbal_runtime.placement.heuristics.rule import PlacementRule
from gymbal_runtime.telemetry import Floats


@dataclass(frozen=True, eq=False)
class FirstFit(PlacementRule):
    """The first host with room.

    Source: Johnson, Demers, Ullman, Garey, Graham, SIAM J. Computing 3(4), 1974; the default of
    many managers.
    """

    name = "first_fit"

    def _score(self, books: Books, vm: Ints) -> Floats:
        place = np.arange(books.telemetry.num_hosts, dtype=np.float64)
        return np.broadcast_to(place, books.group.shape)


@dataclass(frozen=True, eq=False)
class BestFit(PlacementRule):
    """The host on which least CPU would be left over.

    Source: as `FirstFit`; VMs with most memory first, it is best fit decreasing.
    """

    name = "best_fit"

    def _score(self, books: Books, vm: Ints) -> Floats:
        return -books.use_after(vm)


@dataclass(frozen=True, eq=False)
class WorstFit(PlacementRule):
    """Spread: the host on which most CPU would be left over, empty or not.

    Source: worst fit; the default of OpenStack's scheduler (its weighers prefer free hosts).

    Attributes:
        wake: prefer to wake a host to sharing one.
    """

    name = "worst_fit"

    wake: bool = False

    def _score(self, books: Books, vm: Ints) -> Floats:
        return books.use_after(vm)

    def _tiers(self, group: Ints) -> Floats:
        asleep = (group == SLEEPING) | (group == COMING)
        return np.where(asleep & (not self.wake), 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class RandomFit(PlacementRule):
    """Any host with room.

    The draw is a hash of VM and host, so that the same question gets the same answer.

    Attributes:
        seed: of the draw.
    """

    name = "random_fit"

    seed: int = 0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(self.name, seed=(self.seed, 0, 2**31))

    def _score(self, books: Books, vm: Ints) -> Floats:
        host = np.arange(books.telemetry.num_hosts, dtype=np.uint64)
        rows = (vm.astype(np.uint64) + np.uint64(self.seed))[:, None] * np.uint64(2654435761)
        mixed = (rows ^ (host * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
        return (mixed >> np.uint64(40)).astype(np.float64) / 2.0**24


@dataclass(frozen=True, eq=False)
class PowerFit(PlacementRule):
    """The host whose power would rise least: PABFD.

    Source: power-aware best fit decreasing of Beloglazov and Buyya, CCPE 24(13), 2012, algorithm 2.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = PlacementRule.TUNABLE
    name = "pabfd"

    def _score(self, books: Books, vm: Ints) -> Floats:
        curve = books.telemetry.power_w
        before = books.wanted_mips / np.maximum(books.capacity_mips, 1e-9)
        return watts(curve, books.use_after(vm)) - watts(curve, before)


def watts(curve: Floats, utilisation: Floats) -> Floats:
    """W of hosts (C, H) by their curves (C, H, points), linear between the points.

    `gymbal_runtime.centre.rules.power.power_w` for many hosts at once.
    """
    steps = curve.shape[-1] - 1
    position = np.clip(utilisation, 0.0, 1.0) * steps
    below = np.minimum(position.astype(np.int64), steps - 1)
    low = np.take_along_axis(curve, below[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(curve, below[..., None] + 1, axis=-1)[..., 0]
    drawn: Floats = low + (high - low) * (position - below)
    return drawn
