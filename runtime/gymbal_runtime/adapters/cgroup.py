"""CPU weights of processes through control groups (cgroup v2), where they are ours to write."""

from __future__ import annotations

import math
from pathlib import Path

DEFAULT_WEIGHT = 100.0
"""``cpu.weight`` of a group that nobody configured: weight 1 of telemetry and commands."""
_LEAST, _MOST = 1, 10_000


class CpuGroups:
    """The groups that processes live in.

    Only a group that holds this one process is touched: a weight on a shared group would change
    its neighbours.

    Args:
        root: where cgroup v2 is mounted.
        proc: where the proc file system is mounted.
    """

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> None:
        self._root = root
        self._proc = proc

    def weight(self, pid: int) -> float:
        """CPU weight of a process's own group, 1 is the default; NaN where it has none."""
        group = self._own_group(pid)
        if group is None:
            return math.nan
        try:
            return float((group / "cpu.weight").read_text()) / DEFAULT_WEIGHT
        except (OSError, ValueError):
            return math.nan

    def is_writable(self, pid: int) -> bool:
        """Whether `set_weight` would work."""
        group = self._own_group(pid)
        if group is None:
            return False
        try:
            with (group / "cpu.weight").open("r+"):
                return True
        except OSError:
            return False

    def set_weight(self, pid: int, weight: float) -> None:
        """Set the CPU weight; what lies beyond the kernel's range is cut to it.

        Raises:
            OSError: the process has no group of its own, or it is not ours to write.
        """
        group = self._own_group(pid)
        if group is None:
            raise PermissionError(f"process {pid} has no control group of its own")
        value = min(max(round(weight * DEFAULT_WEIGHT), _LEAST), _MOST)
        (group / "cpu.weight").write_text(f"{value}\n")

    def _own_group(self, pid: int) -> Path | None:
        try:
            lines = (self._proc / f"{pid}/cgroup").read_text().splitlines()
            places = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
            if not places or not places[0]:
                return None
            group = self._root / places[0]
            members = (group / "cgroup.procs").read_text().split()
        except OSError:
            return None
        return group if members == [str(pid)] else None
