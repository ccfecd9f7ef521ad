"""One HTTP request with limits on time and size."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from urllib.parse import urlsplit

_CHUNK_BYTES = 1 << 16


class HttpFetcher:
    """Fetches from one host, directly: no proxy, no redirection.

    Args:
        url: http or https.
        timeout_s: for the whole exchange once connected, and before that for connecting.
        max_bytes: of the answer.
        token_file: of a bearer token, read anew at every request; "" sends none.
        ca_file: certificates to trust instead of the system's; "" is the system's.

    Raises:
        ValueError: the URL is not one of http or https with a host and without a password.
        OSError: ``ca_file`` cannot be read.
    """

    def __init__(
        self, url: str, *, timeout_s: float, max_bytes: int, token_file: str = "", ca_file: str = ""
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url must be http://HOST or https://HOST, got {url!r}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url must not hold a user or password; use token_file")
        self.url = url
        self.path = parts.path.rstrip("/")
        self.query = parts.query
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._context = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=ca_file or None)
        self._timeout_s, self._max_bytes, self._token_file = timeout_s, max_bytes, token_file

    def get(self, path: str, query: str, accept: str) -> bytes:
        """The body of a successful answer.

        Raises:
            OSError: it does not come in time, is too large, or is no success.
        """
        headers = {"Accept": accept, "User-Agent": "gymbal", "Connection": "close"}
        if self._token_file:
            headers["Authorization"] = f"Bearer {Path(self._token_file).read_text().strip()}"
        target = f"{path or '/'}?{query}" if query else path or "/"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
            with self._deadline(connection):
                response, body = self._exchange(connection, target, headers)
        except TimeoutError as error:
            text = f"{self.url}: no answer within {self._timeout_s:g} s"
            raise TimeoutError(errno.ETIMEDOUT, text) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            number = error.errno if isinstance(error, OSError) else errno.EPROTO
            text = f"{self.url}: {error or type(error).__name__}"
            raise OSError(number or errno.EIO, text) from error
        finally:
            connection.close()
        if response.status != 200:
            said = body[:200].decode(errors="replace")
            text = f"{self.url}: {response.status} {response.reason[:80]}: {said}"
            raise OSError(errno.EPROTO, text)
        return body

    def _exchange(
        self, connection: http.client.HTTPConnection, target: str, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.do_handshake()
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = bytearray()
        while chunk := response.read(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                raise OSError(errno.EFBIG, f"answers with more than {self._max_bytes} bytes")
        if response.length:
            raise OSError(errno.EPROTO, f"answer ends {response.length} bytes early")
        return response, bytes(body)

    @contextmanager
    def _deadline(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Ends the connection when time is up: a socket's timeout starts anew with every byte."""
        if self._context:
            connection.sock = self._context.wrap_socket(
                connection.sock, server_hostname=self._host, do_handshake_on_connect=False
            )
        # Kept here: the connection forgets its socket once the answer's headers are read.
        open_socket = connection.sock
        late: list[bool] = []

        def end() -> None:
            late.append(True)
            with suppress(OSError):
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)

        timer = Timer(self._timeout_s, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, ValueError, http.client.HTTPException):
            if not late:
                raise
        finally:
            timer.cancel()
        if late:
            raise TimeoutError
