"""The tracer against programs whose references are known."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.profiling.plugin import TracerError, build_plugin, find_qemu
from gymbal_envs.profiling.profile_file import profile_of
from gymbal_envs.profiling.tracer import Recording, TraceOptions, executable, line_shift_of, trace

Compile = Callable[[str], str]

NUM_PAGES, ROUNDS = 300, 2_000
LOOP = f"""
static volatile char memory[{NUM_PAGES} * 4096] __attribute__((aligned(4096)));
int main(void) {{
    for (int round = 0; round < {ROUNDS}; round++)
        for (int page = 0; page < {NUM_PAGES}; page++)
            if (page < {NUM_PAGES // 3}) memory[page * 4096] = 1; else (void)memory[page * 4096];
    return 7;
}}
"""
LOOP_REFS = NUM_PAGES * ROUNDS
OTHER_PAGES = 150  # of the loader, the C library and the stack


def test_loop_has_its_knee_where_its_array_ends(compiled: Compile) -> None:
    measured = trace([compiled(LOOP)])
    assert measured.exit_status == 7
    assert not measured.stopped
    assert NUM_PAGES < measured.pages.num_blocks < NUM_PAGES + OTHER_PAGES
    sizes = np.array([NUM_PAGES // 2, NUM_PAGES - 20, NUM_PAGES + 20, NUM_PAGES + OTHER_PAGES])
    misses = measured.pages.miss_ratio(sizes) * measured.refs / LOOP_REFS
    assert misses[:2] == pytest.approx(1.0, abs=0.05)
    assert np.all(misses[2:] < 0.05)


def test_pages_touched_and_written_in_a_window(compiled: Compile) -> None:
    measured = trace([compiled(LOOP.replace(str(ROUNDS), str(5 * ROUNDS)))])
    refs, instructions, unique, dirty, footprint = measured.windows[2]
    assert refs == 3_000_000
    assert instructions > refs
    assert unique == pytest.approx(NUM_PAGES, abs=3)
    assert dirty == pytest.approx(NUM_PAGES // 3, abs=3)
    assert footprint == pytest.approx(measured.pages.num_blocks, abs=OTHER_PAGES)
    assert np.all(np.diff(measured.windows[:, 0]) > 0)


def test_sampled_lines_agree_with_all_lines(compiled: Compile) -> None:
    scan = """
    static volatile char memory[1 << 20];
    int main(void) {
        for (int round = 0; round < 50; round++)
            for (int i = 0; i < sizeof memory; i += 64) (void)memory[i];
    }"""
    program = compiled(scan)
    sizes = np.array([4_096, 12_288, 24_576])  # the array has 16384 lines
    exact, sampled = (
        trace([program], TraceOptions(line_shift=shift)).lines.miss_ratio(sizes) for shift in (0, 4)
    )
    assert exact[1] > 0.5 > exact[2]
    assert sampled == pytest.approx(exact, abs=0.06)


def test_program_stops_at_max_refs(compiled: Compile) -> None:
    seen: list[int] = []
    endless = "volatile int x; int main(void) { for (;;) x++; }"
    measured = trace([compiled(endless)], TraceOptions(max_refs=5_500_000), seen.append)
    assert measured.stopped
    assert measured.refs == 5_500_000
    assert measured.exit_status == 0
    assert len(measured.windows) == 6
    assert seen == sorted(seen)


def test_recording_holds_line_numbers(compiled: Compile, tmp_path: Path) -> None:
    path = tmp_path / "a, b"  # QEMU separates options by commas
    options = TraceOptions(recording=Recording(path, 10_000, 300_000), curves=False)
    measured = trace([compiled(LOOP)], options)
    lines = np.fromfile(path, dtype="<u8")
    assert measured.recorded == len(lines) == 10_000
    assert len(np.unique(lines // 64)) == NUM_PAGES
    step, count = np.unique(np.diff(lines.astype(np.int64)), return_counts=True)
    assert step[count.argmax()] == 64  # from page to page


def test_threads_are_seen_and_children_are_not(compiled: Compile) -> None:
    source = """
    #include <pthread.h>
    #include <sys/wait.h>
    #include <unistd.h>
    static volatile char mine[4][100 * 4096], childs[2000 * 4096];
    static void *touch(void *array) {
        for (int round = 0; round < 500; round++)
            for (int i = 0; i < 100; i++) ((volatile char *)array)[i * 4096] = 1;
        return 0;
    }
    int main(void) {
        pthread_t thread[4];
        if (fork() == 0) { for (int i = 0; i < 2000; i++) childs[i * 4096] = 1; return 0; }
        for (int i = 0; i < 4; i++) pthread_create(&thread[i], 0, touch, (void *)mine[i]);
        for (int i = 0; i < 4; i++) pthread_join(thread[i], 0);
        wait(0);
    }"""
    measured = trace([compiled(source)])
    assert 400 < measured.pages.num_blocks < 400 + 2 * OTHER_PAGES
    assert measured.refs > 4 * 500 * 100


def test_dynamic_programs_work(compiled: Compile, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"balance " * 10_000)
    measured = trace(["gzip", "-c", str(text)], TraceOptions(stdout=tmp_path / "text.gz"))
    assert measured.exit_status == 0
    assert (tmp_path / "text.gz").read_bytes()[:2] == b"\x1f\x8b"
    python = trace([sys.executable, "-S", "-c", "print(1)"], TraceOptions(max_refs=1_000_000))
    assert python.refs == 1_000_000


def test_lost_programs_are_explained(compiled: Compile) -> None:
    with pytest.raises(TracerError, match=r"(?s)exec; wrappers such as env.*path of the program"):
        trace([shutil.which("env") or "env", "true"])
    killed = compiled("int main(void) { __builtin_trap(); }")
    with pytest.raises(TracerError, match="ended by signal 4"):
        trace([killed])


def test_plugin_is_compiled_once(
    compiled: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plugin = build_plugin(find_qemu())
    made = plugin.stat().st_mtime_ns
    assert build_plugin(find_qemu()).stat().st_mtime_ns == made
    assert [path.name for path in (tmp_path / "gymbal").iterdir()] == [plugin.name]


def test_tiny_footprints_are_refused(compiled: Compile) -> None:
    measured = trace([compiled(LOOP)], TraceOptions(max_refs=2))
    with pytest.raises(TracerError, match="too few for a miss curve"):
        profile_of(measured, "tiny")


def fake_qemu(folder: Path, version: str = "qemu-x86_64 version 7.2.22") -> None:
    program = folder / "qemu-x86_64"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)


def test_missing_qemu_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TracerError, match="apt-get install qemu-user"):
        trace([sys.executable])


def test_missing_compiler_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_qemu(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(TracerError, match="apt-get install gcc"):
        build_plugin(find_qemu())


def test_unknown_qemu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, "something else")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TracerError, match="does not tell its version"):
        build_plugin(find_qemu())


def test_scripts_and_other_machines_are_refused(tmp_path: Path) -> None:
    cases = {
        "script": (b"#!/usr/bin/env python\n", r"is a script.*-- /usr/bin/env python .*script"),
        "arm": (b"\x7fELF" + bytes(14) + b"\xb7\x00" + bytes(44), "not a Linux program for x86-64"),
        "text": (b"hello", "not a Linux program for x86-64"),
    }
    for name, (content, message) in cases.items():
        program = tmp_path / name
        program.write_bytes(content)
        program.chmod(0o755)
        with pytest.raises(TracerError, match=message):
            executable([str(program)])
    with pytest.raises(TracerError, match="no such program"):
        executable(["no-such-program"])
    with pytest.raises(TracerError, match="after --"):
        executable([])


def test_options_name_the_rule(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_refs must be at least 1, found 0"):
        TraceOptions(max_refs=0)
    with pytest.raises(ValueError, match=r"line_shift must be in 0\.\.16, found 17"):
        TraceOptions(line_shift=17)
    with pytest.raises(ValueError, match="refs >= 1 and skip >= 0"):
        TraceOptions(recording=Recording(tmp_path / "r", 0))
    assert [line_shift_of(sample) for sample in ("1", "1/2", "1/16")] == [0, 1, 4]
    with pytest.raises(ValueError, match="line sample must be 1, 1/2"):
        line_shift_of("1/3")
