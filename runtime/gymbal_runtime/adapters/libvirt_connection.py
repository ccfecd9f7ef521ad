"""A connection to libvirt that outlives its daemon, with a deadline for every call."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from gymbal_runtime.worker import Worker

T = TypeVar("T")

MAX_HANGING = 8
"""Calls that may hang at a time, each in a thread of its own, before no more are begun."""
_KEEPALIVE = (5, 3)
"""A daemon that is silent for 5 s is asked for a sign of life, three times."""

_events = threading.Lock()
_events_run = False


class LibvirtError(OSError):
    """Libvirt refuses, or is not there.

    Attributes:
        code: libvirt's ``VIR_ERR_*``; 0 where the connection could not be made.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


def load_binding() -> Any:
    """The module ``libvirt``.

    Raises:
        ImportError: saying how to install it.
    """
    try:
        return importlib.import_module("libvirt")
    except ImportError as error:
        raise ImportError(
            "the libvirt adapter needs libvirt-python: pip install 'gymbal[libvirt]', which "
            "compiles against libvirt-dev, or the distribution's python3-libvirt"
        ) from error


class LibvirtConnection:
    """Calls on one daemon.

    A call that does not return in time is left to its thread and others go on beside it: libvirt
    waits for ever for a QEMU that hangs. After the daemon was restarted, the next call connects
    anew.

    Args:
        uri: of the daemon, such as ``qemu:///system``.
        read_only: ask for the read-only socket, which needs no rights and obeys nothing.
        timeout_s: for each call.
    """

    def __init__(self, uri: str, *, read_only: bool = False, timeout_s: float = 3.0) -> None:
        self.uri = uri
        self.read_only = read_only
        self.timeout_s = timeout_s
        self.binding = load_binding()
        self._connection: Any = None
        self._workers: list[Worker] = []

    def call(self, job: Callable[[Any], T]) -> T:
        """Do something with the connection (a ``virConnect``). It may be done twice.

        Raises:
            LibvirtError: libvirt refuses, or cannot be reached.
            TimeoutError: it does not answer.
        """
        return self._in_time(lambda: self._connected(job))

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(TimeoutError, self.binding.libvirtError):
                self._in_time(connection.close)
        for worker in self._workers:
            worker.close()

    def _in_time(self, job: Callable[[], T]) -> T:
        worker, future = self._begin(job)
        return worker.answer(future, self.timeout_s)

    def _begin(self, job: Callable[[], T]) -> tuple[Worker, Future[T]]:
        """Start a job in a thread that is idle.

        Raises:
            TimeoutError: too many calls hang already.
        """
        for worker in self._workers:
            with contextlib.suppress(TimeoutError):
                return worker, worker.submit(job)
        if len(self._workers) == MAX_HANGING:
            raise TimeoutError(f"{self.uri}: {MAX_HANGING} calls hang, no more are begun")
        self._workers.append(Worker(self.uri))
        return self._workers[-1], self._workers[-1].submit(job)

    def _connected(self, job: Callable[[Any], T]) -> T:
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = self._open()
            try:
                return job(self._connection)
            except self.binding.libvirtError as error:
                if self._is_alive() or attempt == 2:
                    raise LibvirtError(str(error), error.get_error_code() or 0) from error
                self._connection = None
        raise AssertionError("unreachable")

    def _open(self) -> Any:
        _run_events(self.binding)
        try:
            opener = self.binding.openReadOnly if self.read_only else self.binding.open
            connection = opener(self.uri)
        except self.binding.libvirtError as error:
            raise LibvirtError(f"{self.uri}: {error}") from error
        with contextlib.suppress(self.binding.libvirtError):  # not every driver has a daemon
            connection.setKeepAlive(*_KEEPALIVE)
        return connection

    def _is_alive(self) -> bool:
        try:
            return bool(self._connection.isAlive())
        except self.binding.libvirtError:
            return False


def _run_events(binding: Any) -> None:
    """Run libvirt's event loop, which notices dead connections, once per process."""
    global _events_run
    with _events:
        if _events_run:
            return
        _events_run = True
        binding.registerErrorHandler(_say_nothing, None)  # or it prints what is raised as well
        binding.virEventRegisterDefaultImpl()
        threading.Thread(target=_loop, args=(binding,), name="libvirt-events", daemon=True).start()


def _loop(binding: Any) -> None:
    while True:
        with contextlib.suppress(binding.libvirtError):
            binding.virEventRunDefaultImpl()


def _say_nothing(*_: Any) -> None:
    pass
