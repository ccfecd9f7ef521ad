"""The worlds of a batch, shared among threads; kernels run without the GIL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

_HOSTS_PER_THREAD = 64
"""Below this, waking a second thread costs more than it brings."""


class WorkSharing:
    """Threads that advance parts of a batch at the same time.

    Args:
        num_worlds: of the batch, B.
        num_threads: at most; fewer where the batch is too small for them.
        num_hosts: of each world.
    """

    def __init__(self, num_worlds: int, num_threads: int, num_hosts: int = 1) -> None:
        worth_waking = num_worlds * num_hosts // _HOSTS_PER_THREAD
        self.num_threads = max(1, min(num_threads, num_worlds, worth_waking))
        self._edges = [int(w) for w in np.linspace(0, num_worlds, self.num_threads + 1)]
        self._pool = ThreadPoolExecutor(self.num_threads) if self.num_threads > 1 else None

    def run(self, advance: Callable[[int, int], None]) -> None:
        """Call ``advance(first, last)`` for parts that together are the batch; wait for all."""
        if self._pool is None:
            advance(*self._edges)
            return
        jobs = [self._pool.submit(advance, first, last) for first, last in pairwise(self._edges)]
        for job in jobs:
            job.result()
