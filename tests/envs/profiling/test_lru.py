"""Exact LRU caches against the definition, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.profiling.lru import (
    NEVER,
    Stream,
    interleave,
    miss_ratios,
    read_recording,
    shared_miss_ratios,
    stack_distances,
)


def stream_of(blocks: list[int] | np.ndarray) -> Stream:
    array = np.asarray(blocks, dtype=np.int32)
    return Stream("s", array, int(array.max()) + 1)


def by_definition(blocks: np.ndarray) -> list[int]:
    stack: list[int] = []
    distances = []
    for block in blocks:
        distances.append(stack.index(block) if block in stack else int(NEVER))
        if block in stack:
            stack.remove(block)
        stack.insert(0, block)
    return distances


def test_stack_distances_by_definition() -> None:
    assert list(stack_distances(stream_of([0, 1, 0, 0, 2, 1]))) == [NEVER, NEVER, 1, 0, NEVER, 2]
    blocks = (np.random.default_rng(1).random(30_000) ** 3 * 40).astype(np.int32)
    assert list(stack_distances(stream_of(blocks))) == by_definition(blocks)


@pytest.mark.parametrize("capacity", [1, 7, 100, 400])
def test_simulated_cache_misses_what_distances_say(capacity: int) -> None:
    blocks = (np.random.default_rng(2).random(20_000) ** 2 * 400).astype(np.int32)
    stream = stream_of(blocks)
    simulated = shared_miss_ratios([stream], np.zeros(20_000, np.int8), capacity, warmup=5_000)
    said = miss_ratios(stack_distances(stream)[5_000:], np.array([float(capacity)]))
    assert simulated == pytest.approx(said, abs=1e-12)


def test_programs_evict_each_other() -> None:
    loop = stream_of([0, 1] * 50)
    owner = interleave([100, 100], [1.0, 1.0])
    assert shared_miss_ratios([loop, loop], owner, 4) == pytest.approx([0.02, 0.02])
    assert shared_miss_ratios([loop, loop], owner, 3) == pytest.approx([1.0, 1.0])


def test_interleaving_follows_the_rates() -> None:
    owner = interleave([12, 12], [1.0, 2.0])
    assert list(np.bincount(owner)) == [6, 12]
    for start in range(0, 18, 3):
        assert list(np.bincount(owner[start : start + 3])) == [1, 2]


def test_recording_is_renumbered(tmp_path: Path) -> None:
    np.array([2**40, 5, 2**40, 7], dtype="<u8").tofile(tmp_path / "recording")
    stream = read_recording(tmp_path / "recording", "s")
    assert list(stream.blocks) == [2, 0, 2, 1]
    assert stream.num_blocks == 3
