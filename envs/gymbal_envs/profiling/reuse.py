"""Stack distances of a program's references, and the miss-ratio curve that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAGE_BYTES = 4096
LINE_BYTES = 64


@dataclass(frozen=True, eq=False)
class Reuse:
    """Stack distances of all references to blocks of one size.

    Attributes:
        block_bytes: 4096 for pages, 64 for lines.
        refs: Data references, all of them.
        shift: Blocks were sampled at the rate 2^-shift.
        sampled_blocks: Different blocks among the sampled.
        cold: First references to sampled blocks.
        histogram: (B, 3) int64: least distance, first distance beyond, references; distances
            count sampled blocks. Repetitions of the block just referenced are not in it.
    """

    block_bytes: int
    refs: int
    shift: int
    sampled_blocks: int
    cold: int
    histogram: NDArray[np.int64]  # (B, 3)

    @classmethod
    def of_counts(cls, counts: dict[str, Any], block_bytes: int) -> Reuse:
        """From the JSON of the tracing plugin."""
        return cls(
            block_bytes=block_bytes,
            refs=counts["references"],
            shift=counts["shift"],
            sampled_blocks=counts["blocks"],
            cold=counts["cold"],
            histogram=np.array(counts["histogram"], dtype=np.int64).reshape(-1, 3),
        )

    @property
    def num_blocks(self) -> int:
        """Different blocks, estimated where they were sampled."""
        return self.sampled_blocks << self.shift

    def miss_ratio(self, size_blocks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Misses per reference of a fully associative LRU memory.

        A reference at stack distance d misses where d >= size. Misses are counted, not hits: so
        sampling noise of the many hits at short distances does not get in.

        Args:
            size_blocks: (S,) memory sizes.

        Returns:
            (S,) miss ratios.
        """
        low, high, count = (self.histogram << np.array([self.shift, self.shift, 0])).T
        size = np.asarray(size_blocks)[:, None]
        beyond = np.clip((high - size) / (high - low), 0.0, 1.0)  # (S, B)
        misses = (beyond @ count + self.cold) * 2.0**self.shift
        return np.asarray(np.minimum(misses / self.refs, 1.0))
