"""Replays what was done to a real kernel's resctrl on something that claims to be one."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

ROOT = "/sys/fs/resctrl"

Step = tuple[str, list[str]]


class Target(Protocol):
    """What is replayed on: `ResctrlFiles`, and the means to look around."""

    writer: int

    def read(self, path: str) -> str: ...
    def write(self, path: str, text: str) -> None: ...
    def mkdir(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def names(self, path: str) -> list[str]: ...
    def walk(self) -> list[str]: ...
    def spawn(self) -> int: ...
    def proc_groups(self, thread: int) -> str: ...
    def mount(self, option: str = "") -> None: ...


def read_transcript(path: Path) -> list[Step]:
    return [(step, answer) for step, answer in json.loads(path.read_text())]


class Replay:
    """Does every step and notes where the answers differ.

    Args:
        target: what answers.
        whole_status: compare all of last_cmd_status at every step, and not only its last line
            where a call is refused.
    """

    def __init__(self, target: Target, *, whole_status: bool) -> None:
        self.target = target
        self.whole_status = whole_status
        self.pids: dict[str, str] = {}  # as recorded to as they are now
        self.differences: list[str] = []
        self.calls = 0

    def run(self, transcript: list[Step]) -> list[str]:
        for step, recorded in transcript:
            verb, _, rest = step.partition(" ")
            if verb == "$":
                got = self._look(rest, recorded)
            else:
                self.calls += 1
                recorded, got = self._call(verb, rest, recorded)
            if got != recorded:
                self.differences.append(f"{step}: recorded {recorded}, got {got}")
        return self.differences

    def _call(self, verb: str, rest: str, recorded: list[str]) -> tuple[list[str], list[str]]:
        path, _, quoted = rest.partition(" ")
        text = self._now(quoted[1:-1].replace("\\\\n", "\n"))
        call: dict[str, Callable[[], None]] = {
            "write": lambda: self.target.write(path, text),
            "mkdir": lambda: self.target.mkdir(path),
            "rmdir": lambda: self.target.rmdir(path),
        }
        answer, *status = recorded
        expected = answer.split()[-1] if answer.startswith("ERRNO") else "OK"
        try:
            call[verb]()
            got = "OK"
        except OSError as error:
            got = errno.errorcode[error.errno or 0]
        now = self.target.read("info/last_cmd_status").splitlines()
        status = [self._now(line) for line in status]
        if not self.whole_status:
            refused = expected != "OK"
            status, now = (lines[-1:] if refused else [] for lines in (status, now))
        return [expected, *status], [got, *now]

    def _now(self, text: str) -> str:
        """A text with the recorded pids replaced by the present ones."""
        return re.sub(r"(?<![0-9a-zA-Z=])\d+", lambda m: self.pids.get(m[0], m[0]), text)

    def _look(self, command: str, recorded: list[str]) -> list[str]:
        """What a command of the shell shows, as far as it is about the file system."""
        if "sleep" in command:
            self.pids[recorded[0]] = str(self.target.spawn())
            return recorded
        if "find" in command:
            return [".", *(f"./{path}" for path in self.target.walk())]
        if "umount" in command:
            return self._remount(recorded)
        if command.startswith("cat /proc/"):
            thread = int(self._now(command.split("/")[2]))
            return self.target.proc_groups(thread).splitlines()
        if command.startswith("ls "):
            return self._list(command.split()[1:])
        if "for f in" in command:
            return self._quoted(recorded)
        files = command.partition("cat ")[2].split()
        lines = [line for file in files for line in self.target.read(file).splitlines()]
        return self._known_tasks(lines, recorded) if files == ["p0/tasks"] else lines

    def _list(self, paths: list[str]) -> list[str]:
        listed = [
            [*([f"{path}:"] if len(paths) > 1 else []), *self.target.names(path[len(ROOT) + 1 :])]
            for path in paths
        ]
        return [line for block in listed for line in (*block, "")][:-1]

    def _quoted(self, recorded: list[str]) -> list[str]:
        """Lines "path: content", of the files that the recording names."""
        shown = []
        for line in recorded:
            path = re.match(r"([\w/]+): ", line)
            if path:
                content = self.target.read(path[1]).rstrip("\n")
                shown += f"{path[1]}: {content}".split("\n")
        return shown

    def _known_tasks(self, lines: list[str], recorded: list[str]) -> list[str]:
        """Tasks of the writer and of what was spawned; the recording shell had children, too."""
        if recorded == [*self.pids]:
            return recorded if lines == [*self.pids.values()] else lines
        writer = str(self.target.writer)
        strangers = set(lines) & set(self.pids.values())
        return recorded if writer in lines and not strangers else lines

    def _remount(self, recorded: list[str]) -> list[str]:
        try:
            self.target.mount("cdp")
        except OSError as error:
            refused = error.errno == errno.EINVAL
            shown = recorded[:2] if refused else [f"mount: {error}"]
        else:
            shown = ["mounted with cdp"]
        self.target.mount()
        schemata = self.target.read("schemata").splitlines()
        return [*shown, "rc=0", *schemata, *self.target.names("")]
