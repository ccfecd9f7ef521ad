"""The evaluation and tuning commands, run as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "tests" / "runtime" / "fixtures" / "tiny.gymbal"
TINY = ("scenario.fleet.episode_s=100", "scenario.fleet.num_vms=[2,3]", "threads=1")


def run(script: str, cwd: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_evaluate_writes_a_report(tmp_path: Path) -> None:
    done = run(
        "evaluate.py", tmp_path, *TINY, "agents=[static,esx,oracle,policy]", f"policy={BUNDLE}",
        "num_scenarios=3", "oracle_scenarios=2", "tuned_file=null", "out=report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for word in ("static", "esx", "oracle", "policy", "gap closed", "wrote report/report.html"):
        assert word in done.stdout
    content = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert len(content["evaluation"]["measures"]["esx"]["reward"]) == 3
    assert len(content["evaluation"]["measures"]["oracle"]["reward"]) == 2
    assert {file.name for file in (tmp_path / "report").iterdir()} >= {"report.html", "report.md"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("agents=[esxi]",), "no agent 'esxi'"),
        (("policy=no/such.gymbal",), "no/such.gymbal"),
        (("+nonsense=1",), "`nonsense` is unknown"),
        (("scenario.trace=no/such.csv",), "no/such.csv"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path: Path, arguments, problem: str) -> None:
    done = run("evaluate.py", tmp_path, "tuned_file=null", "num_scenarios=1", *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "report").exists()


def test_tune_writes_options_that_evaluate_takes(tmp_path: Path) -> None:
    done = run(
        "tune.py", tmp_path, *TINY, "heuristics=[static,esx]", "trials=3", "num_scenarios=2",
        "validation_scenarios=2", "out=tuned.yaml", "storage=trials.journal",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "trials x 2 scenarios" in (tmp_path / "tuned.yaml").read_text()
    done = run(
        "evaluate.py", tmp_path, *TINY, "agents=[static,esx,esx_default]", "num_scenarios=2",
        "tuned_file=tuned.yaml", "out=report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "esx_default" in done.stdout
