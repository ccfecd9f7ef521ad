"""RotatingFile and the log on it: full disks, moved files, lines cut in half."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gymbal_runtime.decision import Decision, DecisionLog
from gymbal_runtime.rotating_file import RotatingFile, rotated_files


def test_append__rotates_and_keeps_so_many(tmp_path):
    path = tmp_path / "log"
    file = RotatingFile(path, max_bytes=30, keep=2)
    for number in range(10):
        file.append(b"line %03d of 14\n" % number)  # 15 bytes: two to a file
    parts = rotated_files(path)
    assert [part.name for part in parts] == ["log.2", "log.1", "log"]
    kept = b"".join(part.read_bytes() for part in parts).splitlines()
    assert kept == [b"line %03d of 14" % number for number in range(4, 10)]
    assert all(part.stat().st_size <= 30 for part in parts)


def test_append__one_line_larger_than_the_limit(tmp_path):
    file = RotatingFile(tmp_path / "log", max_bytes=4, keep=0)
    file.append(b"long line\n")
    file.append(b"another\n")
    assert (tmp_path / "log").read_bytes() == b"another\n"


def test_append__follows_who_moves_or_removes_the_file(tmp_path):
    path = tmp_path / "log"
    file = RotatingFile(path)
    file.append(b"1\n")
    path.rename(tmp_path / "moved")
    file.append(b"2\n")
    assert path.read_bytes() == b"2\n"
    path.unlink()
    file.append(b"3\n")
    assert path.read_bytes() == b"3\n"


def test_append__after_a_line_cut_in_half(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"a": 1}\n{"a"')
    file = RotatingFile(path)
    file.append(b'{"b": 2}\n')
    assert path.read_bytes().splitlines() == [b'{"a": 1}', b'{"a"', b'{"b": 2}']


def test_append__full_device():
    file = RotatingFile(Path("/dev/full"), max_bytes=10)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            file.append(b"line\n")


def test_log__resumes_when_there_is_room_again(tmp_path):
    """A limit on the size of files stands for a full disk; it needs a process of its own."""
    code = f"""
import pathlib, resource
from gymbal_runtime.decision import Decision, DecisionLog
log = DecisionLog(pathlib.Path({str(tmp_path / "log")!r}))
decide = lambda step: Decision(time="t", step=step, mode="act", host="h")
log.write(decide(0))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
failed = 0
for step in range(1, 4):
    try: log.write(decide(step))
    except OSError as error: failed += "cannot write the decision log" in str(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
log.write(decide(4))
print(failed)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 2
    steps, broken = [], 0
    for line in (tmp_path / "log").read_bytes().splitlines():
        try:
            steps.append(json.loads(line)["step"])
        except json.JSONDecodeError:
            broken += 1
    assert (steps[0], steps[-1]) == (0, 4)
    assert broken <= 1


def test_log__to_standard_output(capsys):
    DecisionLog().write(Decision(time="t", step=7, mode="act", host="h"))
    assert json.loads(capsys.readouterr().out)["step"] == 7
