"""Episodes of the synthetic fleet: when a VM leaves its base level, for how long, how high.

All times are drawn in blocks of fixed size from a stream of their own, so that the first T samples
never depend on how many samples were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.synthetic_params import (
    CrewWork,
    Cron,
    Durations,
    LogNormal,
    SyntheticParams,
)

DAY_S = 86400.0
_BLOCK = 64  # episodes drawn at once; another size draws other traces
_WARM_UP_S = 7 * DAY_S  # processes start this long before the trace, so that it does not start idle


class Episodes(NamedTuple):
    """Columns of E episodes, in order of their start."""

    start_s: NDArray[np.float64]  # (E,) seconds since the first sample
    duration_s: NDArray[np.float64]  # (E,) seconds
    memory: NDArray[np.float64]  # (E,) active fraction
    cpu: NDArray[np.float64]  # (E,) fraction of the vCPUs


def draw_durations(
    mixture: Durations, which: NDArray[np.float64], how_long: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn two uniforms per episode into a duration in seconds, (E,)."""
    part = np.searchsorted(np.cumsum(mixture.weights)[:-1], which, side="right")
    return -np.asarray(mixture.means_s)[part] * np.log1p(-how_long)


def draw_lognormal(law: LogNormal, z: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Turn standard normals into the quantity, same shape."""
    return np.asarray(law.median * np.exp(law.sigma * np.asarray(z)))


def pick(weights: Sequence[float], u: float) -> int:
    """Index drawn with probability proportional to its weight, from a uniform."""
    edges = np.cumsum(weights) / np.sum(weights)
    return min(int(np.searchsorted(edges, u, side="right")), len(weights) - 1)


def renewal_blocks(
    rng: np.random.Generator,
    horizon_s: float,
    gaps: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    durations: Durations,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Alternate pauses and episodes until the horizon, from long before the first sample.

    Args:
        rng: Stream used by this process only.
        horizon_s: Episodes that start later are dropped, seconds.
        gaps: Turns uniforms (64, 2) into pauses before each episode, seconds (64,).
        durations: Law of the episodes' durations.

    Returns:
        Start (E,) and duration (E,) in seconds, and two standard normals per episode (E, 2). What
        began before the first sample is cut to start with it.
    """
    starts, lengths, normals = [], [], []
    now = -_WARM_UP_S
    while now < horizon_s:
        u = rng.random((_BLOCK, 4))
        normals.append(rng.standard_normal((_BLOCK, 2)))
        pause = gaps(u[:, :2])
        length = draw_durations(durations, u[:, 2], u[:, 3])
        ends = now + np.cumsum(pause + length)
        starts.append(ends - length)
        lengths.append(length)
        now = float(ends[-1])
    start = np.concatenate(starts)
    end = start + np.concatenate(lengths)
    kept = (start < horizon_s) & (end > 0.0)
    start = np.maximum(start, 0.0)
    return start[kept], (end - start)[kept], np.concatenate(normals)[kept]


def burst_episodes(
    params: SyntheticParams,
    per_day: float,
    height: float,
    cpu: float,
    horizon_s: float,
    rng: np.random.Generator,
) -> Episodes:
    """Bursts of one VM: trains of short episodes with long pauses between the trains."""

    def gaps(u: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = u[:, 0] < params.burst_train_prob
        mean_s = np.where(inside, params.burst_train_gap_s, DAY_S / max(per_day, 1e-6))
        return np.asarray(-mean_s * np.log1p(-u[:, 1]))

    start, length, z = renewal_blocks(rng, horizon_s, gaps, params.burst)
    spread = LogNormal(1.0, params.burst_spread)
    memory = height * draw_lognormal(spread, z[:, 0])
    load = cpu * draw_lognormal(spread, z[:, 1])
    return Episodes(start, length, memory, np.minimum(load, 1.0))


def cron_episodes(
    cron: Cron, height: float, cpu: float, horizon_s: float, rng: np.random.Generator
) -> Episodes:
    """One job of one VM that runs at fixed times of the day, much the same each time."""
    phase, which, z = rng.random(), rng.random(), rng.standard_normal()
    per_day = cron.runs_per_day[pick([weight for _, weight in cron.runs_per_day], which)][0]
    period_s = DAY_S / per_day
    num_runs = int(np.ceil(horizon_s / period_s)) + 1
    noise = rng.standard_normal((num_runs, 4))
    start = period_s * (phase + np.arange(num_runs)) + cron.jitter_s * noise[:, 0]
    kept = (start >= 0.0) & (start < horizon_s)
    start, noise = start[kept], noise[kept]
    length = draw_lognormal(cron.duration_s, z) * np.exp(cron.spread * noise[:, 1])
    memory = height * per_day**-cron.often_exponent * np.exp(cron.spread * noise[:, 2])
    load = np.minimum(cpu * np.exp(cron.spread * noise[:, 3]), 1.0)
    return Episodes(start, length, memory, load)


def work_episodes(work: CrewWork, horizon_s: float, rng: np.random.Generator) -> Episodes:
    """Pieces of one kind of work of one crew, before any VM joins them."""

    def gaps(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(-work.gap_s * np.log1p(-u[:, 1]))

    start, length, z = renewal_blocks(rng, horizon_s, gaps, work.duration)
    memory = draw_lognormal(work.memory, z[:, 0])
    return Episodes(start, length, memory, np.full(start.shape, work.cpu))


def join_work(
    work: CrewWork, shared: Episodes, scale: float, horizon_s: float, rng: np.random.Generator
) -> Episodes:
    """The pieces of work that one VM takes part in, with its own start, level and end.

    Args:
        work: Kind of work.
        shared: Pieces of the crew.
        scale: This VM's level relative to the crew's, dimensionless.
        horizon_s: Pieces that start later are dropped, seconds.
        rng: Stream of this VM and this kind of work.
    """
    uniform, normal = rng.spawn(2)  # one stream would let the number of pieces move the draws
    u = uniform.random((shared.start_s.size, 3))
    z = normal.standard_normal(shared.start_s.size)
    mine = u[:, 0] < work.join_prob
    start = shared.start_s - work.delay_s * np.log1p(-u[:, 1])
    # Parts of a job finish at different times: real members leave during its last third.
    length = shared.duration_s * (1.0 - 0.33 * u[:, 2])
    memory = scale * shared.memory * np.exp(work.spread * z)
    kept = mine & (start < horizon_s)
    return Episodes(start[kept], length[kept], memory[kept], shared.cpu[kept])


def paint(
    episodes: Episodes, memory: NDArray[np.float64], cpu: NDArray[np.float64], step_s: float
) -> None:
    """Raise both series, (T,) fractions, in place, to the level of the running episodes.

    A sample is a mean over its step: an episode counts in its first and last sample only for the
    part of the step that it covers.
    """
    end_s = episodes.start_s + episodes.duration_s
    first = (episodes.start_s // step_s).astype(np.int64)
    last = (end_s // step_s).astype(np.int64)
    head = np.minimum(end_s, (first + 1) * step_s) - episodes.start_s
    tail = np.where(last > first, end_s - last * step_s, 0.0)
    rows = zip(
        first, last, head / step_s, tail / step_s, episodes.memory, episodes.cpu, strict=True
    )
    for a, b, at_head, at_tail, level, load in rows:
        for series, top in ((memory, level), (cpu, load)):
            series[a] = max(series[a], at_head * top)
            np.maximum(series[a + 1 : b], top, out=series[a + 1 : b])
            if b < series.size:
                series[b] = max(series[b], at_tail * top)
