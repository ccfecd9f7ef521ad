"""The wire of QEMU's machine protocol (QMP): messages on a socket that never blocks.

Answers that nobody waits for any longer are recognised by their id and dropped.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

MAX_MESSAGE_BYTES = 1 << 22
"""No answer that we ask for comes near; more than this without an end of line is no QMP."""
MAX_EVENTS = 64
"""Newest events that are kept."""
PATIENCE_S = 30.0
"""An answer that is overdue for this long is not waited for: the connection is made anew."""


class QmpError(OSError):
    """QEMU refuses a command.

    Attributes:
        kind: the error class of QMP, such as ``GenericError`` or ``DeviceNotActive``.
    """

    def __init__(self, command: str, kind: str, description: str) -> None:
        super().__init__(f"{command}: {description}")
        self.kind = kind


class QmpConnection:
    """One QMP connection, on a socket that never blocks; made anew when it broke.

    Args:
        path: of the UNIX socket.

    Attributes:
        events: the newest ones, as QEMU sent them.
        generation: number of connections made so far: when it changes, it may be another QEMU.
        peer_pid: process that listens at the other end; 0 before the first connection.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.events: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)
        self.generation = 0
        self.peer_pid = 0
        self._socket: socket.socket | None = None
        self._received = b""
        self._next_id = 0
        self._outstanding: dict[int, str] = {}  # id -> command
        self._answers: dict[int, Any] = {}
        self._overdue_since_s = math.nan

    def connect(self) -> None:
        """Make sure of a connection, without waiting for anything.

        Raises:
            OSError: nobody listens.
        """
        if self._socket is not None:
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(str(self.path))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            connection.close()
            raise
        self.peer_pid = int(struct.unpack("3i", credentials)[0])
        self._socket = connection
        self.generation += 1
        # QEMU handles commands in order, so there is no need to wait for its greeting.
        self.send("qmp_capabilities", None)

    def fileno(self) -> int:
        """For `selectors`."""
        return -1 if self._socket is None else self._socket.fileno()

    def send(self, command: str, arguments: Mapping[str, Any] | None) -> int:
        """Send one command.

        Returns:
            The id under which `take` will find its answer.

        Raises:
            OSError: the connection is lost, or so much is unread that there is no room for more.
        """
        assert self._socket is not None, "connect() first"
        self._next_id += 1
        message: dict[str, Any] = {"execute": command, "id": self._next_id}
        if arguments:
            message["arguments"] = dict(arguments)
        line = msgspec.json.encode(message) + b"\n"
        try:
            sent = self._socket.send(line)
        except OSError:
            self.close()
            raise
        if sent < len(line):
            self.close()
            raise TimeoutError(f"{self.path}: QEMU does not read what it is sent")
        self._outstanding[self._next_id] = command
        return self._next_id

    def receive(self) -> None:
        """Take in what has arrived, without waiting.

        Raises:
            ConnectionError: QEMU has gone, or what it says is no QMP.
        """
        assert self._socket is not None, "connect() first"
        while True:
            try:
                more = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                raise
            if not more:
                self.close()
                raise ConnectionResetError(f"{self.path}: QEMU closed the connection")
            self._received += more
            *lines, self._received = self._received.split(b"\n")
            for line in lines:
                self._understand(line)
            if len(self._received) > MAX_MESSAGE_BYTES:
                self.close()
                raise ConnectionAbortedError(f"{self.path}: a message without an end")

    def take(self, identifier: int) -> Any:
        """The answer to a command, a `QmpError` if it was refused.

        Raises:
            KeyError: it has not arrived.
        """
        return self._answers.pop(identifier)

    def has(self, identifier: int) -> bool:
        """Whether the answer to a command has arrived."""
        return identifier in self._answers

    @property
    def outstanding(self) -> int:
        """Number of commands without an answer."""
        return len(self._outstanding)

    def give_up(self, now_s: float) -> None:
        """Nobody waits any longer for what is outstanding."""
        self._answers.clear()
        if not self._outstanding:
            self._overdue_since_s = math.nan
        elif math.isnan(self._overdue_since_s):
            self._overdue_since_s = now_s
        elif now_s - self._overdue_since_s > PATIENCE_S:
            self.close()

    def close(self) -> None:
        """Hang up; the next use connects again."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket, self._received = None, b""
        self._outstanding, self._answers = {}, {}
        self._overdue_since_s = math.nan

    def _understand(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            self.close()
            raise ConnectionAbortedError(f"{self.path}: not QMP: {line[:80]!r}") from error
        if "event" in message:
            self.events.append(message)
            return
        command = self._outstanding.pop(message.get("id", 0), None)
        if command is None:  # the greeting, or the answer to a command of nobody
            return
        self._overdue_since_s = math.nan
        if "error" in message:
            refusal = message["error"] if isinstance(message["error"], dict) else {}
            kind, text = str(refusal.get("class", "")), str(refusal.get("desc", "refused"))
            self._answers[message["id"]] = QmpError(f"{self.path.name}: {command}", kind, text)
        else:
            self._answers[message["id"]] = message.get("return")
