"""A host that is not waited for longer than a deadline."""

from __future__ import annotations

from gymbal_runtime.command import Command
from gymbal_runtime.host import Host, capabilities_of, errors_of
from gymbal_runtime.telemetry import Telemetry
from gymbal_runtime.worker import Worker


class TimedHost:
    """Calls a host in a thread of its own, so that one that hangs does not hang the controller.

    Args:
        host: reports and obeys.
        timeout_s: for each call to return. A later answer goes nowhere, and until it has come the
            host is not called again.
    """

    def __init__(self, host: Host, timeout_s: float) -> None:
        self.name = host.name
        self.vm_names = tuple(host.vm_names)
        self.capabilities = capabilities_of(host)
        self.errors: list[str] = []
        self._host = host
        self._timeout_s = timeout_s
        self._worker = Worker(f"host {host.name}")

    def telemetry(self) -> Telemetry:
        """The newest record; raises TimeoutError, and what the host raises."""
        # What belongs together is read together, in the host's thread.
        telemetry, self.vm_names, self.errors = self._worker.call(self._read, self._timeout_s)
        return telemetry

    def apply(self, command: Command) -> None:
        """Pass a command on; raises TimeoutError, and what the host raises.

        After a TimeoutError the host may still carry it out.
        """
        self._worker.call(lambda: self._host.apply(command), self._timeout_s)

    def close(self) -> None:
        """Release the host; one that does not answer is left behind."""
        try:
            self._worker.call(self._host.close, self._timeout_s)
        except TimeoutError:
            pass
        finally:
            self._worker.close()

    def _read(self) -> tuple[Telemetry, tuple[str, ...], list[str]]:
        telemetry = self._host.telemetry()
        return telemetry, tuple(self._host.vm_names), errors_of(self._host)
