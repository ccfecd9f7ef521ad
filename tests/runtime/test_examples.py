"""What docs/examples shows works: a controller in C, a systemd unit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from gymbal_runtime.assembly import Deciders
from gymbal_runtime.decision_server import DecisionServer, Session
from gymbal_runtime.settings import PolicySettings, Settings

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc")
    program = tmp_path_factory.mktemp("c") / "decide"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2"]
    subprocess.run([compiler, *flags, "-o", program, EXAMPLES / "decide.c"], check=True)
    return program


def test_client_in_c__does_what_the_policy_says(client, bundle, tmp_path):
    policy = PolicySettings(bundle="x", deadline_s=10.0)
    asked, told = [], []

    class Recording(Session):
        def answer(self, line: bytes) -> bytes:
            asked.append(json.loads(line))
            reply = super().answer(line)
            told.append(json.loads(reply))
            return reply

    settings = Settings(policy=policy)
    server = DecisionServer(tmp_path / "s", lambda: Recording(Deciders(bundle, policy), settings))
    server.start()
    done = subprocess.run(
        [client, tmp_path / "s"], capture_output=True, text=True, check=True, timeout=30
    )
    server.close()
    held = {"north": 2.0**30, "south": 2.0**30}
    expected = []
    for step, reply in enumerate(told):
        assert reply["source"] in ("policy", "fallback")
        for name, target in reply["targets"].items():
            held[name] = held[name] if target is None else float(target)
            expected.append(f"{step} {name} {held[name]:.0f}")
    assert done.stdout.splitlines() == expected
    assert len(asked) == 6
    assert held != {"north": 2.0**30, "south": 2.0**30}


def test_client_in_c__without_a_server(client, tmp_path):
    done = subprocess.run([client, tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "No such file" in done.stderr


@pytest.fixture
def unit(tmp_path) -> Path:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: apt-get install systemd")
    text = (EXAMPLES / "gymbal-control.service").read_text()
    program = tmp_path / "gymbal-control"  # systemd-analyze wants to see what it would start
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / "gymbal-control.service"
    path.write_text(text.replace("/usr/bin/gymbal-control", str(program)))
    return path


def test_unit__is_valid(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_unit__is_locked_down(unit):
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout.splitlines()[-1]  # an exposure of 2.0 of 10 at most


def test_schema_example__in_the_docs_is_a_request(bundle):
    text = (EXAMPLES.parent / "serve.md").read_text()
    request = text.split("```json\n", 1)[1].split("```", 1)[0]
    reply = text.split("```json\n", 2)[2].split("```", 1)[0]
    policy = PolicySettings(bundle="x", deadline_s=10.0)
    session = Session(Deciders(bundle, policy), Settings(policy=policy))
    answer = msgspec.json.decode(session.answer(" ".join(request.split()).encode()))
    assert list(answer) == list(json.loads(reply))
    assert set(answer["targets"]) == set(json.loads(reply)["targets"])
