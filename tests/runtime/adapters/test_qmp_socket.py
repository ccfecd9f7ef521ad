"""QMP sockets whose other end misbehaves; QEMU itself is in tests/real."""

import json
import threading
import time

import pytest
from fake_qmp import Monitor, answered, silent_but_for_capabilities

from gymbal_runtime.adapters import qmp_connection
from gymbal_runtime.adapters.qmp_socket import QmpError, QmpSocket, exchange


@pytest.fixture
def monitor(tmp_path):
    made = []

    def make(answer=answered, name="guest.qmp"):
        made.append(Monitor(tmp_path / name, answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_commands_are_answered_and_events_kept_apart(monitor):
    event = b'{"event": "BALLOON_CHANGE", "data": {"actual": 1}}\r\n'
    qmp = QmpSocket(monitor(lambda message: event + answered(message)).path)
    assert [qmp.execute("query-status"), qmp.execute("query-balloon")] == [
        "query-status",
        "query-balloon",
    ]
    assert {one["event"] for one in qmp.events} == {"BALLOON_CHANGE"}
    assert qmp.peer_pid > 0


def test_a_refusal_says_who_refused_what(monitor):
    def refuse(message):
        if message["execute"] == "qmp_capabilities":
            return answered(message)
        error = {"class": "DeviceNotActive", "desc": "No balloon device"}
        return json.dumps({"error": error, "id": message["id"]}).encode() + b"\n"

    qmp = QmpSocket(monitor(refuse).path)
    with pytest.raises(QmpError, match=r"guest\.qmp: balloon: No balloon device") as caught:
        qmp.execute("balloon", {"value": 1})
    assert caught.value.kind == "DeviceNotActive"


def test_a_silent_socket_costs_its_deadline_once_and_then_next_to_nothing(monitor):
    good = QmpSocket(monitor().path)
    bad = QmpSocket(monitor(silent_but_for_capabilities, "bad.qmp").path)
    requests = {good: [("query-status", None)], bad: [("query-status", None)]}
    lasted = []
    for _ in range(3):
        began = time.monotonic()
        answers = exchange(requests, timeout_s=0.4)
        lasted.append(time.monotonic() - began)
        assert answers[good] == ["query-status"]
        assert isinstance(answers[bad][0], TimeoutError)
    assert lasted[0] >= 0.4
    assert max(lasted[1:]) < 0.3


def test_a_late_answer_is_not_taken_for_another(monitor):
    held = threading.Event()

    def slow_at_first(message):
        if message["execute"] == "slow":
            held.wait(10)
        return answered(message)

    qmp = QmpSocket(monitor(slow_at_first).path)
    with pytest.raises(TimeoutError, match="no answer"):
        qmp.execute("slow", timeout_s=0.1)
    held.set()
    assert qmp.execute("query-balloon") == "query-balloon"


def test_a_connection_that_is_overdue_for_long_is_made_anew(monitor, monkeypatch):
    monkeypatch.setattr(qmp_connection, "PATIENCE_S", 0.0)
    other = monitor(silent_but_for_capabilities)
    qmp = QmpSocket(other.path)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            qmp.execute("query-status", timeout_s=0.05)
    other.answer = answered
    assert qmp.execute("query-status") == "query-status"
    assert qmp.generation == 2


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"hello\n", "not QMP"),
        (b"[1, 2]\n", "not QMP"),
        (b"x" * (1 << 23), "without an end"),
    ],
)
def test_what_is_no_qmp_is_hung_up_on(monitor, said, error):
    qmp = QmpSocket(monitor(lambda _: said).path)
    with pytest.raises(ConnectionAbortedError, match=error):
        qmp.execute("query-status")
    assert qmp.fileno() == -1


def test_nobody_listens_and_then_somebody_does(monitor, tmp_path):
    qmp = QmpSocket(tmp_path / "guest.qmp")
    with pytest.raises(FileNotFoundError):
        qmp.execute("query-status")
    first = monitor()
    assert qmp.execute("query-status") == "query-status"
    first.close()
    with pytest.raises(ConnectionError):
        qmp.execute("query-status")
    (tmp_path / "guest.qmp").unlink()
    monitor()
    assert qmp.execute("query-status") == "query-status"
