"""MetricsServer: two pages, for this machine, whatever the client does."""

from __future__ import annotations

import http.client
import socket

import pytest

from gymbal_runtime.metrics_server import MetricsServer, parse_address


@pytest.fixture
def served():
    state = {"well": True}
    server = MetricsServer(":0", lambda: "a 1\n", lambda: (state["well"], "fine"))
    port = server.start()
    yield state, port
    server.close()


def get(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Content-Type"), body


def test_pages(served):
    state, port = served
    assert get(port, "/metrics") == (200, "text/plain; version=0.0.4; charset=utf-8", "a 1\n")
    assert get(port, "/healthz")[::2] == (200, "fine\n")
    state["well"] = False
    assert get(port, "/healthz")[0] == 503
    assert get(port, "/")[0] == 404
    assert get(port, "/metrics", "POST")[0] == 501


def test_a_silent_client_does_not_keep_others_waiting(served):
    _, port = served
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.send(b"GET /met")
        assert get(port, "/metrics")[0] == 200


def test_a_port_that_is_taken(served):
    _, port = served
    with pytest.raises(OSError, match="in use"):
        MetricsServer(f"127.0.0.1:{port}", str, lambda: (True, "")).start()


def test_parse_address():
    assert parse_address("0.0.0.0:9101") == ("0.0.0.0", 9101)
    assert parse_address("[::1]:80") == ("::1", 80)
    assert parse_address(":80") == ("127.0.0.1", 80)
    for wrong in ("9101", "host:", "host:x", "host:70000", ""):
        with pytest.raises(ValueError, match="expected HOST:PORT"):
            parse_address(wrong)
