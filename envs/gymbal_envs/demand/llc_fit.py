"""From counters to a model: a miss curve that never rises, and CPI as a straight line in misses.

Within a program, cycles per instruction are ``CPI = cpi0 + penalty * mpi``: models.md 1.5 at an
idle memory bus, and on hardware (40 SPEC programs, ``docs/profiles.md``) nearly exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Below this range of misses per kilo-instruction a curve says nothing about the penalty: at the
# typical 13 cycles a miss, 0.1 is 0.0013 cycles per instruction, the repeatability of a counter.
MIN_MPI_RANGE = 1e-4

MIN_BASE_CPI_SHARE = 0.1  # of the best CPI measured: no program does nothing but wait


def falling_fit(values: ArrayLike) -> NDArray[np.float64]:
    """Isotonic least squares: the non-increasing sequence nearest to ``values``, (N,).

    Pool-adjacent-violators: neighbours that rise are replaced by their mean until none is left.
    """
    levels: list[float] = []
    lengths: list[int] = []
    for value in np.asarray(values, dtype=np.float64):
        level, length = float(value), 1
        while levels and levels[-1] < level:
            before = lengths.pop()
            level = (level * length + levels.pop() * before) / (length + before)
            length += before
        levels.append(level)
        lengths.append(length)
    return np.repeat(levels, lengths)


def fit_cpi(
    mpi: NDArray[np.float64], ipc: NDArray[np.float64], typical_penalty: float
) -> tuple[float, float]:
    """Fit ``1 / ipc = cpi0 + penalty * mpi`` with a non-negative penalty and a positive base.

    Least squares of the relative error of the CPI, which to first order is that of the IPC.

    Args:
        mpi: (N,) misses per instruction.
        ipc: (N,) instructions per cycle.
        typical_penalty: Cycles per miss where the misses hardly vary, so that none can be fitted;
            lowered if it would explain more than half of the cycles.

    Returns:
        cpi0 in cycles per instruction, above 0, and penalty in cycles per miss, at least 0.
    """
    cpi = 1.0 / ipc
    if np.ptp(mpi) < MIN_MPI_RANGE:
        most = 0.5 * float(np.min(cpi / np.maximum(mpi, 1e-12)))
        penalty = min(typical_penalty, most)
        return _base(cpi - penalty * mpi, cpi), penalty
    design = np.column_stack((1.0 / cpi, mpi / cpi))
    (base, penalty), *_ = np.linalg.lstsq(design, np.ones(len(cpi)), rcond=None)
    if penalty < 0:  # faster with more misses: something else varied
        return _base(cpi, cpi), 0.0
    least = MIN_BASE_CPI_SHARE * float(cpi.min())
    if base < least:
        slope = mpi / cpi
        return least, float(slope @ (1.0 - least / cpi) / (slope @ slope))
    return float(base), float(penalty)


def _base(rest: NDArray[np.float64], cpi: NDArray[np.float64]) -> float:
    """The constant nearest to ``rest``, errors counted relative to ``cpi``."""
    return float(np.sum(rest / cpi**2) / np.sum(1.0 / cpi**2))
