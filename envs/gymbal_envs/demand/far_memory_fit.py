"""From run times with a part of the memory far away to a program that the simulator can play.

Measured: how many times longer a job takes when only a part of its memory is local and the rest is
paged from another host. Wanted: a `Profile` that is slowed down alike by the simulator's physics,

    slowdown = 1 + r m(x) / useful * W(r m(x)) / overlap,

with r touches/s that can miss, the miss curve m at the local part x, and the swap tier's response
time W (`gymbal_envs.simulator.tiers`). Two parameters are fitted to each program: r, and the knee k
of the curve

    m(x) = 1 / (1 + ((x / (1 - x)) / (k / (1 - k))) ** n),   n = 2.5,

a logistic curve in the log-odds of x, which is 1 with nothing local, 1/2 at the knee and 0 with
everything. A knee near 1 gives programs that pay at once and then no more (quicksort), one in
between a cliff (Spark), one near 0 programs that pay late and then ever more (k-means). The
steepness n is the same for all programs. It is a compromise over 78 made-up programs (the measured
page curves of `load_profiles`, powers, lines and cliffs, slowed down 1.2 to 4 times with half of
the memory): 2 has the smaller mean error (4.2 %, at most 22 %), 3 the smaller largest one (5.2 %,
17 %), 2.5 lies between (4.6 %, 19 %). The published programs are told within 7 % with any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS, SINGLE_THREAD_MLP, Profile
from gymbal_envs.simulator.params import TIERS, MemoryParams, Tier

Floats = NDArray[np.float64]

STEEPNESS = 2.5
RATE_RANGE_HZ = (1e2, 1e9)
KNEE_RANGE = (0.02, 0.98)
GRID, ZOOMS, ZOOM = 41, 9, 6.0
"""The best of GRID x GRID pairs is looked for ZOOMS times, in a range ZOOM times smaller each time
than the one before: the whole range is seen, so no start value can be wrong."""
MIN_POINTS = 2


@dataclass(frozen=True)
class FarMemoryFit:
    """A program's two parameters and how well they tell its slowdowns.

    Attributes:
        program: its name.
        touch_rate_hz: touches/s of undisturbed time that can miss.
        knee: local part of the memory at which half of them do.
        tier: where the rest of the memory is.
        local_frac: (N,) the points, without those where all memory is local.
        slowdown: (N,) measured run time over that with all memory local.
        predicted: (N,) the same of the fitted program.
    """

    program: str
    touch_rate_hz: float
    knee: float
    tier: Tier
    local_frac: Floats
    slowdown: Floats
    predicted: Floats

    @property
    def errors(self) -> Floats:
        """(N,) relative errors of the slowdown, absolute."""
        error: Floats = np.abs(self.predicted / self.slowdown - 1.0)
        return error

    def profile(self) -> Profile:
        """The program as scenarios play it; its working set is all of its memory."""
        return Profile(
            self.program,
            knee_curve(self.knee),
            self.touch_rate_hz,
            source=f"fitted to {self.local_frac.size} slowdowns over {self.tier.name}",
        )


def knee_curve(knee: float) -> Floats:
    """(NUM_CURVE_SEGMENTS + 1,) the miss curve with this knee, from 1 to 0.

    Raises:
        ValueError: the knee is outside (0, 1).
    """
    if not 0 < knee < 1:
        raise ValueError(f"knee ({knee}) must lie inside (0, 1)")
    return np.asarray(_curves(np.array([knee]))[0])


def slowdown_of(miss_rate: ArrayLike, tier: Tier, overlap: float = SINGLE_THREAD_MLP) -> Floats:
    """Run time over that without misses, for one VM alone on its tier; any shape.

    The fixed point that the simulator solves: a slower program misses less often per second, the
    device's queue is shorter, ``W = L + S u / (1 - u)`` with the load ``u = S b s``.

    Args:
        miss_rate: touches/s that miss, per second of undisturbed time.
        tier: where the pages are.
        overlap: faults under way at once.
    """
    faults = np.asarray(miss_rate, dtype=np.float64) / tier.useful_pages
    page = MemoryParams().page_bytes
    service = max(tier.latency_s / tier.servers, tier.cluster_pages * page / tier.read_bytes_s)
    # With slowdown t = 1 + b W / overlap, load u = S b / t and W as above:
    # t^2 - t (1 + S b + b L / overlap) + S b (1 + b (L - S) / overlap) = 0, whose larger root has
    # a load below 1.
    load, stall = service * faults, faults * tier.latency_s / overlap
    half = (1.0 + load + stall) / 2.0
    rest = load * (1.0 + stall - load / overlap)
    return np.asarray(half + np.sqrt(np.maximum(half**2 - rest, 0.0)))


def fit_far_memory(
    program: str, local_frac: ArrayLike, slowdown: ArrayLike, tier: Tier = TIERS["rdma"]
) -> FarMemoryFit:
    """Fit a program's touch rate and knee: least squares of the slowdown's relative error.

    Args:
        program: its name.
        local_frac: (N,) parts of its memory that were local; points at 1 say nothing.
        slowdown: (N,) run times over that with all memory local.
        tier: where the rest of the memory was.

    Raises:
        ValueError: fewer than two points below 1, or a point out of its range.
    """
    local = np.asarray(local_frac, dtype=np.float64)
    measured = np.asarray(slowdown, dtype=np.float64)
    if local.shape != measured.shape or local.ndim != 1:
        raise ValueError(f"{program}: local_frac and slowdown must be lists of the same length")
    if not (np.all((local >= 0) & (local <= 1)) and np.all((measured > 0) & (measured < np.inf))):
        raise ValueError(f"{program}: local_frac must lie in [0, 1] and slowdown above 0")
    local, measured = local[local < 1.0], measured[local < 1.0]
    if local.size < MIN_POINTS:
        raise ValueError(f"{program}: needs {MIN_POINTS} points with less than all memory local")
    rate, knee = _best(local, measured, tier)
    predicted = slowdown_of(rate * _misses(np.array([knee]), local)[0], tier)
    return FarMemoryFit(program, rate, knee, tier, local, measured, predicted)


def leave_one_out(fit: FarMemoryFit) -> Floats:
    """(N,) relative errors of each point by a fit to the others; nan where too few are left."""
    errors = np.full(fit.local_frac.size, np.nan)
    if fit.local_frac.size <= MIN_POINTS:
        return errors
    for point in range(fit.local_frac.size):
        others = np.arange(fit.local_frac.size) != point
        rate, knee = _best(fit.local_frac[others], fit.slowdown[others], fit.tier)
        missed = rate * _misses(np.array([knee]), fit.local_frac[[point]])[0]
        errors[point] = abs(slowdown_of(missed, fit.tier)[0] / fit.slowdown[point] - 1.0)
    return errors


def _best(local: Floats, measured: Floats, tier: Tier) -> tuple[float, float]:
    """Touch rate and knee with the least squared relative error."""
    low = np.array([np.log(RATE_RANGE_HZ[0]), KNEE_RANGE[0]])
    high = np.array([np.log(RATE_RANGE_HZ[1]), KNEE_RANGE[1]])
    first, last = low, high
    best = (low + high) / 2
    for _ in range(ZOOMS):
        rates = np.exp(np.linspace(first[0], last[0], GRID))
        knees = np.linspace(first[1], last[1], GRID)
        missed = rates[:, None, None] * _misses(knees, local)
        error = ((slowdown_of(missed, tier) / measured - 1.0) ** 2).sum(axis=-1)
        i, j = np.unravel_index(int(np.argmin(error)), error.shape)
        best = np.array([np.log(rates[i]), knees[j]])
        half = (last - first) / (2 * ZOOM)
        first, last = np.maximum(best - half, low), np.minimum(best + half, high)
    return float(np.exp(best[0])), float(best[1])


def _misses(knees: Floats, local: Floats) -> Floats:
    """(K, N) miss ratios at local parts of the curves with these knees, as the simulator reads."""
    position = np.clip(local, 0.0, 1.0) * NUM_CURVE_SEGMENTS
    left = np.minimum(position.astype(np.int64), NUM_CURVE_SEGMENTS - 1)
    blend = position - left
    curves = _curves(knees)
    return np.asarray(curves[:, left] * (1.0 - blend) + curves[:, left + 1] * blend)


def _curves(knees: Floats) -> Floats:
    """(K, NUM_CURVE_SEGMENTS + 1) miss curves."""
    local = np.linspace(0.0, 1.0, NUM_CURVE_SEGMENTS + 1)
    far = 1.0 - local
    # both sides of the odds to the power n, so that nothing is divided by 0
    hits = (local * (1.0 - knees[:, None])) ** STEEPNESS
    misses = (far * knees[:, None]) ** STEEPNESS
    return np.asarray(misses / (hits + misses))
