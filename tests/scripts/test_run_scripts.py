"""Each script, run as a user runs it, on something tiny."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gymbal_runtime.bundle import read_bundle

ROOT = Path(__file__).parents[2]
TINY = [
    "scenario.fleet.episode_s=300", "ppo.num_envs=16", "ppo.rollout_steps=16",
    "ppo.batch_size=128", "evaluate_scenarios=2", "total_steps=512",
]  # fmt: skip


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


def test_train_export_and_control(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = script("train.py", *TINY, f"out={run}", "reference=false")
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "config.json").read_text())["total_steps"] == 512
    bundle = tmp_path / "again.gymbal"
    done = script("export.py", str(run), "--out", str(bundle))
    assert done.returncode == 0, done.stderr
    other = tmp_path / "other.gymbal"
    done = script("export.py", str(run), "--option", "max_probe=0.02", "--out", str(other))
    assert done.returncode == 0, done.stderr
    assert read_bundle(other).codec.options == {
        **read_bundle(bundle).codec.options, "max_probe": 0.02,
    }  # fmt: skip
    for wrong, said in (("max_probe", "must be NAME=VALUE"), ("cash=1", "cash")):
        done = script("export.py", str(run), "--option", wrong, "--out", str(other))
        assert done.returncode == 2
        assert said in done.stderr
    log = tmp_path / "log.jsonl"
    done = script(
        "control.py", "run", "--bundle", str(bundle), "--host", "simulated", "--mode", "act",
        "--steps", "5", "--no-wait", "--log", str(log),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    decisions = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(decisions) == 5
    assert all(decision["mode"] == "act" for decision in decisions)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scenario.trace=/nowhere/at/all.npz"], "/nowhere/at/all.npz"),
        (["scenario.fleet.load=[2,1]"], "load"),
        (["ppo.gamma=high"], "ppo.gamma"),
        (["resume=true", "out=/tmp/gymbal-no-such-run"], "no-such-run"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = script("train.py", f"out={tmp_path}/x", "reference=false", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    done = script("train.py", f"out={tmp_path}/x", "ppo.gama=0.9")
    assert done.returncode != 0
    assert "gama" in done.stderr


@pytest.mark.parametrize(
    "name", ["train.py", "first_run.py", "evaluate.py", "export.py", "tune.py"]
)
def test_help_helps(name: str) -> None:
    done = script(name, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5
