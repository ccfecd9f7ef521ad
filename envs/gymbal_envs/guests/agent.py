"""Talking with the program in a test guest: orders on a serial port, answers in JSON."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

PAGE_BYTES = 4096.0
DISTANCE_BIN_BYTES = 512 * PAGE_BYTES
"""Width of a bin of the agent's stack distances."""
NUM_DISTANCE_BINS = 128
BOOT_TIMEOUT_S = 240.0
"""A guest boots in 3 to 6 s, with a dozen others on the machine in half a minute."""


class AgentError(OSError):
    """The agent does not answer, or not with what was asked for."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a guest's program fares; counters since its boot.

    Attributes:
        time_s: of the guest's monotonic clock.
        touched: pages touched so far.
        wanted: pages that it was told to touch so far.
        pages: size of the working set that it was told.
        active_pages: touched within the window asked for, estimated from a sample.
        stalled_us: time in which at least one task waited for memory (PSI some).
        distances: of the touches so far, by LRU stack distance in `DISTANCE_BIN_BYTES`; the last
            are first touches.
        worker_kills: times that the program was killed and began again.
        faults: major faults of the program alone.
        fault_s: time that it took to serve them.
    """

    time_s: float
    touched: int
    wanted: float
    pages: int
    active_pages: int
    stalled_us: float
    swap_total_kib: float
    swap_free_kib: float
    available_kib: float
    total_kib: float
    anonymous_kib: float
    swapped_in_pages: float
    swapped_out_pages: float
    major_faults: float
    oom_kills: float
    worker_kills: int
    faults: int
    fault_s: float
    distances: list[int]


class Agent:
    """One guest's program, behind the socket of its serial port.

    Args:
        path: of the UNIX socket.
        timeout_s: for an answer; a guest under emulation on a busy machine is slow.
    """

    def __init__(self, path: Path, timeout_s: float = 60.0) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._received = b""
        self._one_at_a_time = threading.Lock()

    def wait_until_ready(self, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Return once the guest has booted: what is said to it before is lost.

        Raises:
            AgentError: it did not in time.
        """
        deadline = time.monotonic() + timeout_s
        for number in itertools.count():
            try:
                self._send(f"ping {number}", deadline)
                # Answers to earlier ones may still be on their way.
                while self._line(min(time.monotonic() + 0.5, deadline)).get("pong") != number:
                    pass
                return
            except AgentError:
                if self._socket is None or time.monotonic() > deadline:
                    raise

    def work(self, working_set_bytes: float, touches_per_s: float, skew: float = 1.0) -> None:
        """Touch random pages of a working set at a rate.

        Args:
            working_set_bytes: pages beyond it are given back to the guest's kernel.
            touches_per_s: at most; touches that are held up are not made up for.
            skew: page = pages · u^skew for a uniform u; 1 touches all alike.
        """
        self.ask(f"work {int(working_set_bytes // PAGE_BYTES)} {touches_per_s:.6g} {skew:.6g}")

    def report(self, active_window_s: float = 10.0) -> Report:
        """How it fares."""
        return msgspec.convert(self.ask(f"report {active_window_s:.6g}"), Report)

    def bad_pages(self) -> int:
        """Number of pages that do not hold what was written to them last.

        Raises:
            AgentError: the program was killed meanwhile.
        """
        answer = self.ask("check")
        if not answer.get("finished"):
            raise AgentError(f"{self.path}: the program was killed during the check")
        return int(answer["bad"])

    def power_off(self) -> None:
        """Shut the guest down."""
        self.ask("poweroff")

    def ask(self, order: str) -> dict[str, Any]:
        """Send one order and wait for its answer.

        Raises:
            AgentError: none came within ``timeout_s``, or it is an error.
        """
        deadline = time.monotonic() + self.timeout_s
        with self._one_at_a_time:
            self._send(order, deadline)
            answer = self._line(deadline)
        if "error" in answer:
            raise AgentError(f"{self.path}: {order!r}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Hang up; the next order connects again."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._received = None, b""

    def _connected(self, deadline: float) -> socket.socket:
        while self._socket is None:
            attempt = socket.socket(socket.AF_UNIX)
            try:
                attempt.connect(str(self.path))
                self._socket = attempt
            except OSError as error:
                attempt.close()
                if time.monotonic() > deadline:
                    raise AgentError(f"{self.path}: {error}") from error
                time.sleep(0.02)
        return self._socket

    def _send(self, order: str, deadline: float) -> None:
        connection = self._connected(deadline)
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            connection.sendall(order.encode() + b"\n")
        except TimeoutError as error:
            raise AgentError(f"{self.path}: the guest does not listen") from error

    def _line(self, deadline: float) -> dict[str, Any]:
        connection = self._connected(deadline)
        while b"\n" not in self._received:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                more = connection.recv(65536)
            except TimeoutError as error:
                raise AgentError(f"{self.path}: no answer in {self.timeout_s} s") from error
            if not more:
                self.close()
                raise AgentError(f"{self.path}: the guest is gone")
            self._received += more
        line, self._received = self._received.split(b"\n", 1)
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(line, type=dict[str, Any])
        raise AgentError(f"{self.path}: {line[:200]!r} is not an answer")
