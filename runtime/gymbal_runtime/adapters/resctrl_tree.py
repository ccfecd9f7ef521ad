"""Access to the files of a resctrl file system: system calls, the documented lock, and no rules."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

_MAX_READ_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_LOCK_POLL_S = 0.01


class ResctrlFiles(Protocol):
    """What the adapter does to a resctrl tree. Paths are relative to its root; "" is the root."""

    def read(self, path: str) -> str:
        """The contents of a file.

        Raises:
            OSError: as the kernel says.
        """
        ...

    def write(self, path: str, text: str) -> None:
        """Write a file that exists, with one system call: the kernel takes it whole or not at all.

        Raises:
            OSError: as the kernel says.
        """

    def mkdir(self, path: str) -> None:
        """Make a group.

        Raises:
            OSError: as the kernel says.
        """

    def rmdir(self, path: str) -> None:
        """Remove a group; the kernel moves its tasks to the group above.

        Raises:
            OSError: as the kernel says.
        """

    def directories(self, path: str) -> list[str]:
        """Names of the directories in a directory, sorted.

        Raises:
            OSError: as the kernel says.
        """
        ...

    def threads(self, pid: int) -> set[int]:
        """Ids of the threads that a process has now; none of a process that is gone.

        Raises:
            OSError: it may not be asked.
        """
        ...

    def lock(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the lock that programs agree upon: exclusive to change the tree, shared to read it.

        Raises:
            TimeoutError: another program does not let go of it.
        """
        ...


class SystemFiles:
    """The real thing.

    Args:
        root: where resctrl is mounted.
        lock_timeout_s: how long to wait for another program's lock.
        proc: where procfs is mounted.
    """

    def __init__(
        self,
        root: str | Path = "/sys/fs/resctrl",
        *,
        lock_timeout_s: float = 1.0,
        proc: str | Path = "/proc",
    ) -> None:
        # Plain strings and system calls: a hundred files and more are read at every decision.
        self.root = str(root)
        self.proc = str(proc)
        self.lock_timeout_s = lock_timeout_s

    def read(self, path: str) -> str:  # noqa: D102 - see ResctrlFiles
        file = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(file, _CHUNK_BYTES)
            while chunk := os.read(file, _CHUNK_BYTES):
                content += chunk
                if len(content) > _MAX_READ_BYTES:
                    raise OSError(errno.EFBIG, f"more than {_MAX_READ_BYTES} bytes", path)
        finally:
            os.close(file)
        return content.decode("ascii", errors="replace")

    def write(self, path: str, text: str) -> None:  # noqa: D102
        file = os.open(f"{self.root}/{path}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            content = text.encode("ascii")
            if os.write(file, content) != len(content):
                raise OSError(errno.EIO, "written in part", path)
        finally:
            os.close(file)

    def mkdir(self, path: str) -> None:  # noqa: D102
        os.mkdir(f"{self.root}/{path}")  # noqa: PTH102

    def rmdir(self, path: str) -> None:  # noqa: D102
        os.rmdir(f"{self.root}/{path}")  # noqa: PTH106

    def directories(self, path: str) -> list[str]:  # noqa: D102
        with os.scandir(f"{self.root}/{path}") as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))

    def threads(self, pid: int) -> set[int]:  # noqa: D102
        try:
            return {int(name) for name in os.listdir(f"{self.proc}/{pid}/task")}  # noqa: PTH208
        except (FileNotFoundError, ProcessLookupError):
            return set()

    @contextmanager
    def lock(self, *, exclusive: bool) -> Iterator[None]:  # noqa: D102
        # Opened for each use: a file kept open would keep the file system from being unmounted.
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._acquire(root, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield
        finally:
            os.close(root)

    def _acquire(self, root: int, kind: int) -> None:
        deadline = time.monotonic() + self.lock_timeout_s
        while True:
            try:
                return fcntl.flock(root, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError(
                        errno.ETIMEDOUT,
                        f"another program has held its lock for {self.lock_timeout_s:g} s",
                        self.root,
                    ) from None
                time.sleep(_LOCK_POLL_S)
