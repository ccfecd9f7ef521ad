"""A thread for calls that may never return, so that whoever asked can go on without an answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Does one call at a time, in order, in a thread of its own.

    Python cannot end a thread that hangs. So the thread is a daemon, a call that outlived its
    caller's patience runs on, its late answer goes nowhere, and until then every further call is
    refused at once. The thread starts with the first call.

    Args:
        name: of what it calls, for messages.
        clock: seconds, monotonic.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._pending: Future[Any] | None = None
        self._since_s = 0.0

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Begin a call.

        Raises:
            TimeoutError: an earlier call has not returned yet.
        """
        if self._pending is not None and not self._pending.done():
            waited_s = self._clock() - self._since_s
            raise TimeoutError(f"{self.name} has not answered for {waited_s:.0f} s")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._pending, self._since_s = future, self._clock()
        self._jobs.put((job, future))
        return future

    def call(self, job: Callable[[], T], timeout_s: float) -> T:
        """The answer of a call.

        Raises:
            TimeoutError: there was none in time, or an earlier call has not returned yet.
            Exception: whatever the call raises.
        """
        return self.answer(self.submit(job), timeout_s)

    def answer(self, future: Future[T], timeout_s: float) -> T:
        """The answer of a call that was begun with `submit`; raises as `call` does."""
        try:
            return future.result(max(timeout_s, 0.0))
        except TimeoutError as error:
            if future.done():
                raise  # it is the call's own
            raise TimeoutError(f"{self.name} did not answer within {timeout_s:.3g} s") from error

    def close(self) -> None:
        """End the thread once it is idle. A later call starts another."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None

    def _serve(self) -> None:
        while (task := self._jobs.get()) is not None:
            job, future = task
            try:
                future.set_result(job())
            except BaseException as error:  # it belongs to who asked, whatever it is
                future.set_exception(error)
            del task, job, future  # the next `get` may block for hours; keep nothing alive
