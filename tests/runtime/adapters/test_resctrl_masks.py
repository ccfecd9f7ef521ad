"""The text of resctrl's files, and which VM goes into which group."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gymbal_runtime.adapters.resctrl_homes import match_groups
from gymbal_runtime.adapters.resctrl_masks import (
    cache_masks,
    format_masks,
    lowest_run,
    parse_mask,
    parse_schemata,
    widest_run,
)
from gymbal_runtime.adapters.resctrl_tree import SystemFiles


def test_schemata() -> None:
    text = "    MB:0=100;1= 50\nL3DATA:0=f0;1=ff\nL3CODE:0=f;1=ff\n"
    found = parse_schemata(text)
    assert found["MB"] == {0: "100", 1: "50"}
    assert cache_masks(found) == {0: 0xFF, 1: 0xFF}
    assert cache_masks(parse_schemata("L2:0=f\n")) == {}
    assert parse_schemata(format_masks(0x3C, {"L3": (0, 2)})) == {"L3": {0: "3c", 2: "3c"}}


@pytest.mark.parametrize(
    "text", ["L3", "L3:", "L3:0", "L3:0=", "L3:a=f", "L3:0=f;0=f", "L3:0=f\nL3:0=f", "L3:-1=f"]
)
def test_what_is_no_schemata(text: str) -> None:
    with pytest.raises(ValueError, match="schemata line must"):
        parse_schemata(text)


@pytest.mark.parametrize("text", ["", "0x3", "-1", "g", "1" * 17, "1_0", "\uff11"])
def test_what_is_no_mask(text: str) -> None:
    with pytest.raises(ValueError, match="way mask must be"):
        parse_mask(text)


@given(st.integers(0, 2**20))
def test_runs(mask: int) -> None:
    runs = [len(run) for run in f"{mask:b}".split("0") if run]
    widest, lowest = widest_run(mask), lowest_run(mask)
    assert widest & mask == widest
    assert widest.bit_count() == max(runs, default=0)
    assert lowest.bit_count() == (runs[-1] if runs else 0)
    assert lowest & -lowest == mask & -mask


def test_classes_go_where_most_of_their_vms_are() -> None:
    present = {"g-0": {0, 1}, "g-1": {2, 3, 4}, "g-2": set()}
    assert match_groups({5: {2, 3}, 9: {0, 4}}, present, "g-") == {5: "g-1", 9: "g-0"}
    assert match_groups({0: {9}}, {}, "g-") == {0: "g-0"}
    assert match_groups({0: {0}, 1: {1}, 2: {9}}, {"g-1": {1}}, "g-") == {
        0: "g-0",
        1: "g-1",
        2: "g-2",
    }


def test_system_files(tmp_path: Path) -> None:
    """What can be seen without a resctrl: plain files stand in, and cannot refuse."""
    files = SystemFiles(tmp_path, lock_timeout_s=0.05)
    (tmp_path / "tasks").write_text("1\n2\n")
    files.write("tasks", "345\n")
    assert files.read("tasks") == "345\n"
    with pytest.raises(FileNotFoundError):
        files.write("missing", "1\n")
    files.mkdir("group")
    assert files.directories("") == ["group"]
    files.rmdir("group")
    assert os.getpid() in files.threads(os.getpid())
    assert files.threads(2**22 + 1) == set()
    others = SystemFiles(tmp_path)
    with files.lock(exclusive=False), others.lock(exclusive=False):
        refused = pytest.raises(TimeoutError, match=r"held its lock for 0\.05 s")
        with refused, files.lock(exclusive=True):
            pass
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with SystemFiles(tmp_path).lock(exclusive=True):
            held.set()
            done.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    threading.Timer(0.05, done.set).start()
    with SystemFiles(tmp_path, lock_timeout_s=5).lock(exclusive=True):
        assert done.is_set()
    holder.join()
