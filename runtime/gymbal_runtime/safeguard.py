"""All that stands between a decision and a host, with the memory that this takes.

`gymbal_runtime.guard` judges a command by one record. Here is what needs to know what went before:
who is new, and what was promised to whom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gymbal_runtime.command import FIELDS, NO_CHANGE, Command
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.guard_protection import Protection
from gymbal_runtime.guard_room import within_room
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

_OF_THE_WHOLE_CACHE = ("llc_class", "llc_units")


@dataclass(frozen=True)
class Safe:
    """What may be done.

    Attributes:
        command: to give to the host.
        hits: rule that fired to the number of VMs (1 for rules about the host).
        not_obeyed: field that the host does not obey to the number of VMs for which it was decided.
    """

    command: Command
    hits: dict[str, int]
    not_obeyed: dict[str, int]


class Safeguard:
    """Makes one host's commands safe, one after the other.

    Args:
        limits: of the guard.
        protection: of the guests' working sets; None protects only the configured floors.
        shrink_first: memory is given only once it is there (`gymbal_runtime.guard_room`).
        hold_steps: decisions for which a VM that has just appeared is left as it is, so that a
            controller that starts adopts what it finds and looks before it acts.
    """

    def __init__(
        self,
        limits: GuardLimits | None = None,
        protection: Protection | None = None,
        *,
        shrink_first: bool = False,
        hold_steps: int = 0,
    ) -> None:
        self.limits = limits or GuardLimits()
        self.protection = protection
        self.shrink_first = shrink_first
        self.hold_steps = hold_steps
        self._seen: dict[str, int] = {}  # decisions since a VM appeared
        self._told: dict[str, float] = {}  # bytes that a VM was told last

    def __call__(
        self,
        command: Command,
        telemetry: Telemetry,
        names: tuple[str, ...],
        obeyed: frozenset[str] = frozenset(FIELDS),
    ) -> Safe:
        """Make a command of one host safe. Never raises on any numbers.

        Args:
            command: anything.
            telemetry: the record it was decided on.
            names: of the VM in each slot.
            obeyed: fields of a command that the host obeys.
        """
        command, not_obeyed = _without(command, telemetry, obeyed)
        fresh = self._fresh(telemetry, names)
        hits: dict[str, int] = {}
        if fresh.any() and not command.silent:
            hits["holding"] = int(fresh.sum())
            command = _held(command, fresh)
        command, report = guard(command, telemetry, self.limits, self.protection)
        hits |= report.hits()
        if self.shrink_first:
            outstanding = self._outstanding(telemetry, names)
            command, waiting = within_room(command, telemetry, outstanding)
            if waiting[0]:
                hits["awaiting_room"] = int(waiting[0])
        return Safe(command, hits, not_obeyed)

    def told(self, command: Command, telemetry: Telemetry, names: tuple[str, ...]) -> None:
        """Remember what the host was told, also if it did not say that it obeyed."""
        targets = command.balloon_bytes[0]
        for slot in np.flatnonzero(telemetry.present[0] & np.isfinite(targets)):
            self._told[names[slot]] = float(targets[slot])

    def _fresh(self, telemetry: Telemetry, names: tuple[str, ...]) -> Bools:
        """(1, V) VMs that have not been there for long enough; counts this decision."""
        here = [names[slot] for slot in np.flatnonzero(telemetry.present[0])]
        self._seen = {name: self._seen.get(name, 0) + 1 for name in here}
        fresh = [self._seen.get(name, 0) <= self.hold_steps for name in names]
        return telemetry.present & np.array([fresh], dtype=np.bool_).reshape(1, -1)

    def _outstanding(self, telemetry: Telemetry, names: tuple[str, ...]) -> Floats:
        """(1, V) bytes that each VM was told last, NaN for nothing; forgets VMs that left."""
        self._told = {name: self._told[name] for name in names if name in self._told}
        return np.array([[self._told.get(name, np.nan) for name in names]])


def _without(
    command: Command, telemetry: Telemetry, obeyed: frozenset[str]
) -> tuple[Command, dict[str, int]]:
    """The command without fields that nobody obeys, and how many VMs each was meant for."""
    dropped: dict[str, Any] = {}
    meant: dict[str, int] = {}
    for name, values in command.given.items():
        if name in obeyed:
            continue
        dropped[name] = np.full_like(values, NO_CHANGE) if name == "balloon_bytes" else None
        count = int((~np.isnan(values)).sum())
        if count:
            meant[name] = count
    return (replace(command, **dropped) if dropped else command), meant


def _held(command: Command, fresh: Bools) -> Command:
    """The command that leaves new VMs as they are, and the cache, which has no parts to leave."""
    held: dict[str, Any] = {
        name: None if name in _OF_THE_WHOLE_CACHE else np.where(fresh, NO_CHANGE, values)
        for name, values in command.given.items()
    }
    return replace(command, **held)
