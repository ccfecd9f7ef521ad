"""gymbal-control serve: one line in, one line out, whatever the line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gymbal_runtime.assembly import Deciders
from gymbal_runtime.decision_server import MAX_REQUEST_BYTES, DecisionServer, Reply, Session
from gymbal_runtime.record import record_of
from gymbal_runtime.settings import GuardSettings, PolicySettings, Settings

NAMES = tuple(f"vm{k}" for k in range(6))


@pytest.fixture
def open_session(bundle):
    policy = PolicySettings(bundle="x", deadline_s=10.0)
    settings = Settings(policy=policy, guard=GuardSettings(dead_band_frac=0.0))
    return lambda: Session(Deciders(bundle, policy), settings)


@pytest.fixture
def server(open_session, tmp_path):
    path = tmp_path / "s"
    server = DecisionServer(path, open_session, max_clients=2, idle_s=5.0)
    server.start()
    yield path
    server.close()
    assert not path.exists()


def line_of(record, names=NAMES) -> bytes:
    return msgspec.json.encode(record_of(record, names)) + b"\n"


class Client:
    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def ask(self, line: bytes) -> dict:
        self.socket.sendall(line)
        return json.loads(self.file.readline())

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_answer__is_what_the_controller_would_do(open_session, bundle, make_record):
    rng = np.random.default_rng(0)
    session, agent = open_session(), bundle.agent()
    agent.reset(1, 6)
    for _ in range(4):
        record = make_record(rng)
        reply = json.loads(session.answer(line_of(record)))
        assert reply["source"] == "policy"
        assert list(reply) == list(Reply.__struct_fields__)
        wanted = agent.act(record).balloon_bytes[0]
        for slot, name in enumerate(NAMES):
            told = reply["targets"][name]
            free = wanted[slot] < record.actual_bytes[0, slot] and "protected" not in reply["guard"]
            if told is not None and free and "over_budget" not in reply["guard"]:
                assert told == pytest.approx(wanted[slot], abs=1)


def test_answer__a_vm_may_move_in_the_list(open_session, make_record):
    record = make_record(np.random.default_rng(1))
    order = np.array([5, 0, 3, 1, 2, 4])
    one, other = open_session(), open_session()
    for session in (one, other):
        session.answer(line_of(record))
    straight = json.loads(one.answer(line_of(record)))
    moved = json.loads(
        other.answer(line_of(record.take_vms(order), tuple(NAMES[k] for k in order)))
    )
    assert straight["targets"] == moved["targets"]


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"[]\n", b"\xff\n", b"{" * 100_000 + b"\n", b'{"time_s": 1e999}\n', b"null\n"],
)
def test_answer__nonsense_is_an_error_and_not_the_end(open_session, record, line):
    session = open_session()
    assert json.loads(session.answer(line))["error"].startswith("not a telemetry record: ")
    assert json.loads(session.answer(line_of(record)))["source"] == "policy"


def test_server__several_clients_each_with_a_memory(server, make_record):
    rng = np.random.default_rng(2)
    records = [make_record(rng) for _ in range(3)]
    one, two = Client(server), Client(server)
    first = [one.ask(line_of(record))["targets"] for record in records]
    second = [two.ask(line_of(record))["targets"] for record in records]
    assert first == second
    crowd = Client(server)
    assert json.loads(crowd.file.readline()) == {"error": "too many clients"}
    for client in (one, two, crowd):
        client.close()


def test_server__a_request_without_end_is_refused(server, record):
    client = Client(server)
    client.socket.sendall(b" " * (MAX_REQUEST_BYTES + 1))
    assert "longer than" in json.loads(client.file.readline())["error"]
    assert client.file.readline() == b""
    client.close()
    client = Client(server)
    assert client.ask(line_of(record))["source"] == "policy"
    client.close()


def test_server__a_client_that_says_nothing_is_disconnected(open_session, tmp_path):
    server = DecisionServer(tmp_path / "s", open_session, idle_s=0.05)
    server.start()
    client = Client(tmp_path / "s")
    assert client.file.readline() == b""
    client.close()
    server.close()


def test_server__replaces_a_dead_socket_only(open_session, server, tmp_path):
    with pytest.raises(FileExistsError, match="somebody is listening"):
        DecisionServer(server, open_session)
    (tmp_path / "file").write_text("precious")
    with pytest.raises(FileExistsError, match="is not a socket"):
        DecisionServer(tmp_path / "file", open_session)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    DecisionServer(tmp_path / "dead", open_session).start()


def test_command__serves_until_it_is_told_to_stop(bundle_path, record, tmp_path):
    path = tmp_path / "s"
    command = [sys.executable, "-m", "gymbal_runtime.cli", "serve", "--socket", str(path)]
    with subprocess.Popen([*command, "--bundle", str(bundle_path)]) as process:
        for _ in range(200):
            if path.exists():
                break
            time.sleep(0.05)
        client = Client(path)
        assert client.ask(line_of(record))["source"] in ("policy", "fallback")
        client.close()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
    assert not path.exists()
