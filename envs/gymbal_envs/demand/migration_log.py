"""What a hypervisor tells while it migrates a VM: QEMU's ``query-migrate``, polled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster.migration_layout import PAGE

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MigrationLog:
    """What ``query-migrate`` said, poll after poll, while pre-copy was active: N polls.

    Attributes:
        time_s: (N,) total-time.
        syncs: (N,) dirty-sync-count.
        dirty_bytes_s: (N,) dirty-pages-rate times the page size.
        left_bytes: (N,) remaining.
        sent_bytes: (N,) transferred.
    """

    time_s: Floats
    syncs: Floats
    dirty_bytes_s: Floats
    left_bytes: Floats
    sent_bytes: Floats

    def until(self, time_s: float) -> MigrationLog:
        """The part up to then."""
        keep = self.time_s <= time_s
        return MigrationLog(
            self.time_s[keep], self.syncs[keep], self.dirty_bytes_s[keep], self.left_bytes[keep],
            self.sent_bytes[keep],
        )  # fmt: skip


class Passes(NamedTuple):
    """Passes of one migration in their order: seconds and bytes newly written in each, (K,)."""

    seconds: Floats
    written_bytes: Floats


def log_of(polls: pl.DataFrame) -> MigrationLog:
    """Log of one migration from its polls, in their order.

    Args:
        polls: columns ``status``, ``total_time_ms``, ``dirty_sync_count``, ``dirty_pages_per_s``,
            ``remaining_B`` and ``transferred_B``, as ``query-migrate`` tells them.

    Raises:
        ValueError: if a column is missing, with its name, or pre-copy was never seen active.
    """
    names = ("total_time_ms", "dirty_sync_count", "dirty_pages_per_s", "remaining_B",
             "transferred_B")  # fmt: skip
    missing = [name for name in ("status", *names) if name not in polls.columns]
    if missing:
        raise ValueError(f"polls without column {', '.join(missing)}")
    active = polls.filter(pl.col("status") == "active").drop_nulls(names).sort("total_time_ms")
    if active.height == 0:
        raise ValueError("no poll with status 'active'")
    time_ms, syncs, pages_s, left, sent = (
        active[name].to_numpy().astype(np.float64) for name in names
    )
    return MigrationLog(time_ms / 1e3, syncs, pages_s * PAGE, left, sent)


def observed_passes(log: MigrationLog) -> Passes:
    """Passes of a log. Several that QEMU reports as one rate count as equally long ones."""
    seconds: list[float] = []
    written: list[float] = []
    since, seen = 0.0, 1.0
    for k in range(1, len(log.time_s)):
        count = log.syncs[k] - seen
        if count > 0 and log.dirty_bytes_s[k] != log.dirty_bytes_s[k - 1]:
            each = (log.time_s[k] - since) / count
            seconds += [each] * int(count)
            written += [each * log.dirty_bytes_s[k]] * int(count)
            since, seen = log.time_s[k], log.syncs[k]
    return Passes(np.array(seconds), np.array(written))


def first_pass_bytes(log: MigrationLog) -> float:
    """Bytes of the first pass, with headers: what was not zero when its turn came.

    Raises:
        ValueError: if the log ends before the first pass does.
    """
    later = np.flatnonzero(log.syncs > log.syncs[0])
    if len(later) == 0:
        raise ValueError("the log ends within the first pass")
    k = later[0]
    written = log.dirty_bytes_s[k] * log.time_s[k]
    return float(log.sent_bytes[k] + log.left_bytes[k] - written)
