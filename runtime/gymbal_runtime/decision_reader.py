"""Reading decision logs back, whatever state they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gymbal_runtime.record import HostRecord
from gymbal_runtime.rotating_file import rotated_files

MAX_LINE_BYTES = 16 * 2**20
"""Longest line that is read; a longer one counts as unreadable."""


class LoggedDecision(msgspec.Struct):
    """What of a decision a replay needs; other fields are not looked at."""

    time: str
    host: str
    mode: str = ""
    source: str = "none"
    reason: str = ""
    targets: dict[str, float | None] = {}
    applied: bool = False
    record: HostRecord | None = None  # pyright: ignore[reportInvalidTypeForm]


class LogReader:
    """Goes through a log and its rotated parts, oldest first.

    Args:
        path: of the newest part; ``path.1`` and so on are read before it.

    Attributes:
        skipped: lines that could not be used, by why: ``unreadable`` (cut off by a crash or a full
            disk, or no JSON), ``no_record`` (the log holds summaries only).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(LoggedDecision)
        self.skipped: Counter[str] = Counter()

    def __iter__(self) -> Iterator[LoggedDecision]:
        """Decisions that have a record.

        Raises:
            OSError: a part of the log cannot be read.
        """
        for part in rotated_files(self._path):
            with part.open("rb") as file:
                yield from self._decisions(file)

    def _decisions(self, file: Any) -> Iterator[LoggedDecision]:
        while line := file.readline(MAX_LINE_BYTES):
            if not line.strip():
                continue
            try:
                decision = self._decoder.decode(line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                self.skipped["unreadable"] += 1
                continue
            if decision.record is None:
                self.skipped["no_record"] += 1
                continue
            yield decision
