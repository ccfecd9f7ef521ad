"""A host whose records somebody else reads and whose commands somebody else carries out."""

from __future__ import annotations

from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Telemetry, empty_telemetry


class PushedHost:
    """Reports what it was given.

    Attributes:
        newest: the record to report.
        vm_names: name of the VM in each of its slots.
    """

    def __init__(self) -> None:
        self.name = "client"
        self.vm_names: tuple[str, ...] = ()
        self.newest = empty_telemetry(1, 0)

    def telemetry(self) -> Telemetry:
        """The record that was pushed."""
        return self.newest

    def apply(self, command: Command) -> None:
        """Left to whoever gave the record."""

    def close(self) -> None:
        """Nothing to release."""
