"""CPU weights and caps of processes through control groups (v2), where they are ours to write."""

from __future__ import annotations

import math
from pathlib import Path

from gymbal_runtime.adapters.cpu_bandwidth import bandwidth_us, cap_of

DEFAULT_WEIGHT = 100.0
"""``cpu.weight`` of a group that nobody configured: weight 1 of telemetry and commands."""
_LEAST, _MOST = 1, 10_000
_FILES = {"cpu_weight": "cpu.weight", "cpu_cap_cores": "cpu.max"}


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

    def cap_cores(self, pid: int) -> float:
        """Most cores of a process's own group, inf without a cap; NaN where it has no group."""
        group = self._own_group(pid)
        if group is None:
            return math.nan
        try:
            return cap_of(*_quota_and_period_us(group))
        except OSError:
            return math.nan

    def writable(self, pid: int) -> frozenset[str]:
        """Fields of a command that `write` would carry out."""
        group = self._own_group(pid)
        if group is None:
            return frozenset()
        return frozenset(field for field, file in _FILES.items() if _is_writable(group / file))

    def write(self, pid: int, field: str, value: float) -> None:
        """Set ``cpu_weight`` or ``cpu_cap_cores``; what the kernel does not take is cut to it.

        Raises:
            OSError: the process has no group of its own, or it is not ours to write.
        """
        group = self._own_group(pid)
        if group is None:
            raise PermissionError(f"process {pid} has no control group of its own")
        if field == "cpu_weight":
            text = str(min(max(round(value * DEFAULT_WEIGHT), _LEAST), _MOST))
        else:
            quota_us, period_us = bandwidth_us(value, _quota_and_period_us(group)[1])
            text = f"{'max' if quota_us is None else quota_us} {period_us}"
        (group / _FILES[field]).write_text(f"{text}\n")

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


def _quota_and_period_us(group: Path) -> tuple[float, float]:
    """What ``cpu.max`` says, such as ``max 100000``.

    Raises:
        OSError: it cannot be read, or says something else.
    """
    text = (group / _FILES["cpu_cap_cores"]).read_text()
    try:
        quota, period = text.split()
        return (math.inf if quota == "max" else float(quota)), float(period)
    except ValueError as error:
        raise OSError(f"cpu.max of {group}: not a quota and a period: {text!r}") from error


def _is_writable(file: Path) -> bool:
    try:
        with file.open("r+"):
            return True
    except OSError:
        return False
