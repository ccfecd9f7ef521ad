"""What all rules for moves between sites have in common: who is next, and when memory follows."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.building import check_range
from gymbal_runtime.sites.agent import SitesAgent
from gymbal_runtime.sites.estimates import disk_s, expected_rate, memory_s, worth
from gymbal_runtime.sites.orders import (
    CONTINUE,
    COPY,
    COPY_REDUCED,
    REPLICATE,
    SitesOrders,
)
from gymbal_runtime.sites.telemetry import (
    AT_SOURCE,
    MIRROR,
    PRECOPY,
    SitesTelemetry,
)
from gymbal_runtime.telemetry import Bools, Floats

Order = Literal["worth", "smallest", "largest"]
MOST_AT_ONCE = 8.0
_FIRST_S = 1e9
"""Takes memories before all disks, whatever their keys are."""


@dataclass(frozen=True, eq=False)
class MoveRule(SitesAgent):
    """A rule that starts moves one after the other, a few at a time.

    Every VM goes the same way: disk replication, then, once its disk has been copied and the VM is
    quiet (or patience ends), memory. Rules differ in how memory goes and when the VM is stopped.
    They remember nothing: all they need is in the record.

    Attributes:
        concurrency: VMs that copy at a time, rounded. A VM that waits with a replicated disk does
            not count; when it is ready it goes before VMs that have not begun.
        order: who is next: by Smith's rule (size over what a second away costs), smallest or
            largest first.
        quiet_activity: memory follows once the VM's activity is no more than this; 1 does not wait.
        patience_s: s after which it follows anyway.
        backlog_s: s of copying that the disk may lack when memory follows.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "concurrency": (1.0, MOST_AT_ONCE),
        "quiet_activity": (0.05, 1.0),
        "patience_s": (10.0, 1800.0),
        "backlog_s": (1.0, 60.0),
    }
    name = "move_rule"

    concurrency: float = 1.0
    order: Order = "worth"
    quiet_activity: float = 1.0
    patience_s: float = 300.0
    backlog_s: float = 10.0

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        check_range(
            self.name,
            concurrency=(self.concurrency, 1.0, 64.0),
            quiet_activity=(self.quiet_activity, 0.0, 1.0),
            patience_s=(self.patience_s, 0.0, np.inf),
            backlog_s=(self.backlog_s, 0.0, np.inf),
        )
        if self.order not in ("worth", "smallest", "largest"):
            raise ValueError(f"{self.name}: order must be worth, smallest or largest")

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """There is nothing to forget."""

    def act(self, telemetry: SitesTelemetry) -> SitesOrders:
        """Decide for every VM of the record; every verb is legal."""
        with np.errstate(all="ignore"):  # absent slots may hold anything
            due = self._memory_is_due(telemetry)
            starts = self._next(telemetry, due)
            first = np.where(due, self._memory_verb(telemetry), self._first_verb(telemetry))
            verb = np.where(starts, first, CONTINUE)
            resumes = telemetry.suspended & telemetry.moving & ~telemetry.paused & ~starts
            verb = np.where(resumes, self._resume_verb(telemetry), verb)
            verb = self._also(telemetry, verb)
        verb = np.where(telemetry.present, verb, CONTINUE).astype(np.int8)
        return SitesOrders(verb, np.full(verb.shape, self._stop_rule(), dtype=np.int8))

    def reduces(self, telemetry: SitesTelemetry) -> Bools:
        """VMs whose copies shall eliminate redundancy, (B, V)."""
        return np.zeros(telemetry.present.shape, dtype=np.bool_)

    # What rules differ in.

    def _stop_rule(self) -> int:
        """Who stops pre-copy; by default whoever gives orders."""
        return 0

    def _first_verb(self, telemetry: SitesTelemetry) -> NDArray[Any]:
        """What starts a move, (B, V)."""
        return np.where(self.reduces(telemetry), COPY_REDUCED, REPLICATE)

    def _memory_verb(self, telemetry: SitesTelemetry) -> NDArray[Any]:
        """What follows the disk, (B, V)."""
        return np.where(self.reduces(telemetry), COPY_REDUCED, COPY)

    @abstractmethod
    def _also(self, telemetry: SitesTelemetry, verb: NDArray[Any]) -> NDArray[Any]:
        """The verbs with what the rule does of its own, (B, V)."""

    # What they have in common.

    def _next(self, telemetry: SitesTelemetry, due: Bools) -> Bools:
        """VMs whose next copy starts now, (B, V): first memories that are due, then new VMs."""
        waiting = telemetry.present & (telemetry.phase == AT_SOURCE)
        busy = telemetry.moving & (telemetry.phase != MIRROR)
        free = round(self.concurrency) - busy.sum(axis=1)
        key = np.where(waiting, self._key(telemetry), np.inf)
        key = np.where(due, self._key(telemetry) - _FIRST_S, key)
        rank = np.argsort(np.argsort(key, axis=1, kind="stable"), axis=1, kind="stable")
        first: Bools = (waiting | due) & (rank < free[:, None])
        return first

    def _key(self, telemetry: SitesTelemetry) -> Floats:
        """Least first, (B, V)."""
        reduced = self.reduces(telemetry)
        size = memory_s(telemetry, reduced) + disk_s(telemetry, reduced)
        if self.order == "worth":
            return size / np.maximum(worth(telemetry), 1e-9)
        return size if self.order == "smallest" else -size

    def _resume_verb(self, telemetry: SitesTelemetry) -> NDArray[Any]:
        """A policy that it corrects may have suspended copies; it lets none stand still."""
        phase = telemetry.phase
        plain = np.where(phase == PRECOPY, COPY, REPLICATE)
        reduced = self.reduces(telemetry) & (phase != MIRROR)
        return np.where(reduced, COPY_REDUCED, plain)

    def _memory_is_due(self, telemetry: SitesTelemetry) -> Bools:
        ready = telemetry.disk_left_bytes <= self.backlog_s * expected_rate(telemetry)
        quiet = telemetry.activity <= self.quiet_activity
        tired = telemetry.phase_s >= self.patience_s
        due: Bools = (telemetry.phase == MIRROR) & ((ready & quiet) | tired)
        return due
