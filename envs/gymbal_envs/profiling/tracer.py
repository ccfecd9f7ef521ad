"""Run a program under the tracing plugin and read what it counted.

Only the program's own user-mode data references are seen: not those of the kernel, of children, or
of a program that it replaces itself by (``exec``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.profiling.plugin import TracerError, build_plugin, find_qemu
from gymbal_envs.profiling.reuse import LINE_BYTES, PAGE_BYTES, Reuse

WINDOW_REFS = 1_000_000
DEFAULT_MAX_REFS = 500_000_000
DEFAULT_LINE_SHIFT = 4  # one line in 16
MAX_LINE_SHIFT = 16
_POLL_S = 0.1
_ELF_X86_64 = 0x3E
_STDERR_LINES = 5


@dataclass(frozen=True)
class Recording:
    """Which part of the reference stream goes into a file.

    Attributes:
        path: The file: 64-byte line numbers, uint64 little endian, one per data reference.
        refs: How many references.
        skip: How many to leave out before.
    """

    path: Path
    refs: int = 10_000_000
    skip: int = 0


@dataclass(frozen=True)
class TraceOptions:
    """How much of a program to trace, and how closely.

    Attributes:
        max_refs: Data references after which the program is stopped.
        line_shift: Lines are sampled at the rate 2^-line_shift (SHARDS); pages never are.
        recording: Part of the reference stream to keep; None keeps none.
        curves: Without curves only the recording is made, five times as fast.
        stdout: Where the program's own output goes; None throws it away.
    """

    max_refs: int = DEFAULT_MAX_REFS
    line_shift: int = DEFAULT_LINE_SHIFT
    recording: Recording | None = None
    curves: bool = True
    stdout: Path | None = None

    def __post_init__(self) -> None:
        """Check every number."""
        rules = (
            ("max_refs", self.max_refs, self.max_refs >= 1, "at least 1"),
            ("line_shift", self.line_shift, 0 <= self.line_shift <= MAX_LINE_SHIFT, "in 0..16"),
        )
        for name, value, holds, rule in rules:
            if not holds:
                raise ValueError(f"{name} must be {rule}, found {value}")
        kept = self.recording
        if kept is not None and (kept.refs < 1 or kept.skip < 0):
            raise ValueError(
                f"recording needs refs >= 1 and skip >= 0, found {kept.refs} and {kept.skip}"
            )


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the tracer saw of one program.

    Attributes:
        command: Program and arguments.
        seconds: Wall-clock time under the tracer.
        instructions: Executed by all of its threads.
        refs: Data references (loads and stores).
        stores: Those that write.
        stopped: It was stopped at ``max_refs``.
        exit_status: Its own, 0 where it was stopped.
        recorded: References in the recording.
        pages: Reuse of 4 KiB pages, exact.
        lines: Reuse of 64-byte lines, sampled.
        windows: (W, 5) int64, a row per million references (the last one may be shorter):
            references and instructions so far, pages touched and pages written in the window,
            pages touched so far.
        messages: Last lines of what the program wrote to its standard error.
    """

    command: tuple[str, ...]
    seconds: float
    instructions: int
    refs: int
    stores: int
    stopped: bool
    exit_status: int
    recorded: int
    pages: Reuse
    lines: Reuse
    windows: NDArray[np.int64]  # (W, 5)
    messages: tuple[str, ...] = field(default=())


def line_shift_of(sample: str) -> int:
    """The k of a sampling rate written as ``1/2^k``: 1, 1/2, ..., 1/65536.

    Raises:
        ValueError: It is no such rate.
    """
    rates = ["1", *(f"1/{1 << shift}" for shift in range(1, MAX_LINE_SHIFT + 1))]
    if sample in rates:
        return rates.index(sample)
    raise ValueError(f"line sample must be 1, 1/2, 1/4, ... or 1/65536, found {sample!r}")


def trace(
    command: Sequence[str],
    options: TraceOptions | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Run a program to its end, or to ``max_refs`` data references, and count.

    Args:
        command: Program and arguments; dynamically linked programs work, scripts do not.
        options: How much to trace.
        on_progress: Called a few times per second with the references so far.

    Raises:
        TracerError: QEMU or gcc is missing, the program is not one for x86-64, or it ended
            without the tracer (``exec``, a fatal signal).
    """
    options = options or TraceOptions()
    program = executable(command)
    qemu = find_qemu()
    plugin = build_plugin(qemu)
    if options.recording is not None:
        options.recording.path.touch()  # the plugin could not say what is wrong with the path
    with tempfile.TemporaryDirectory(prefix="gymbal-trace-") as name:
        folder = Path(name)
        emulated = [qemu, "-cpu", "max", "-plugin", _plugin_arguments(plugin, folder, options)]
        status = _run([*emulated, program, *command[1:]], folder, options, on_progress)
        messages = (folder / "stderr").read_text("utf-8", errors="replace").splitlines()
        if not (folder / "counts").is_file():
            raise TracerError(_why_nothing(command, status, messages))
        counts = json.loads((folder / "counts").read_text())
        windows = _read_windows(folder / "windows")
    if not counts["references"]:
        raise TracerError(f"{command[0]}: made no data reference")
    return Measurement(
        command=tuple(command),
        seconds=counts["seconds"],
        instructions=counts["instructions"],
        refs=counts["references"],
        stores=counts["stores"],
        stopped=bool(counts["stopped"]),
        exit_status=status,
        recorded=counts["recorded"],
        pages=Reuse.of_counts(counts["page"], PAGE_BYTES),
        lines=Reuse.of_counts(counts["line"], LINE_BYTES),
        windows=windows,
        messages=tuple(messages[-_STDERR_LINES:]),
    )


def executable(command: Sequence[str]) -> str:
    """Path of the program of a command.

    Raises:
        TracerError: There is no such program, or the emulator cannot run it.
    """
    if not command:
        raise TracerError("no program given: put it after --, as in -- gzip -c FILE")
    found = shutil.which(command[0])
    if found is None:
        raise TracerError(f"{command[0]}: no such program, or it is not executable")
    with Path(found).open("rb") as file:
        head = file.read(256)
    if head.startswith(b"#!"):
        interpreter = head.splitlines()[0][2:].decode(errors="replace").strip()
        raise TracerError(
            f"{found} is a script, and the tracer runs machine code: give its interpreter first, "
            f"as in -- {interpreter} {found}"
        )
    if head[:4] != b"\x7fELF" or int.from_bytes(head[18:20], "little") != _ELF_X86_64:
        raise TracerError(f"{found} is not a Linux program for x86-64")
    return found


def _plugin_arguments(plugin: Path, folder: Path, options: TraceOptions) -> str:
    """The value of QEMU's ``-plugin`` option, where a comma in a value is written twice."""
    values: dict[str, Any] = {
        "counts": folder / "counts",
        "windows": folder / "windows",
        "max": options.max_refs,
        "shift": options.line_shift,
        "curves": int(options.curves),
    }
    if options.recording is not None:
        values |= {
            "record": options.recording.path.resolve(),
            "record_max": options.recording.refs,
            "record_skip": options.recording.skip,
        }
    parts = [str(plugin), *(f"{key}={value}" for key, value in values.items())]
    return ",".join(part.replace(",", ",,") for part in parts)


def _run(
    command: list[str],
    folder: Path,
    options: TraceOptions,
    on_progress: Callable[[int], None] | None,
) -> int:
    """Run to the end; returns the exit status, negative for a signal."""
    sink = options.stdout or Path("/dev/null")
    with sink.open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        try:
            while process.poll() is None:
                time.sleep(_POLL_S)
                if on_progress is not None:
                    on_progress(len(_read_windows(folder / "windows")) * WINDOW_REFS)
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
    return process.returncode


def _read_windows(path: Path) -> NDArray[np.int64]:
    """The complete lines of the windows file, (W, 5)."""
    text = path.read_text() if path.is_file() else ""
    rows = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
    return np.array(rows, dtype=np.int64).reshape(-1, 5)


def _why_nothing(command: Sequence[str], status: int, messages: list[str]) -> str:
    """The tracer wrote no counts: tell from the exit status what happened."""
    if status < 0:
        reason = f"was ended by signal {-status}, and the tracer with it"
    else:
        reason = (
            f"ended with status {status} outside the tracer: a program that replaces itself by "
            "another (exec; wrappers such as env, sh -c or pyenv's python do) is lost to it; "
            "give the path of the program that does the work"
        )
    said = "".join(f"\n  {line}" for line in messages[-_STDERR_LINES:])
    return f"{command[0]}: {reason}{said and '. It said:' + said}"
