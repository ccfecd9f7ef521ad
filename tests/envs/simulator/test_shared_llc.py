"""The shared cache's steady state against an exact simulation (bar B12: within 0.01)."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_envs.profiling.lru import Stream, shared_miss_ratios
from gymbal_envs.simulator.cache import LINE_BYTES, fill_instructions, natural_partition

SEGMENTS = 256
PROGRAMS = ((0.9, 4_000, 1.0), (0.5, 2_000, 3.0), (1.1, 3_000, 0.5))  # (alpha, lines, rate)


def che_curve(popularity: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Miss ratio of LRU at so many lines under independent references."""
    ages = np.concatenate([[0.0], np.geomspace(0.1, 1e8, 400)])
    left = np.exp(-popularity * ages[:, None])
    return np.interp(size, (1.0 - left).sum(axis=1), left @ popularity)


@pytest.mark.parametrize("capacity", [500, 2_000, 6_000])
def test_shared_misses_are_those_of_exact_lru(capacity: int) -> None:
    total = 1_000_000
    rng = np.random.default_rng(5)
    rate = np.array([rate for *_, rate in PROGRAMS])
    owner = rng.choice(len(PROGRAMS), size=total, p=rate / rate.sum()).astype(np.int8)
    size = np.linspace(0.0, capacity, SEGMENTS + 1)
    streams, alone = [], []
    for i, (alpha, lines, _) in enumerate(PROGRAMS):
        popularity = np.arange(1.0, lines + 1) ** -alpha
        popularity /= popularity.sum()
        blocks = rng.choice(lines, size=np.count_nonzero(owner == i), p=popularity)
        streams.append(Stream(f"zipf{i}", blocks.astype(np.int32), lines))
        alone.append(che_curve(popularity, size))
    exact = shared_miss_ratios(streams, owner, capacity, warmup=total // 3)

    segment_bytes = LINE_BYTES * capacity / SEGMENTS
    fill, held = np.empty((len(PROGRAMS), SEGMENTS + 1)), np.empty(len(PROGRAMS))
    for curve, instructions in zip(alone, fill, strict=True):
        fill_instructions(curve, segment_bytes, instructions)
    age = natural_partition(rate, fill, segment_bytes, LINE_BYTES * capacity, 1e3, held)
    assert held.sum() == pytest.approx(LINE_BYTES * capacity, rel=1e-3)
    assert age > 0.0
    model = [np.interp(o / LINE_BYTES, size, m) for o, m in zip(held, alone, strict=True)]
    assert model == pytest.approx(exact, abs=0.01)
