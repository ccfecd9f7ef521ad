"""The controller's metrics over HTTP: GET /metrics and /healthz, nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from typing import Any

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_CLIENT_TIMEOUT_S = 5.0


class MetricsServer:
    """Answers scrapes in threads of its own.

    Args:
        listen: ``HOST:PORT``, ``:PORT`` (this machine only) or ``[ADDRESS]:PORT``; port 0 takes
            any that is free.
        text: the metrics.
        health: whether the controller is well, and a line about it.

    Raises:
        ValueError: it is no such address.
    """

    def __init__(
        self, listen: str, text: Callable[[], str], health: Callable[[], tuple[bool, str]]
    ) -> None:
        self._address = parse_address(listen)
        self._text = text
        self._health = health
        self._server: _Server | None = None

    def start(self) -> int:
        """Begin to listen.

        Returns:
            The port.

        Raises:
            OSError: the address cannot be had.
        """
        self._server = _Server(self._address, self._text, self._health)
        threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True, args=(0.5,)
        ).start()
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


def parse_address(listen: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; without a host, this machine only.

    Raises:
        ValueError: it is no such text.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected HOST:PORT to listen on, got {listen!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        text: Callable[[], str],
        health: Callable[[], tuple[bool, str]],
    ) -> None:
        if ":" in address[0]:
            self.address_family = AF_INET6
        self.text = text
        self.health = health
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_TIMEOUT_S
    server: _Server
    server_version = "gymbal"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, PROMETHEUS_TEXT, self.server.text())
        elif self.path == "/healthz":
            well, line = self.server.health()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, "text/plain; charset=utf-8", line + "\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "/metrics and /healthz\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: standard error is the controller's."""

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
