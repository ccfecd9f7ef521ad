"""The README's code and commands, run as a reader would run them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONTROL = [
    line.split("   ")[0].strip()
    for line in README.splitlines()
    if line.startswith("gymbal-control")
]


def test_the_quickstart_runs_and_is_short() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "mean cost per decision" in done.stdout


@pytest.mark.parametrize("line", CONTROL)
def test_the_controllers_commands_run(line: str) -> None:
    command = [sys.executable, "-m", "gymbal_runtime.cli", *shlex.split(line)[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_there_are_two_set_up_commands() -> None:
    (block,) = re.findall(r"## Set-up.*?```\n(.*?)```", README, re.S)
    assert [line.split("#")[0].strip() for line in block.splitlines()] == [
        "make train",
        "make test",
    ]


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
