"""Estimates with bootstrap intervals: means, interquartile means, shares of a gap.

Samples are (S, N), S training seeds of one policy by N scenarios, or (N,) where there is no seed.
With one seed, scenarios are resampled and the interval is BCa (Efron 1987), because rewards are
skewed. With several, seeds and scenarios are both resampled, the same scenarios for every seed, and
the interval is the percentile one: what another run *and* other scenarios could have given.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[..., Any]
"""Takes arrays of the same shape and ``axis``, gives the statistic along it."""

CONFIDENCE = 0.95
RESAMPLES = 5000
_BATCH = 500
"""Resamples at a time; bounds the memory to a few MB per thousand scenarios."""


@dataclass(frozen=True)
class Estimate:
    """A statistic and its interval; the ends are NaN where there are too few scenarios for one."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above 0 (not where it is NaN)."""
        return bool(self.low > 0)

    def scaled(self, factor: float) -> Estimate:
        """The same in another unit; a negative factor swaps the ends."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, low, high)


def mean(values: Floats) -> Estimate:
    """Mean over scenarios (and seeds) with its interval.

    Args:
        values: (N,) or (S, N).
    """
    return estimate(np.mean, values)


def interquartile_mean(values: Floats) -> Estimate:
    """Mean of the middle half, which a few extreme scenarios cannot move, with its interval.

    Args:
        values: (N,) or (S, N); all seeds' scenarios are pooled (Agarwal et al., NeurIPS 2021).
    """
    return estimate(_interquartile_mean, values)


def gap_closed(agent: Floats, heuristic: Floats, oracle: Floats) -> Estimate | None:
    """Share of the gap between a heuristic and the oracle that the agent closes.

    ``(mean(agent) - mean(heuristic)) / (mean(oracle) - mean(heuristic))``: 0 is as good as the
    heuristic, 1 as good as the oracle. A ratio of means, so that scenarios count by what is at
    stake in them.

    Args:
        agent: rewards, (N,) or (S, N).
        heuristic: (N,), of the same scenarios.
        oracle: (N,), of the same scenarios.

    Returns:
        None where there is no gap: the oracle is not better beyond doubt.
    """
    if not mean(oracle - heuristic).above_zero:
        return None
    return estimate(_gap_closed, agent, heuristic, oracle)


def estimate(statistic: Statistic, *samples: Floats, seed: int = 0) -> Estimate:
    """Any statistic of paired samples with its interval.

    Args:
        statistic: of one array per sample.
        samples: (N,) or (S, N) each, the same N scenarios in the same order.
        seed: of the resampling; the same data give the same interval.

    Raises:
        ValueError: if a sample is empty or the shapes do not fit together.
    """
    tables = [np.array(t) for t in np.broadcast_arrays(*(np.atleast_2d(s) for s in samples))]
    num_seeds, num_scenarios = tables[0].shape
    if num_scenarios == 0:
        raise ValueError("there are no scenarios to estimate anything from")
    value = float(statistic(*(table.ravel() for table in tables), axis=-1))
    if num_scenarios < 2:
        return Estimate(value, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    interval = _scenario_interval if num_seeds == 1 else _crossed_interval
    low, high = interval(statistic, tables, rng)
    return Estimate(value, low, high)


def _scenario_interval(
    statistic: Statistic, tables: list[Floats], rng: np.random.Generator
) -> tuple[float, float]:
    rows = tuple(table[0] for table in tables)
    if all(np.ptp(row) == 0.0 for row in rows):
        same = float(statistic(*rows, axis=-1))
        return same, same
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        bca = scipy.stats.bootstrap(
            rows,
            statistic,
            n_resamples=RESAMPLES,
            batch=_BATCH,
            vectorized=True,
            paired=True,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=rng,
        ).confidence_interval
    if np.isfinite(bca.low) and np.isfinite(bca.high):
        return float(bca.low), float(bca.high)
    # BCa has no answer where nearly all scenarios tie; percentiles have one.
    return _crossed_interval(statistic, tables, rng)


def _crossed_interval(
    statistic: Statistic, tables: list[Floats], rng: np.random.Generator
) -> tuple[float, float]:
    """Percentile interval when rows (seeds) and columns (scenarios) are both resampled."""
    num_seeds, num_scenarios = tables[0].shape
    drawn: list[Floats] = []
    for _ in range(RESAMPLES // _BATCH):
        rows = rng.integers(num_seeds, size=(_BATCH, num_seeds, 1))
        columns = rng.integers(num_scenarios, size=(_BATCH, 1, num_scenarios))
        resampled = (table[rows, columns].reshape(_BATCH, -1) for table in tables)
        drawn.append(np.asarray(statistic(*resampled, axis=-1)))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.concatenate(drawn), [tail, 100 - tail])
    return float(low), float(high)


def _interquartile_mean(values: Floats, axis: int = -1) -> Any:
    return scipy.stats.trim_mean(values, 0.25, axis=axis)


def _gap_closed(agent: Floats, heuristic: Floats, oracle: Floats, axis: int = -1) -> Any:
    below = heuristic.mean(axis=axis)
    # A resample in which the gap vanishes has no share of it; keep it finite and extreme.
    gap = np.maximum(oracle.mean(axis=axis) - below, 1e-12)
    return (agent.mean(axis=axis) - below) / gap
