"""CPU time of a VM's virtual processors, from the host kernel's books about their threads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from gymbal_runtime.adapters.rates import CounterRates

_NS = 1e-9


def steal_frac(ran: float, waited: float) -> float:
    """Of the time that was wanted, the part that was not granted; NaN where nothing was wanted.

    Args:
        ran: seconds of CPU time, or seconds per second.
        waited: the same, runnable but waiting for a core.
    """
    wanted = ran + waited
    return waited / wanted if wanted > 0.0 else math.nan


class VcpuTime:
    """Cores used and steal of one process's threads.

    Args:
        pid: of the emulator.
        threads: ids of its virtual processors' threads; several may share one.
        proc: where the proc file system is mounted.
    """

    def __init__(self, pid: int, threads: Iterable[int], proc: Path = Path("/proc")) -> None:
        self._paths = [proc / f"{pid}/task/{thread}/schedstat" for thread in sorted(set(threads))]
        self._rates = CounterRates()

    def read(self, now_s: float) -> tuple[float, float]:
        """Cores used and `steal_frac` since the last reading; NaN at first and where unknown.

        Args:
            now_s: a monotonic clock.
        """
        if not self._paths:
            return math.nan, math.nan
        try:
            books = [path.read_text().split() for path in self._paths]
            # schedstat: ns on a core, ns waiting for one, number of slices
            ran, waited = (sum(int(book[k]) for book in books) * _NS for k in (0, 1))
        except (OSError, ValueError, IndexError):
            return math.nan, math.nan
        cores = self._rates.rate("ran", ran, now_s)
        return cores, steal_frac(cores, self._rates.rate("waited", waited, now_s))
