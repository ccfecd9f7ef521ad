"""What a policy's graph takes and what it gives: all that a bundle has to know about a codec.

A codec of one host, of a cluster, or of anything else describes itself with a `Signature`;
policies, golden cases, training ranges and bundles go by it and know no observation by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, Any]
"""An observation: float32 arrays by name. (A TypedDict is no mapping to anything more precise.)"""
Bounds = tuple[NDArray[np.float32], NDArray[np.float32]]
Axis = str | int

ACTION = "action"
"""Output of a graph that gives numbers to act on."""
SCORES = "logits"
"""Output of a graph that gives a score to every choice; `gymbal_runtime.policy.best_legal` takes
the best."""

MAX_VMS = "max_vms"
"""Manifest field: largest number of VM slots of a host."""
MAX_HOSTS = "max_hosts"
"""Manifest field: largest number of hosts of a cluster."""


@dataclass(frozen=True)
class Signature:
    """Inputs and output of a policy's graph. The first axis of everything is the batch.

    Attributes:
        inputs: the axes of each float32 input: a name where the size is dynamic, else the size.
        tables: inputs whose last axis are features with bounds, the finest rows first, and for each
            the input that is 1 where a row is there (None: every row is).
        asked: the input that is positive exactly where the answer means something.
        output: name of the graph's only output.
        answer_axes: what follows the axes of ``asked`` in the shape of the answer.
        limit: the manifest field that bounds the size of the world, `MAX_VMS` or `MAX_HOSTS`.
        limited: what that field counts, for messages.
        sized: the input and its axis that it bounds.
    """

    inputs: dict[str, tuple[Axis, ...]]
    tables: dict[str, str | None]
    asked: str
    output: str = ACTION
    answer_axes: tuple[int, ...] = ()
    limit: str = MAX_VMS
    limited: str = "VM slots"
    sized: tuple[str, int] = ("present", 1)

    @property
    def widths(self) -> dict[str, int]:
        """Number of features of each table."""
        return {name: int(self.inputs[name][-1]) for name in self.tables}

    def size(self, observation: Arrays) -> int:
        """Size of the world that an observation is of, in units of ``limited``."""
        name, axis = self.sized
        return int(observation[name].shape[axis])

    def answer_shape(self, observation: Arrays) -> tuple[int, ...]:
        """Shape of the answer to an observation."""
        return (*observation[self.asked].shape, *self.answer_axes)

    def rows_outside(self, outside: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
        """Counts per row of each table, added up for each row of the finest one.

        What belongs to a row is its own count, that of the coarser rows that it is part of (those
        whose axes begin as its own), and the worst of every other table.

        Args:
            outside: counts by table, each with the table's axes except the last.
        """
        finest = next(iter(self.tables))
        axes = self.inputs[finest][:-1]
        total = outside[finest].copy()
        for table in list(self.tables)[1:]:
            count, own = outside[table], self.inputs[table][:-1]
            if own != axes[: len(own)]:
                count = count.max(axis=tuple(range(1, count.ndim)), initial=0)
            total += count.reshape(*count.shape, *[1] * (total.ndim - count.ndim))
        return total


class PolicyCodec(Protocol):
    """What bundles, policies and training ranges ask of a codec, whatever it encodes."""

    @property
    def task(self) -> str:
        """Id of the task."""
        ...

    @property
    def heuristic(self) -> str:
        """Name of the heuristic that the policy corrects, the fallback, too."""
        ...

    @property
    def options(self) -> dict[str, Any]:
        """The heuristic's options."""
        ...

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of what is decided."""
        ...

    @property
    def signature(self) -> Signature:
        """Inputs and output of its policies' graphs."""
        ...

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        ...

    def fingerprint(self) -> str:
        """Hash of `spec`."""
        ...

    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound of each feature of each of the signature's tables."""
        ...


def float32_bounds(**tables: tuple[NDArray[np.float64], NDArray[np.float64]]) -> dict[str, Bounds]:
    """Bounds of each table in the precision of observations."""
    return {
        name: (low.astype(np.float32), high.astype(np.float32))
        for name, (low, high) in tables.items()
    }
