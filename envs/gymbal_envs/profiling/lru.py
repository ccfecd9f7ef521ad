"""Exact LRU caches under recorded or made-up reference streams.

The reference for models of sharing: every reference is looked up, nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.compile import kernel

Ids = NDArray[np.int32]
Floats = NDArray[np.float64]
NEVER = np.int32(2**31 - 1)
"""Stack distance of a first use."""
_LEAST_TIMES = 1 << 14


@dataclass(frozen=True, eq=False)
class Stream:
    """References of one program.

    Attributes:
        name: The program.
        blocks: (R,) int32, blocks numbered 0, 1, ...
        num_blocks: How many different ones there may be.
    """

    name: str
    blocks: Ids  # (R,)
    num_blocks: int


def read_recording(path: str | Path, name: str) -> Stream:
    """Read what ``profile_program.py --record`` wrote: uint64 line numbers, little endian."""
    lines, blocks = np.unique(np.fromfile(path, dtype="<u8"), return_inverse=True)
    return Stream(name, blocks.astype(np.int32), len(lines))


def stack_distances(stream: Stream) -> Ids:
    """Number of different other blocks since the last use of each reference's block.

    Returns:
        (R,) int32; ``NEVER`` at first uses. A cache of s blocks hits where it is below s.
    """
    times = max(4 * stream.num_blocks, _LEAST_TIMES)
    distances = np.empty(len(stream.blocks), dtype=np.int32)
    _stack_distances(stream.blocks, stream.num_blocks, times, distances)
    return distances


def miss_ratios(distances: Ids, size_blocks: Floats) -> Floats:
    """Misses per reference of caches of the given sizes, (S,), which need not be whole."""
    ordered = np.sort(distances)
    return 1.0 - np.searchsorted(ordered, size_blocks, side="left") / len(ordered)


def interleave(num_refs: Sequence[int], rates: Sequence[float]) -> NDArray[np.int8]:
    """Whose turn it is, as evenly as the rates allow, until the first program has no more.

    Args:
        num_refs: (n,) references of each program.
        rates: (n,) references per second, above 0.

    Returns:
        (total,) index of the program.
    """
    end = min(count / rate for count, rate in zip(num_refs, rates, strict=True))
    counts = [min(int(end * rate + 1e-6), n) for n, rate in zip(num_refs, rates, strict=True)]
    when = [(np.arange(count) + 0.5) / rate for count, rate in zip(counts, rates, strict=True)]
    owner = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
    return owner[np.argsort(np.concatenate(when), kind="stable")]


def shared_miss_ratios(
    streams: Sequence[Stream], owner: NDArray[np.int8], capacity_blocks: int, warmup: int = 0
) -> Floats:
    """Simulate one LRU cache that several programs share.

    Args:
        streams: n programs; each one's references come in their own order.
        owner: (total,) whose turn it is.
        capacity_blocks: Size of the cache.
        warmup: References of the mix that fill the cache before counting starts.

    Returns:
        (n,) misses per reference of each program.
    """
    num_blocks = [stream.num_blocks for stream in streams]
    first = np.concatenate([[0], np.cumsum(num_blocks)])
    blocks = np.empty(len(owner), dtype=np.int32)
    for i, stream in enumerate(streams):
        turns = owner == i
        blocks[turns] = stream.blocks[: np.count_nonzero(turns)] + first[i]
    counts = np.zeros((2, len(streams)), dtype=np.int64)
    _shared_lru(blocks, owner, int(first[-1]), capacity_blocks, warmup, counts)
    return np.asarray(counts[1] / np.maximum(counts[0], 1))


@kernel
def _stack_distances(blocks: Ids, num_blocks: int, times: int, distances: Ids) -> None:
    """Fenwick tree over the times of last uses, renumbered whenever ``times`` have passed."""
    last = np.zeros(num_blocks, dtype=np.int32)  # time of last use, 0: never
    holder = np.full(times + 1, -1, dtype=np.int32)  # whose last use that time is, -1: nobody's
    tree = np.zeros(times + 1, dtype=np.int32)
    now, seen = 0, 0
    for r in range(blocks.shape[0]):
        block = blocks[r]
        if now == times:
            now = _renumber(last, holder, tree)
        time = int(last[block])
        if time == now and now > 0:
            distances[r] = 0
            continue
        if time == 0:
            seen += 1
            distances[r] = NEVER
        else:
            distances[r] = seen - _sum_until(tree, time)
            holder[time] = -1
            _add(tree, time, -1)
        now += 1
        last[block] = now
        holder[now] = block
        _add(tree, now, 1)


@kernel
def _add(tree: Ids, at: int, amount: int) -> None:
    while at < tree.shape[0]:
        tree[at] += amount
        at += at & -at


@kernel
def _sum_until(tree: Ids, at: int) -> int:
    total = 0
    while at > 0:
        total += tree[at]
        at -= at & -at
    return total


@kernel
def _renumber(last: Ids, holder: Ids, tree: Ids) -> int:
    """Make the times that are still somebody's last use 1, 2, ..., in order; returns how many."""
    now = 0
    for time in range(1, len(holder)):
        if holder[time] >= 0:
            now += 1
            holder[now] = holder[time]
            last[holder[now]] = now
    holder[now + 1 :] = -1
    tree[:] = 0
    for time in range(1, now + 1):
        _add(tree, time, 1)
    return now


@kernel
def _shared_lru(
    blocks: Ids,
    owner: NDArray[np.int8],
    num_blocks: int,
    capacity: int,
    warmup: int,
    counts: NDArray[np.int64],
) -> None:
    """Doubly linked list in order of use; its ends meet in a block that is not one."""
    end = num_blocks
    newer = np.full(num_blocks + 1, -1, dtype=np.int32)  # -1: not in the cache
    older = np.full(num_blocks + 1, -1, dtype=np.int32)
    newer[end], older[end] = end, end
    held = 0
    for r in range(blocks.shape[0]):
        block = blocks[r]
        miss = newer[block] < 0
        if r >= warmup:
            counts[0, owner[r]] += 1
            counts[1, owner[r]] += miss
        if not miss:
            newer[older[block]] = newer[block]
            older[newer[block]] = older[block]
        elif held < capacity:
            held += 1
        else:
            oldest = newer[end]
            newer[end] = newer[oldest]
            older[newer[oldest]] = end
            newer[oldest] = -1
        newest = older[end]
        newer[newest], older[block] = block, newest
        newer[block], older[end] = end, block
