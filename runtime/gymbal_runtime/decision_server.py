"""Decisions over a local socket, for controllers in other languages; docs/serve.md is the contract.

One line of JSON in, one line out. A connection is a session: the policy's memory belongs to it.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from gymbal_runtime.assembly import Deciders, make_safeguard
from gymbal_runtime.controller import Controller, Mode
from gymbal_runtime.decision import SilentLog
from gymbal_runtime.json_numbers import JsonNumber
from gymbal_runtime.pushed_host import PushedHost
from gymbal_runtime.record import HostRecord, telemetry_of
from gymbal_runtime.settings import Settings
from gymbal_runtime.slots import Slots

MAX_REQUEST_BYTES = 4 * 2**20
"""Longest request line; 4096 VMs with every sensor take about 3 MiB."""


class Reply(msgspec.Struct, kw_only=True):
    """What a client is told; fields as in `gymbal_runtime.decision.Decision`."""

    source: str
    reason: str
    targets: dict[str, int | None]
    settings: dict[str, dict[str, JsonNumber | None]]
    guard: dict[str, int]
    errors: list[str]
    latency_s: float


class Refusal(msgspec.Struct):
    """What a client is told whose request was none."""

    error: str


class Session:
    """One client's decisions, one after the other.

    Args:
        deciders: make this session's agents.
        settings: deadlines and limits of the guard. There is no hold: a client that wants one does
            not act on the first answers.
    """

    def __init__(self, deciders: Deciders, settings: Settings) -> None:
        self._host = PushedHost()
        self._slots = Slots()
        self._decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(HostRecord)
        self._encoder = msgspec.json.Encoder()
        self._controller = Controller(
            self._host,
            deciders.agent(),
            deciders.fallback(),
            mode=Mode.ACT,  # so that the guard remembers what the client was told
            safeguard=make_safeguard(settings.guard),
            deadline_s=settings.policy.deadline_s,
            fresh_s=settings.policy.fresh_s,
            log=SilentLog(),
        )

    def answer(self, line: bytes) -> bytes:
        """The reply to one request, a line with its newline. Raises nothing for any bytes."""
        try:
            record = self._decoder.decode(line)
            self._host.newest, self._host.vm_names = telemetry_of(record, self._slots)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return refusal(f"not a telemetry record: {error}")
        decision = self._controller.step()
        reply = Reply(**{name: getattr(decision, name) for name in Reply.__struct_fields__})
        return self._encoder.encode(reply) + b"\n"


def refusal(why: str) -> bytes:
    """The line that says why there is no answer."""
    return msgspec.json.encode(Refusal(error=why)) + b"\n"


class DecisionServer:
    """Listens on a Unix socket; each client has a thread and a session.

    Args:
        path: of the socket. A dead socket of the same name is replaced, a live one is not.
        open_session: makes what answers one client.
        max_clients: further ones are refused.
        idle_s: a client that is silent for longer is disconnected.

    Raises:
        OSError: somebody listens there already, or the socket cannot be made.
    """

    def __init__(
        self,
        path: Path,
        open_session: Callable[[], Session],
        *,
        max_clients: int = 32,
        idle_s: float = 600.0,
    ) -> None:
        _remove_dead_socket(path)
        self._path = path
        self._server = _Server(str(path), open_session, max_clients, idle_s)
        path.chmod(0o660)

    def start(self) -> None:
        """Begin to answer, in a thread."""
        threading.Thread(target=self._server.serve_forever, name="serve", daemon=True).start()

    def close(self) -> None:
        """Stop listening and remove the socket; a client in mid-answer gets its answer."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, path: str, open_session: Callable[[], Session], max_clients: int, idle_s: float
    ) -> None:
        self.open_session = open_session
        self.idle_s = idle_s
        self.places = threading.BoundedSemaphore(max_clients)
        super().__init__(path, _Client)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Client(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.connection.settimeout(self.server.idle_s)
        if not self.server.places.acquire(blocking=False):
            self.wfile.write(refusal("too many clients"))
            return
        try:
            with contextlib.suppress(OSError):  # it went away, or said nothing for too long
                self._converse(self.server.open_session())
        finally:
            self.server.places.release()

    def _converse(self, session: Session) -> None:
        while line := self.rfile.readline(MAX_REQUEST_BYTES + 1):
            if len(line) > MAX_REQUEST_BYTES:
                self.wfile.write(refusal(f"a request is longer than {MAX_REQUEST_BYTES} bytes"))
                return
            self.wfile.write(session.answer(line))


def _remove_dead_socket(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} is there and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise FileExistsError(f"{path}: somebody is listening there already")
