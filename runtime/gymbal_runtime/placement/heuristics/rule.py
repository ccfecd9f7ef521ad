"""What rules of placement have in common: the queue, rooms, who is woken, who falls asleep.

Rules differ in how they rank hosts for a VM. What is the same for all of them, and for policies:

* VMs get their hosts one after the other, and each sees what was booked before (`Books`);
* a host has the memory for a VM, or it is out of the question;
* a host that sleeps and is chosen is woken, and the VM waits until it is on;
* a host that has been empty for as long as waking it costs falls asleep (DelayedOff of Gandhi et
  al., ACM TOCS 30(4), 2012; models.md 7.1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.idle import IdleClock, break_even_s
from gymbal_runtime.centre.telemetry import NOWHERE, CentreTelemetry, Ints
from gymbal_runtime.placement.books import IN_USE, Books
from gymbal_runtime.placement.compatibility import CompatibilityTable, shipped_table
from gymbal_runtime.placement.orders import PlacementOrders
from gymbal_runtime.placement.queue import queue_of
from gymbal_runtime.telemetry import Bools, Floats

TIER = 1e6
"""Between ranks that nothing within a rank can outweigh."""
PATIENCE = 1.0
"""Times `break_even_s` that a host is empty until it falls asleep, whoever places VMs."""


@dataclass(frozen=True, eq=False)
class PlacementRule(ABC):
    """A rule that gives VMs their hosts; subclasses rank hosts (``_score``).

    Hosts with VMs come before empty ones, those before hosts that are on their way to be on, and
    those before sleeping ones. Last come hosts that are too full, so that a VM waits only where no
    host has the memory.

    Attributes:
        TUNABLE: parameter -> (low, high), what a tuner may vary and how far.
        ceiling: 1, part of a host's MIPS up to which it is filled.
        arrival_frac: 1, part of its MIPS that a VM which comes counts with at least; CloudSim
            counts all.

    Raises:
        ValueError: naming the option that is out of range.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "ceiling": (0.1, 1.2),
        "arrival_frac": (0.0, 1.0),
    }
    name: ClassVar[str] = "rule"

    ceiling: float = 0.8
    arrival_frac: float = 0.5
    _idle: IdleClock = field(init=False, repr=False, default_factory=IdleClock)

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        check_range(
            self.name,
            ceiling=(self.ceiling, 0.01, 10.0),
            arrival_frac=(self.arrival_frac, 0.0, 1.0),
        )

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget since when hosts of the marked centres are empty."""
        self._idle.forget(num_worlds, worlds)

    def act(self, telemetry: CentreTelemetry) -> PlacementOrders:
        """A host for every VM that waits, in every centre of the record."""
        chosen = np.full(telemetry.present.shape, NOWHERE, dtype=np.int64)
        queue = queue_of(telemetry)
        with np.errstate(all="ignore"):  # empty places may hold anything
            if (queue != NOWHERE).any():
                self._fill(Books(telemetry, self._table), queue, chosen)
            idle = self._idle.idle_s(telemetry)
            due = telemetry.running & (idle > 0) & (idle >= PATIENCE * break_even_s(telemetry))
        return PlacementOrders.of(telemetry, chosen, due)

    def _fill(self, books: Books, queue: Ints, chosen: Ints) -> None:
        """Choose for one VM of each centre at a time, in the order of the queue (C, M)."""
        for k in range(queue.shape[1]):
            vm = queue[:, k]
            if (vm == NOWHERE).all():
                break
            host = self.choose(books, vm)
            there = vm != NOWHERE
            chosen[there, vm[there]] = host[there]
            books.book(vm, host)

    def choose(self, books: Books, vm: Ints) -> Ints:
        """Host for one VM of each centre (C,), NOWHERE where none has the memory."""
        fits = books.fits(vm)
        rank = np.where(fits, self.rank(books, vm), np.inf)
        best: Ints = np.where(fits.any(axis=1), rank.argmin(axis=1), NOWHERE)
        return best

    def rank(self, books: Books, vm: Ints) -> Floats:
        """Of each host for one VM of each centre, (C, H), the least is best."""
        tiers = self._tiers(books.group) + np.where(self._too_full(books, vm), 10.0, 0.0)
        rank: Floats = TIER * tiers + self._score(books, vm)
        return rank

    # What rules differ in.

    @abstractmethod
    def _score(self, books: Books, vm: Ints) -> Floats:
        """Of each host within its tier, (C, H), far below `TIER`."""

    def _tiers(self, group: Ints) -> Floats:
        return group.astype(np.float64)

    def _too_full(self, books: Books, vm: Ints) -> Bools:
        """Hosts that the VM would fill too far; an empty one never is."""
        asked = np.asarray(books.of(books.asks_mips, vm), dtype=np.float64)
        most = self.arrival_frac * np.asarray(books.of(books.telemetry.vm_mips, vm))
        missing = np.maximum(most - asked, 0.0)[:, None] / np.maximum(books.capacity_mips, 1e-9)
        full: Bools = books.use_after(vm) + missing > self.ceiling
        shared: Bools = (books.group == IN_USE) | (books.vms > 0)
        both: Bools = full & shared
        return both

    @property
    def _table(self) -> CompatibilityTable:
        return shipped_table()
