"""Worker: a call that hangs costs its caller only its patience."""

from __future__ import annotations

import threading

import pytest

from gymbal_runtime.worker import Worker


def raising(error: BaseException):
    def job() -> None:
        raise error

    return job


def test_call__answers_and_failures_come_back():
    worker = Worker("w")
    assert worker.call(lambda: 3, 5.0) == 3
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0, 5.0)
    for own in (SystemExit("its own"), TimeoutError("its own")):
        with pytest.raises(type(own), match="its own"):
            worker.call(raising(own), 5.0)
    assert worker.call(threading.get_ident, 5.0) != threading.get_ident()


def test_call__that_hangs_is_left_and_then_forgotten():
    now, release = [0.0], threading.Event()
    worker = Worker("w", clock=lambda: now[0])
    with pytest.raises(TimeoutError, match=r"w did not answer within 0\.01 s"):
        worker.call(lambda: release.wait(10), 0.01)
    now[0] = 42.0
    with pytest.raises(TimeoutError, match="w has not answered for 42 s"):
        worker.call(lambda: 1, 5.0)
    late = worker._pending
    release.set()
    assert late.result(5.0) is True
    assert worker.call(lambda: 1, 5.0) == 1


def test_close__ends_the_thread():
    before = threading.active_count()
    worker = Worker("w")
    worker.call(lambda: 1, 5.0)
    thread = worker._thread
    worker.close()
    thread.join(5.0)
    assert threading.active_count() == before
    assert worker.call(lambda: 2, 5.0) == 2
    worker.close()
