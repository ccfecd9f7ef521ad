"""Between which sizes a guest's balloon is moved: no adapter writes a target beyond these."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gymbal_runtime.sizes import parse_size

PAGE_BYTES = 4096
"""Balloons move whole pages of this size."""


@dataclass(frozen=True, slots=True)
class BalloonLimits:
    """Floors of the guests of a host; the ceiling is the memory that a guest was started with.

    Attributes:
        floor_frac: floor of a guest that has none of its own, as a fraction of its ceiling.
        floors: by name, bytes or sizes such as ``"2GiB"``.

    Raises:
        ValueError: a floor is no size, or the fraction does not lie in [0, 1].
    """

    floor_frac: float = 0.25
    floors: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.floor_frac <= 1:
            raise ValueError(f"floor_frac must lie between 0 and 1, got {self.floor_frac}")
        for size in self.floors.values():
            parse_size(size)

    def floor_bytes(self, name: str, ceiling_bytes: float) -> float:
        """Least memory of a guest: whole pages, at most the ceiling."""
        given = self.floors.get(name)
        floor = self.floor_frac * ceiling_bytes if given is None else parse_size(given)
        return min(float(math.ceil(floor / PAGE_BYTES) * PAGE_BYTES), ceiling_bytes)

    def target_bytes(self, name: str, wanted_bytes: float, ceiling_bytes: float) -> int:
        """A target that may be written: whole pages, never below the floor, at most the ceiling."""
        pages = int(wanted_bytes // PAGE_BYTES) * PAGE_BYTES
        return int(min(max(pages, self.floor_bytes(name, ceiling_bytes)), ceiling_bytes))
