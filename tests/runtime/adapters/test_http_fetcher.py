"""Whatever a server does, the answer comes in time and fits, or it is an OSError."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from web_server import body, raw, serving

from gymbal_runtime.adapters.http_fetcher import HttpFetcher


def fetch(url: str, timeout_s: float = 0.4, max_bytes: int = 1000, **options) -> bytes:
    fetcher = HttpFetcher(url, timeout_s=timeout_s, max_bytes=max_bytes, **options)
    return fetcher.get(fetcher.path, fetcher.query, "text/plain")


def test_a_page(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with serving(body("hello")) as server:
        assert fetch(f"{server.url}/metrics?a=1", token_file=str(token)) == b"hello"
    assert server.requests == ["/metrics?a=1"]
    assert server.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (body("x" * 1001), "more than 1000 bytes"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000_000), "more than 1000 bytes"),
        (body("no", 503), "503 Service Unavailable: no"),
        (body("", 302, Location="http://127.0.0.1:1/"), "302"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), "ends 6 bytes early"),
        (raw(b"\x00\xff garbage\r\n\r\n"), "garbage"),
        (raw(b""), "closed connection|reset"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"), "100 headers"),
        (raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000), "header line"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "http://"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n"), "bytes early"),
    ],
)
def test_what_is_not_a_good_answer(answer, message: str) -> None:
    with serving(answer) as server, pytest.raises(OSError, match=message) as raised:
        fetch(server.url)
    assert str(raised.value).count(server.url) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\n", *[b"A", b":", b"b", b"\r\n"] * 50],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 500],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 500],
    ],
)
def test_a_drip_ends_when_time_is_up(pieces: list[bytes]) -> None:
    with serving(raw(*pieces, pause=lambda: time.sleep(0.02))) as server:
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"no answer within 0\.4 s"):
            fetch(server.url)
        assert time.monotonic() - started < 6.0  # the drip alone would take ten seconds


def test_silence_and_nobody_there() -> None:
    silence = threading.Event()
    with serving(lambda request: silence.wait(5)) as server:
        with pytest.raises(TimeoutError, match="no answer"):
            fetch(server.url, timeout_s=0.2)
        silence.set()
    with pytest.raises(OSError, match="refused"):
        fetch(server.url)


def test_https(tmp_path: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    try:
        subprocess.run([*made, *names, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(body("hello")) as server:
        server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
        url = f"https://localhost:{server.http.server_address[1]}/"
        with pytest.raises(OSError, match="certificate verify failed"):
            fetch(url, timeout_s=2)
        assert fetch(url, timeout_s=2, ca_file=str(tmp_path / "cert.pem")) == b"hello"
        with pytest.raises(OSError, match="http://localhost"):
            fetch(url.replace("https", "http"), timeout_s=2)


@pytest.mark.parametrize(
    "url", ["ftp://host/", "file:///etc/passwd", "localhost:9100", "http://", "http://u:p@host/"]
)
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url must"):
        fetch(url)
