"""A host as the controller sees it: something that reports and something that obeys."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Telemetry


@runtime_checkable
class Host(Protocol):
    """One host (H = 1). Real and simulated hosts implement the same two verbs."""

    name: str
    vm_names: tuple[str, ...]  # name of the VM in each slot, "" where the slot is empty

    def telemetry(self) -> Telemetry:
        """The newest record. Missing values are NaN; a lost host raises OSError."""
        ...

    def apply(self, command: Command) -> None:
        """Set the targets. Returns at once: a balloon moves at its own pace."""

    def close(self) -> None:
        """Release whatever connection there is."""
