"""gymbal-control as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gymbal_runtime import __version__, cli, hosts

HEAVY = ("torch", "gymnasium", "numba", "numpy", "onnxruntime", "msgspec")


@pytest.fixture
def host(monkeypatch, make_record, fake_host):
    rng = np.random.default_rng(0)
    host = fake_host(*(make_record(rng) for _ in range(5)))
    monkeypatch.setattr(hosts, "open_host", lambda name, **options: host)
    return host


def run(*arguments: object) -> int:
    return cli.main(["run", "--host", "simulated", "--no-wait", *map(str, arguments)])


def test_run__act(host, bundle_path, tmp_path):
    log, metrics = tmp_path / "log", tmp_path / "metrics"
    options = (
        "--mode",
        "act",
        "--hold",
        0,
        "--guard",
        "protect=false",
        "--steps",
        5,
        "--log",
        log,
        "--metrics-file",
        metrics,
    )
    assert run("--bundle", bundle_path, *options) == 0
    decisions = [json.loads(line) for line in log.open()]
    assert [d["source"] for d in decisions] == ["policy"] * 5
    assert len(host.commands) == 5
    assert host.closed
    assert 'source="policy"} 5' in metrics.read_text()


def test_run__advise_to_standard_output(host, bundle_path, capsys):
    assert run("--bundle", bundle_path, "--mode", "advise", "--steps", 2) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 2
    assert not host.commands


def test_run__observes_by_default(host, bundle_path, capsys):
    assert run("--bundle", bundle_path, "--steps", 1) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "observe"


def test_run__heuristic_alone_with_options(host, capsys):
    options = ("--heuristic-option", "miss_ratio=0.1", "--heuristic-option", "weighted=true")
    assert run("--heuristic", "meb", *options, "--mode", "advise", "--steps", 1) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "fallback"


def test_run__guard_limits(host, bundle_path, capsys):
    options = ("--guard", "max_change_frac=0", "--guard", "dead_band_frac=0.5")
    assert run("--bundle", bundle_path, "--mode", "act", "--steps", 1, *options) == 0
    assert set(json.loads(capsys.readouterr().out)["targets"].values()) == {None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bundle", "nowhere.gymbal"), "nowhere.gymbal: No such file or directory; check the"),
        (("--bundle", __file__), "is not a policy bundle"),
        (("--heuristic", "magic"), "no heuristic 'magic'; there are"),
        (("--heuristic", "meb", "--heuristic-option", "x=1"), "has no option 'x'"),
        (("--heuristic", "meb", "--guard", "speed=1"), "--guard: "),
        (("--heuristic", "meb", "--guard", "max_age_s=-1"), "max_age_s must be zero or positive"),
        (("--heuristic", "meb", "--log", "no/such/place"), "there is no directory"),
    ],
)
def test_run__mistakes_are_one_line_and_status_2(host, capsys, arguments, message):
    assert run(*arguments) == cli.USAGE_ERROR
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("gymbal-control: error: ")
    assert error.count("\n") == 1


def test_run__unknown_host(capsys):
    assert cli.main(["run", "--heuristic", "meb", "--host", "xen"]) == cli.USAGE_ERROR
    assert "no host named 'xen'; installed: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "--host", "simulated"],
        ["run", "--host", "simulated", "--heuristic", "meb", "--bundle", "x"],
        ["run", "--host", "simulated", "--heuristic", "meb", "--steps", "0"],
        ["run", "--host", "simulated", "--heuristic", "meb", "--interval", "nan"],
        ["run", "--host", "simulated", "--heuristic", "meb", "--guard", "fast"],
        ["run", "--host", "simulated", "--heuristic", "meb", "--mode", "maybe"],
    ],
)
def test_main__bad_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == cli.USAGE_ERROR
    assert "usage: gymbal-control" in capsys.readouterr().err


def test_inspect__shows_manifest_table_and_card(bundle_path, bundle, capsys):
    assert cli.main(["inspect", str(bundle_path)]) == 0
    text = capsys.readouterr().out
    for expected in (bundle.sha256, bundle.codec.fingerprint(), "256 VM slots", "# Model card"):
        assert expected in text
    assert "agent   scenarios  return\nmeb     synthetic  -1\npolicy  synthetic  -0.5" in text


def test_inspect__broken_bundle(tmp_path, capsys):
    assert cli.main(["inspect", str(tmp_path)]) == cli.USAGE_ERROR
    assert str(tmp_path) in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gymbal {__version__}\n"


def test_help__imports_nothing_heavy():
    code = (
        "import sys; from gymbal_runtime.cli import main\n"
        "try: main(['run', '--help'])\n"
        f"finally: print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout
    assert "--mode {observe,advise,act}" in done.stdout


def test_script__is_the_same_program():
    script = Path(__file__).parents[2] / "scripts" / "control.py"
    done = subprocess.run(
        [sys.executable, str(script), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"gymbal {__version__}\n"
