"""Live migration of a libvirt domain to another daemon."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any
from xml.etree import ElementTree

from gymbal_runtime.adapters.libvirt_connection import load_binding
from gymbal_runtime.adapters.migration import (
    MigrationError,
    MigrationProgress,
    check_no_writes_get_lost,
)
from gymbal_runtime.worker import Worker

_MIB = 2.0**20


class LibvirtMigration:
    """Moves one domain between two daemons.

    Its connections should not be those that telemetry is read from: while it runs they are busy.

    Args:
        source: an open ``virConnect`` of the daemon that the domain leaves.
        name: of the domain.

    Raises:
        ImportError: the binding is not installed.
        MigrationError: there is no such domain.
    """

    def __init__(self, source: Any, name: str) -> None:
        self._binding = load_binding()
        self._name = name
        self._worker = Worker(f"migration of {name}")
        self._moving: Future[Any] | None = None
        try:
            self._domain = source.lookupByName(name)
        except self._binding.libvirtError as error:
            raise MigrationError(f"{name}: {error}") from error

    def start(
        self,
        destination: Any,
        *,
        uri: str = "",
        bandwidth_bytes_s: float = 0.0,
        downtime_s: float = 0.3,
        auto_converge: bool = False,
        postcopy: bool = False,
        unsafe: bool = False,
        destination_xml: str = "",
    ) -> None:
        """Begin; returns at once.

        Args:
            destination: an open ``virConnect`` of the daemon that it goes to.
            uri: how the QEMUs reach each other, such as ``tcp:HOST``; "" lets libvirt choose.
            bandwidth_bytes_s: at most, in whole MiB/s; 0 is libvirt's default.
            downtime_s: the guest is stopped once the rest is expected to take no longer.
            auto_converge: slow the guest down if it writes faster than can be sent.
            postcopy: allow `switch_to_postcopy`; both daemons need the right to userfaultfd.
            unsafe: skip libvirt's check that both hosts see the same disks.
            destination_xml: of the domain there, where paths on the two hosts differ.

        Raises:
            MigrationError: this QEMU would lose writes of the guest.
        """
        self._check_dirty_pages()
        binding = self._binding
        flags = binding.VIR_MIGRATE_LIVE
        flags |= binding.VIR_MIGRATE_AUTO_CONVERGE if auto_converge else 0
        flags |= binding.VIR_MIGRATE_POSTCOPY if postcopy else 0
        flags |= binding.VIR_MIGRATE_UNSAFE if unsafe else 0
        given = {
            binding.VIR_MIGRATE_PARAM_URI: uri,
            binding.VIR_MIGRATE_PARAM_BANDWIDTH: round(bandwidth_bytes_s / _MIB),
            binding.VIR_MIGRATE_PARAM_DEST_XML: destination_xml,
        }
        parameters = {name: value for name, value in given.items() if value}
        self._moving = self._worker.submit(
            lambda: self._move(destination, parameters, flags, round(downtime_s * 1e3))
        )

    def _check_dirty_pages(self) -> None:
        is_running = self._domain.state()[0] == self._binding.VIR_DOMAIN_RUNNING
        kind = ElementTree.fromstring(self._domain.XMLDesc()).get("type")
        if is_running and kind == "qemu":  # which is libvirt's word for emulated
            version = self._domain.connect().getVersion()
            major_minor = (version // 1_000_000, version // 1000 % 1000)
            check_no_writes_get_lost(major_minor, self._domain.maxMemory() * 1024)

    def _move(self, destination: Any, parameters: dict[str, Any], flags: int, limit_ms: int) -> Any:
        self._domain.migrateSetMaxDowntime(limit_ms, 0)
        return self._domain.migrate3(destination, parameters, flags)

    def progress(self) -> MigrationProgress:
        """Where it stands."""
        if self._moving is None:
            return MigrationProgress("none")
        if not self._moving.done():
            return self._progress_of(self._domain, 0, "active")
        error = self._moving.exception()
        if error is not None:
            aborted = self._binding.VIR_ERR_OPERATION_ABORTED
            code = getattr(error, "get_error_code", lambda: None)()
            return MigrationProgress("cancelled" if code == aborted else "failed")
        completed = self._binding.VIR_DOMAIN_JOB_STATS_COMPLETED
        return self._progress_of(self._moving.result(), completed, "completed")

    def wait(self, timeout_s: float) -> MigrationProgress:
        """Wait for its end.

        Raises:
            MigrationError: it failed or was cancelled.
            TimeoutError: it goes on.
        """
        if self._moving is None:
            raise MigrationError("the migration has not been started")
        try:
            self._worker.answer(self._moving, timeout_s)
        except self._binding.libvirtError as error:
            raise MigrationError(f"the migration {self.progress().status}: {error}") from error
        return self.progress()

    def switch_to_postcopy(self, timeout_s: float = 10.0) -> None:
        """Let the guest run at its destination now and fetch the rest from there.

        Raises:
            MigrationError: libvirt refuses.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                self._domain.migrateStartPostCopy(0)
                return
            except self._binding.libvirtError as error:  # refused until the job has been set up
                gone = self._moving is None or self._moving.done()
                if gone or time.monotonic() > deadline_s:
                    raise MigrationError(str(error)) from error
            time.sleep(0.05)

    def cancel(self) -> None:
        """Stay.

        Raises:
            MigrationError: there is nothing to cancel.
        """
        try:
            self._domain.abortJob()
        except self._binding.libvirtError as error:
            raise MigrationError(str(error)) from error

    def close(self) -> None:
        """End its thread once it is idle."""
        self._worker.close()

    def _progress_of(self, domain: Any, flags: int, status: str) -> MigrationProgress:
        try:
            job = domain.jobStats(flags)
        except self._binding.libvirtError:  # it has just ended, or not yet begun
            job = {}
        return MigrationProgress(
            status=status,
            total_s=job.get("time_elapsed", 0) * 1e-3,
            downtime_s=job.get("downtime", 0) * 1e-3 if status == "completed" else 0.0,
            transferred_bytes=float(job.get("memory_processed", 0)),
            remaining_bytes=float(job.get("memory_remaining", 0)),
            rounds=int(job.get("memory_iteration", 0)),
            dirty_bytes_s=float(
                job.get("memory_dirty_rate", 0) * job.get("memory_page_size", 4096)
            ),
        )
