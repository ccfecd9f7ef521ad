"""What is needed of gdb's remote protocol to stop an emulated processor once and change it."""

from __future__ import annotations

import socket
import time
from pathlib import Path

RAX, RIP = 0, 16
"""Numbers of registers as QEMU gives them on x86-64."""


class GdbClient:
    """Talks with QEMU's gdb stub; the machine stands still while it is connected.

    Args:
        path: of the stub's UNIX socket.
        timeout_s: for each answer, and for the socket to appear.

    Raises:
        OSError: it does not answer, or refuses.
    """

    def __init__(self, path: Path, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        self._received = b""
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                self._socket.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self._socket.settimeout(timeout_s)
        # Without having asked for this, x86-64 registers are not told one by one.
        self.ask("qXfer:features:read:target.xml:0,ffb")
        self.ask("?")

    def run_until(self, address: int) -> None:
        """Let the machine run until it is about to execute the instruction there.

        Raises:
            OSError: it stopped elsewhere.
        """
        self._done(f"Z1,{address:x},1")
        self.ask("c")
        stopped = self.register(RIP)
        self._done(f"z1,{address:x},1")
        if stopped != address:
            raise OSError(f"the machine stopped at {stopped:#x}, expected {address:#x}")

    def register(self, number: int) -> int:
        """A register's value."""
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")

    def set_register(self, number: int, value: int) -> None:
        """Change a register."""
        self._done(f"P{number:x}={value.to_bytes(8, 'little').hex()}")

    def read(self, address: int, length: int) -> bytes:
        """Memory as the processor sees it."""
        return bytes.fromhex(self.ask(f"m{address:x},{length:x}"))

    def write(self, address: int, content: bytes) -> None:
        """Change memory."""
        self._done(f"M{address:x},{len(content):x}:{content.hex()}")

    def detach(self) -> None:
        """Let the machine run on, and hang up."""
        self._done("D")
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _done(self, packet: str) -> None:
        if (answer := self.ask(packet)) != "OK":
            raise OSError(f"the debugger's {packet.split(',')[0]} was answered {answer!r}")

    def ask(self, packet: str) -> str:
        """Send a packet and wait for the answer, which after ``c`` comes when the machine stops."""
        self._socket.sendall(f"${packet}#{sum(packet.encode()) & 255:02x}".encode())
        while True:
            start = self._received.find(b"$")
            end = self._received.find(b"#", start + 1)
            if start >= 0 and end >= 0 and len(self._received) >= end + 3:
                answer = self._received[start + 1 : end].decode()
                self._received = self._received[end + 3 :]
                self._socket.sendall(b"+")
                return answer
            more = self._socket.recv(65536)
            if not more:
                raise OSError("the debugged machine is gone")
            self._received += more
