"""A file of lines that grows until it is full, is moved aside and begins anew."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


class RotatingFile:
    """Appends whole lines.

    The file is opened with the first line, after a failure, and when somebody else (such as
    logrotate) has moved or removed it. A line of which only a part could be written is closed with
    a newline before the next, so that a reader loses that one line and no other.

    Args:
        path: file to append to.
        max_bytes: a file that a line would make larger is first renamed to ``path.1``, that one to
            ``path.2`` and so on; None lets it grow.
        keep: renamed files that are kept.
    """

    def __init__(self, path: Path, max_bytes: float | None = None, keep: int = 5) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: int | None = None

    def append(self, line: bytes) -> None:
        """Write a line, which ends in a newline, to the kernel.

        Raises:
            OSError: it could not be written; the next line tries again.
        """
        try:
            self._write(self._opened(len(line)), line)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the next `append` opens it again."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what failed was reported already
                os.close(file)

    def _opened(self, num_bytes: int) -> int:
        """The open file, with room for so many bytes more."""
        if self._file is not None and self._moved(self._file):
            self.close()
        if self._file is None:
            self._file = self._open()
        now = os.fstat(self._file)
        full = self._max_bytes is not None and now.st_size + num_bytes > self._max_bytes
        if full and now.st_size > 0 and stat.S_ISREG(now.st_mode):
            self.close()
            self._rotate()
            self._file = self._open()
        return self._file

    def _open(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        now = os.fstat(file)
        if stat.S_ISREG(now.st_mode) and now.st_size > 0:
            try:
                if os.pread(file, 1, now.st_size - 1) != b"\n":
                    self._write(file, b"\n")
            except OSError:
                os.close(file)
                raise
        return file

    def _moved(self, file: int) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return True
        here = os.fstat(file)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _rotate(self) -> None:
        numbered = [self._path.with_name(f"{self._path.name}.{k}") for k in range(self._keep + 1)]
        for older, newer in zip(numbered[:1:-1], numbered[-2:0:-1], strict=True):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)
        if self._keep:
            self._path.replace(numbered[1])
        else:
            self._path.unlink()

    @staticmethod
    def _write(file: int, data: bytes) -> None:
        while data:
            data = data[os.write(file, data) :]


def rotated_files(path: Path) -> list[Path]:
    """A rotated file's parts that there are, oldest first, the file itself last."""
    parts = []
    number = 1
    while (part := path.with_name(f"{path.name}.{number}")).exists():
        parts.append(part)
        number += 1
    parts.reverse()
    return [*parts, path] if path.exists() or not parts else parts
