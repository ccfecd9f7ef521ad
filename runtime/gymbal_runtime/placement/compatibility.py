"""Which programs suit each other: a table of co-runs, and what it says of VMs of unknown programs.

The table was computed by the simulator (``scripts/compatibility.py``): every pair of reference
programs side by side on one host, and each of them beside *bubbles* of growing size (Mars et al.,
"Bubble-Up", MICRO 2011). It comes with the package, so that a controller needs no simulator. A VM
is taken for the reference program whose static profile is nearest to its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.telemetry import CentreTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats

SHIPPED = Path(__file__).with_name("compatibility.json")
HINTS = ("hint_slowdown", "hint_traffic_bytes_s", "hint_cache_bytes")
"""What a static profile says, in the order of `CompatibilityTable.hints`."""


@dataclass(frozen=True, eq=False)
class CompatibilityTable:
    """R reference programs and P bubbles.

    Attributes:
        names: of the programs.
        hints: (R, 3) what their static profiles say, see `HINTS`.
        extra: (R, R) time that program i takes more per busy core of program j beside it, as part
            of its time alone.
        bubble_score: (P,) what a bubble does to the reporter: its extra time.
        curve: (R, P) extra time of each program beside each bubble.
        score: (R,) what each program does to the reporter, per busy core: its own bubble score.

    Raises:
        ValueError: an array has the wrong shape, or holds what is no number.
    """

    names: tuple[str, ...]
    hints: Floats
    extra: Floats
    bubble_score: Floats
    curve: Floats
    score: Floats
    _centre: Floats = field(init=False, repr=False)  # (3,) mean of the transformed hints
    _spread: Floats = field(init=False, repr=False)  # (3,) their standard deviation

    def __post_init__(self) -> None:
        count, bubbles = len(self.names), self.bubble_score.size
        shapes = {
            "hints": (count, len(HINTS)), "extra": (count, count), "curve": (count, bubbles),
            "score": (count,), "bubble_score": (bubbles,),
        }  # fmt: skip
        for name, shape in shapes.items():
            values: NDArray[Any] = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"compatibility table: {name} must be {shape} finite numbers")
        marks = transformed(self.hints)
        object.__setattr__(self, "_centre", marks.mean(axis=0))
        object.__setattr__(self, "_spread", np.maximum(marks.std(axis=0), 1e-9))

    @property
    def count(self) -> int:
        """R, number of reference programs."""
        return len(self.names)

    def marks(self, telemetry: CentreTelemetry) -> tuple[Floats, Bools]:
        """Static profiles of VMs in standard units, (C, V, 3), 0 where unknown; which are known."""
        marks = np.zeros((*telemetry.present.shape, len(HINTS)))
        known = np.zeros(telemetry.present.shape, dtype=np.bool_)
        if telemetry.sharing is not None:
            hints = [getattr(telemetry.sharing, name) for name in HINTS]
            known = telemetry.present & ~np.isnan(hints[0] + hints[1] + hints[2])
            found = np.stack([hint[known] for hint in hints], axis=-1)  # of the few that are there
            marks[known] = (transformed(found) - self._centre) / self._spread
        return marks, known

    @property
    def own_marks(self) -> Floats:
        """The same of the reference programs, (R, 3)."""
        marks: Floats = (transformed(self.hints) - self._centre) / self._spread
        return marks

    def class_of(self, marks: Floats, known: Bools) -> Ints:
        """Reference program of each VM, (C, V); R where nothing is known of it.

        Args:
            marks: (C, V, 3).
            known: (C, V) of which something is known.
        """
        nearest = np.full(known.shape, self.count, dtype=np.int64)
        # |a - b|^2 without |a|^2, which is the same for all b: no array of (n, R, 3).
        own = self.own_marks
        apart = (own * own).sum(axis=1) - 2.0 * marks[known] @ own.T
        nearest[known] = apart.argmin(axis=-1)
        return nearest

    @property
    def extra_or_mean(self) -> Floats:
        """`extra` with a row and a column more, (R + 1, R + 1), for VMs of unknown programs."""
        rows = np.vstack([self.extra, self.extra.mean(axis=0)])
        return np.hstack([rows, rows.mean(axis=1, keepdims=True)])

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types, with the digits that matter."""
        return {
            "names": list(self.names),
            **{
                name: np.round(getattr(self, name), 6 if name != "hints" else 3).tolist()
                for name in ("hints", "extra", "bubble_score", "curve", "score")
            },
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> CompatibilityTable:
        """What `to_dict` gave.

        Raises:
            ValueError: a field is missing or wrong.
        """
        try:
            arrays = {
                name: np.asarray(plain[name], dtype=np.float64)
                for name in ("hints", "extra", "bubble_score", "curve", "score")
            }
            return cls(names=tuple(plain["names"]), **arrays)
        except KeyError as missing:
            raise ValueError(f"compatibility table: {missing.args[0]} is missing") from missing


def transformed(hints: Floats) -> Floats:
    """Static profiles (..., 3) on scales on which ratios count."""
    slower = np.log(np.maximum(hints[..., 0] - 1.0, 0.0) + 0.02)
    traffic = np.log(np.maximum(hints[..., 1], 0.0) + 1e7)
    size = np.log(np.maximum(hints[..., 2], 0.0) + 1e6)
    return np.stack([slower, traffic, size], axis=-1)


@cache
def shipped_table() -> CompatibilityTable:
    """The table that comes with the package; read once.

    Raises:
        ValueError: the file was damaged.
    """
    return CompatibilityTable.from_dict(json.loads(SHIPPED.read_text()))
