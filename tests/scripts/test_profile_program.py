"""The profiling command, run as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.demand.program_curves import read_curves
from gymbal_envs.profiling.profile_file import read_profile

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "profile_program.py"
needs_tracer = pytest.mark.skipif(
    shutil.which("qemu-x86_64") is None or shutil.which("gcc") is None,
    reason="needs qemu-x86_64 and gcc: apt-get install qemu-user gcc",
)


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )


@needs_tracer
def test_profile_of_a_real_program(tmp_path: Path) -> None:
    text, out, record = tmp_path / "text", tmp_path / "profiles", tmp_path / "lines"
    text.write_bytes(os.urandom(200_000) + b"level " * 50_000)
    options = ("--out", out, "--plot", "--record", record, "--record-refs", 1000)
    done = run(*options, "--", "gzip", "-c", text)
    assert done.returncode == 0, done.stderr
    assert "pages resident" in done.stdout
    assert "ran to its end" in done.stdout
    assert str(out / "gzip.png") in done.stdout
    (curve,) = read_curves(out)
    assert 100 < curve.footprint_pages < 400
    profile = read_profile(out, "gzip")
    assert profile.footprint[-1, 0] == pytest.approx(
        float(profile.summary["data_refs_M"]) * 1e6, abs=5e4
    )
    assert len(np.fromfile(record, dtype="<u8")) == 1000


@needs_tracer
def test_lost_programs_leave_no_profile(tmp_path: Path) -> None:
    done = run("--out", tmp_path / "profiles", "--", "/usr/bin/env", "true")
    assert done.returncode == 1
    assert "error: /usr/bin/env: " in done.stderr
    assert not (tmp_path / "profiles").exists()


def test_missing_qemu_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tool").symlink_to(Path(sys.executable).resolve())
    done = run("--out", tmp_path / "profiles", "--", "tool", PATH=str(tmp_path))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: qemu-x86_64 is not installed")
    assert "apt-get install qemu-user" in line


def test_usage_says_where_the_program_goes_and_what_is_lost() -> None:
    assert "put it last, after --" in run("--plot").stderr
    shown = run("--help").stdout
    assert "exec" in shown
    assert "--line-sample" in shown


def test_bad_options_name_the_rule(tmp_path: Path) -> None:
    done = run("--out", tmp_path, "--line-sample", "1/3", "--", "true")
    assert done.returncode == 1
    assert "line sample must be 1, 1/2" in done.stderr
