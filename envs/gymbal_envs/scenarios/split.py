"""Training, validation and test scenarios share neither VMs nor time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace, TraceError

SplitName = Literal["train", "validation", "test"]

VM_FRACTIONS = {"train": 0.6, "validation": 0.15, "test": 0.25}
TIME_FRACTIONS = VM_FRACTIONS
_SHUFFLE_KEY = 20130712
"""Which VM goes where depends on its place in the trace and this number, never on a run's seed."""


@dataclass(frozen=True, eq=False)
class TraceSplit:
    """The part of a trace that one split may use."""

    name: SplitName
    vms: NDArray[np.int64]  # rows of the trace
    first: int  # first sample
    last: int  # one past the last sample


def split_trace(trace: Trace, name: SplitName, window: int) -> TraceSplit:
    """Rows and samples of the named split.

    The month is cut in order, train first, with a gap of one window between the parts, so that no
    window of one split overlaps a window of another.

    Args:
        trace: the whole trace.
        name: train, validation or test.
        window: samples that an episode needs.

    Raises:
        TraceError: if the trace is too small to be split three ways.
    """
    if name not in get_args(SplitName):
        raise TraceError(f"split must be one of {get_args(SplitName)}, not {name!r}")
    order = np.random.Generator(np.random.Philox(key=_SHUFFLE_KEY)).permutation(trace.num_vms)
    row_edges = part_edges(trace.num_vms, VM_FRACTIONS)[name]
    first, last = part_edges(trace.num_samples, TIME_FRACTIONS)[name]
    if name != "train":
        first += window
    vms = np.sort(order[row_edges[0] : row_edges[1]]).astype(np.int64)
    if vms.size < 2 or last - first < window:
        raise TraceError(
            f"{trace.name}: {trace.num_vms} VMs x {trace.num_samples} samples are too few to keep "
            f"the {name} split apart (needs 2 VMs and {window} samples of its own)"
        )
    return TraceSplit(name=name, vms=vms, first=int(first), last=int(last))


def part_edges(total: int, fractions: dict[str, float]) -> dict[str, tuple[int, int]]:
    """First and one past the last of each part when ``total`` things are cut in these fractions."""
    cuts = np.round(np.cumsum([0.0, *fractions.values()]) * total).astype(int)
    return {
        name: (int(lo), int(hi))
        for name, lo, hi in zip(fractions, cuts[:-1], cuts[1:], strict=True)
    }
