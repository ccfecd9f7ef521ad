"""The import command, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gymbal_envs.demand.open import open_trace

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "import_trace.py"
HEADER = (
    "Timestamp [ms];\tCPU cores;\tCPU usage [%];\tMemory capacity provisioned [KB];"
    "\tMemory usage [KB]"
)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 VMs, the last with one impossible row."""
    (tmp_path / "fleet").mkdir()
    for vm in range(12):
        lines = [HEADER] + [f"{i * 300};\t2;\t{i};\t1024;\t{i * 10}" for i in range(20)]
        if vm == 11:
            lines[5] = "1200;\t2;\t-4;\t1024;\t40"
        (tmp_path / "fleet" / f"{vm}.csv").write_text("\n".join(lines))
    return tmp_path / "fleet"


def test_import_says_what_it_did(folder: Path, tmp_path: Path) -> None:
    dst = tmp_path / "fleet.parquet"
    done = run(folder, dst, "--repair")
    assert done.returncode == 0, done.stderr
    assert "12 VMs, 20 samples every 300 s" in done.stdout
    assert "repaired: Rows dropped where 'CPU usage [%]' is negative: 1." in done.stdout
    assert "Reading" in done.stderr
    assert open_trace(dst).num_vms == 12


def test_errors_are_one_line_and_leave_no_file(folder: Path, tmp_path: Path) -> None:
    done = run(folder, tmp_path / "fleet.parquet")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "11.csv: line 6" in done.stderr
    assert "--repair" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "fleet.parquet").exists()


def test_help_and_wrong_destination(tmp_path: Path) -> None:
    assert "--max-gap-s" in run("--help").stdout
    done = run(tmp_path, tmp_path / "fleet.csv")
    assert done.returncode == 2
    assert "must end in .parquet" in done.stderr
