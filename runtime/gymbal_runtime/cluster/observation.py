"""What a policy sees of clusters: arrays, their bounds, and how columns become rows."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.history import ClusterHistory
from gymbal_runtime.cluster.quantities import (
    CLUSTER_QUANTITIES,
    HISTORY_QUANTITIES,
    HOST_QUANTITIES,
    VM_QUANTITIES,
)
from gymbal_runtime.cluster.rows import Candidates, Columns
from gymbal_runtime.observation import HISTORY_STEPS, Bounds
from gymbal_runtime.quantities import Quantity, bounds_of

HOST_BOUNDS = bounds_of(HOST_QUANTITIES)
CLUSTER_BOUNDS = bounds_of(CLUSTER_QUANTITIES)
CANDIDATE_BOUNDS = bounds_of(VM_QUANTITIES + HISTORY_QUANTITIES * HISTORY_STEPS)
"""Of a candidate's whole row (F,): what is seen now, then the changes of each remembered step."""


class ClusterObservation(TypedDict):
    """What a policy sees of C clusters of H hosts with K candidates each."""

    vms: NDArray[np.float32]  # (C, H, K, F), zero where nobody is
    vm_present: NDArray[np.float32]  # (C, H, K) 1 where there is a candidate
    hosts: NDArray[np.float32]  # (C, H, G), zero where there is no host
    host_present: NDArray[np.float32]  # (C, H)
    cluster: NDArray[np.float32]  # (C, J)
    proposed: NDArray[np.float32]  # (C, 1) action that the heuristic would choose
    mask: NDArray[np.float32]  # (C, A) 1 where the action is legal


def vm_rows(columns: Columns, seen: Candidates, memory: ClusterHistory) -> NDArray[np.float32]:
    """Rows of the candidates, (C * H, K, F): what is seen now, then the changes since each step."""
    shape, step_width = seen.places.shape, len(HISTORY_QUANTITIES)
    table = np.empty((len(CANDIDATE_BOUNDS[0]), *shape), dtype=np.float32)
    _fill(table, columns, VM_QUANTITIES)
    now, *before = (
        np.take(step.reshape(-1, step_width), seen.places, axis=0) for step in memory.tracked
    )
    first = len(VM_QUANTITIES)
    for then in before:
        table[first : first + step_width] = np.moveaxis(now - then, -1, 0)
        first += step_width
    table[:, ~seen.present] = 0.0
    return _bounded(table, CANDIDATE_BOUNDS)


def bounded_rows(
    columns: Columns, quantities: tuple[Quantity, ...], bounds: Bounds
) -> NDArray[np.float32]:
    """Columns of one shape side by side, (..., quantities), bounded; NaN as 0."""
    shape = np.shape(columns[quantities[0].name])
    table = np.empty((len(quantities), *shape), dtype=np.float32)
    _fill(table, columns, quantities)
    return _bounded(table, bounds)


def _fill(table: NDArray[np.float32], columns: Columns, quantities: tuple[Quantity, ...]) -> None:
    """Write columns to the first rows: in one piece each, which is fast."""
    for row, quantity in enumerate(quantities):
        table[row] = columns[quantity.name]


def _bounded(table: NDArray[np.float32], bounds: Bounds) -> NDArray[np.float32]:
    """(quantities, ...) within bounds, changed in place, and returned as (..., quantities)."""
    axes = (-1, *(1,) * (table.ndim - 1))
    low, high = (bound.astype(np.float32).reshape(axes) for bound in bounds)
    np.minimum(np.maximum(table, low, out=table), high, out=table)
    np.copyto(table, 0.0, where=np.isnan(table))
    return np.ascontiguousarray(np.moveaxis(table, 0, -1))
