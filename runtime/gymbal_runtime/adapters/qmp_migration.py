"""Live migration of a QEMU guest, through the monitor of the QEMU that it leaves."""

from __future__ import annotations

import time
from typing import Any

from gymbal_runtime.adapters.migration import (
    MigrationError,
    MigrationProgress,
    check_no_writes_get_lost,
)
from gymbal_runtime.adapters.qmp_socket import QmpError, QmpSocket


class QmpMigration:
    """Moves one guest to another QEMU.

    The other QEMU is started by somebody else, with ``-incoming``.

    Args:
        source: monitor of the QEMU that the guest leaves.
    """

    def __init__(self, source: QmpSocket) -> None:
        self._source = source

    def start(
        self,
        uri: str,
        *,
        bandwidth_bytes_s: float = 0.0,
        downtime_s: float = 0.3,
        auto_converge: bool = False,
        postcopy: bool = False,
    ) -> None:
        """Begin; returns at once.

        Args:
            uri: where the other QEMU listens, such as ``tcp:HOST:PORT`` or ``unix:PATH``.
            bandwidth_bytes_s: at most; 0 is as fast as it goes.
            downtime_s: the guest is stopped once the rest is expected to take no longer.
            auto_converge: slow the guest down if it writes faster than can be sent.
            postcopy: allow `switch_to_postcopy`; the destination must have been given to
                `allow_postcopy` before, and its QEMU needs the right to use userfaultfd.

        Raises:
            MigrationError: this QEMU would lose writes of the guest.
            QmpError: QEMU refuses.
        """
        self._check_dirty_pages()
        set_capabilities(self._source, auto_converge=auto_converge, postcopy=postcopy)
        parameters = {
            "max-bandwidth": int(bandwidth_bytes_s) or 1 << 40,
            "downtime-limit": round(downtime_s * 1e3),
        }
        self._source.execute("migrate-set-parameters", parameters)
        self._source.execute("migrate", {"uri": uri})

    def progress(self) -> MigrationProgress:
        """Where it stands."""
        said: dict[str, Any] = self._source.execute("query-migrate")
        memory = said.get("ram", {})
        return MigrationProgress(
            status=str(said.get("status", "none")),
            total_s=said.get("total-time", 0) * 1e-3,
            downtime_s=said.get("downtime", 0) * 1e-3,
            transferred_bytes=float(memory.get("transferred", 0)),
            remaining_bytes=float(memory.get("remaining", 0)),
            rounds=int(memory.get("dirty-sync-count", 0)),
            dirty_bytes_s=float(memory.get("dirty-pages-rate", 0) * memory.get("page-size", 4096)),
        )

    def wait(self, timeout_s: float, poll_s: float = 0.05) -> MigrationProgress:
        """Wait for its end.

        Raises:
            MigrationError: it failed or was cancelled.
            TimeoutError: it goes on.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            now = self.progress()
            # For an instant QEMU says "completed" without the sums.
            if now.has_ended and (now.status != "completed" or now.total_s > 0):
                break
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the migration is {now.status} after {timeout_s:g} s")
            time.sleep(poll_s)
        if now.status != "completed":
            reason = self._source.execute("query-migrate").get("error-desc", "no reason given")
            raise MigrationError(f"the migration {now.status}: {reason}")
        return now

    def switch_to_postcopy(self) -> None:
        """Let the guest run at its destination now and fetch the rest from there.

        Raises:
            QmpError: it was not started with ``postcopy``, or QEMU is not that far.
        """
        self._source.execute("migrate-start-postcopy")

    def cancel(self) -> None:
        """Stay. The QEMU at the destination ends."""
        self._source.execute("migrate_cancel")

    def dirty_rate(self, period_s: int = 1) -> float:
        """Measure how fast the guest writes to memory, in bytes/s: coarse, by sampled pages.

        Page sampling only: asking QEMU 7.2 for its dirty bitmap instead ends emulated guests.

        Raises:
            QmpError: QEMU refuses.
            TimeoutError: the measurement does not end.
        """
        self._source.execute("calc-dirty-rate", {"calc-time": period_s})
        deadline_s = time.monotonic() + period_s + 30.0
        while (said := self._source.execute("query-dirty-rate"))["status"] != "measured":
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the dirty rate is still {said['status']}")
            time.sleep(0.05)
        return float(said["dirty-rate"]) * 2**20

    def _check_dirty_pages(self) -> None:
        ask = self._source.execute
        if ask("query-kvm")["enabled"] or not ask("query-status")["running"]:
            return
        version = ask("query-version")["qemu"]
        memory = ask("query-memory-size-summary")["base-memory"]
        check_no_writes_get_lost((version["major"], version["minor"]), memory)


def set_capabilities(
    qmp: QmpSocket, *, auto_converge: bool = False, postcopy: bool = False
) -> None:
    """Set what both ends of a migration must agree on.

    Raises:
        QmpError: this QEMU cannot do it, for instance because it may not use userfaultfd.
    """
    states = {"auto-converge": auto_converge, "postcopy-ram": postcopy}
    wanted = [{"capability": name, "state": state} for name, state in states.items()]
    qmp.execute("migrate-set-capabilities", {"capabilities": wanted})


def allow_postcopy(destination: QmpSocket) -> bool:
    """Make a waiting QEMU ready for post-copy; False if it may not."""
    try:
        set_capabilities(destination, postcopy=True)
    except QmpError:
        return False
    return True
