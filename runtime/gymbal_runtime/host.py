"""A host as the controller sees it: something that reports and something that obeys."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gymbal_runtime.command import FIELDS, Command
from gymbal_runtime.telemetry import Telemetry


@runtime_checkable
class Host(Protocol):
    """One host (H = 1). Real and simulated hosts implement the same two verbs.

    A host may have two more attributes. ``capabilities``, a set of fields of
    `gymbal_runtime.command.Command`: it is told no others (without it, it is told everything).
    ``errors``, strings "what: why": what of the last record could not be read.
    """

    name: str
    vm_names: tuple[str, ...]  # name of the VM in each slot, "" where the slot is empty

    def telemetry(self) -> Telemetry:
        """The newest record. Missing values are NaN; a lost host raises OSError."""
        ...

    def apply(self, command: Command) -> None:
        """Set the targets. Returns at once: a balloon moves at its own pace."""

    def close(self) -> None:
        """Release whatever connection there is."""


def capabilities_of(host: Host) -> frozenset[str]:
    """Fields of a command that a host obeys."""
    return frozenset(getattr(host, "capabilities", FIELDS))


def errors_of(host: Host) -> list[str]:
    """What of its last record a host could not read."""
    return [str(error) for error in getattr(host, "errors", ())]
