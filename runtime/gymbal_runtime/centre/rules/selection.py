"""Which VM leaves an overloaded host? The selectors of Beloglazov and Buyya (CCPE 2012, section 6).

MMT  least memory, so shortest migration
MU   least utilisation of its own CPUs
RS   any, uniformly
MC   highest multiple correlation with the host's other VMs: the largest R^2 of a linear regression
     of one VM's history on the others'; MMT where that is not defined (one VM, fewer samples than
     VMs, singular)

Of equals the first in the host's list goes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gymbal_runtime.centre.rules.detection import HISTORY
from gymbal_runtime.machine_code import Floats, Ints, Streams, lean_kernel
from gymbal_runtime.random_numbers import uniform

MMT, MU, RS, MC = range(4)
SELECTORS: dict[str, int] = {"MMT": MMT, "MU": MU, "RS": RS, "MC": MC}


class Guests(NamedTuple):
    """What placement may know of VMs."""

    mips: Floats  # (V,) provisioned CPU
    vcpus: Floats  # (V,) cores that it can use at once
    ram_mb: Floats  # (V,) provisioned memory, what a migration copies
    requested_mips: Floats  # (V,) wanted now
    requested_ram_mb: Floats  # (V,) memory that a host must have free
    utilisation: Floats  # (V,) wanted now, of the provisioned CPU
    history: Floats  # (V, HISTORY) past utilisation, newest first, 0 where unknown
    samples: Ints  # (V,) known samples of the history


@lean_kernel
def select_victim(
    selector: int, members: Ints, count: int, guests: Guests, streams: Streams, matrix: Floats
) -> int:
    """Place in ``members`` of the VM to move.

    Args:
        selector: one of SELECTORS.
        members: (>= count,) VMs of the host.
        count: number of them, at least 1.
        guests: all VMs.
        streams: (1,) random stream, advanced by RS alone.
        matrix: (HISTORY, HISTORY + 1) room for MC's regressions.
    """
    if selector == RS:
        return int(uniform(streams, 0) * count)
    if selector == MC:
        chosen = _most_correlated(members, count, guests, matrix)
        if chosen >= 0:
            return chosen
    best = 0
    for i in range(1, count):
        challenger, champion = members[i], members[best]
        if selector == MU:
            better = guests.utilisation[challenger] < guests.utilisation[champion]
        else:
            better = guests.ram_mb[challenger] < guests.ram_mb[champion]
        if better:
            best = i
    return best


@lean_kernel
def _most_correlated(members: Ints, count: int, guests: Guests, matrix: Floats) -> int:
    """Place of the VM with the largest R^2, -1 where a regression is not possible."""
    rows = HISTORY
    for i in range(count):
        rows = min(rows, int(guests.samples[members[i]]))
    if count == 1 or count > rows:
        return -1
    best, largest = 0, 0.0
    for i in range(count):
        explained = explained_share(i, members, count, rows, guests.history, matrix)
        if explained == -1.0:
            return -1
        if explained > largest:
            best, largest = i, explained
    return best


@lean_kernel
def explained_share(
    which: int, members: Ints, count: int, rows: int, history: Floats, matrix: Floats
) -> float:
    """R^2 of one member's history regressed on the others' and a constant; -1 if singular.

    Householder reflections make [1, others, own] triangular; what is left of the last column
    below its diagonal are the residuals.
    """
    mean = 0.0
    for r in range(rows):
        matrix[r, 0] = 1.0
        column = 1
        for j in range(count):
            if j != which:
                matrix[r, column] = history[members[j], r]
                column += 1
        matrix[r, count] = history[members[which], r]
        mean += matrix[r, count] / rows
    total = 0.0
    for r in range(rows):
        total += (matrix[r, count] - mean) * (matrix[r, count] - mean)
    for column in range(count):
        if not _reflect(matrix, column, rows, count):
            return -1.0
    left = 0.0
    for r in range(count, rows):
        left += matrix[r, count] * matrix[r, count]
    return 1.0 - left / total


@lean_kernel
def _reflect(matrix: Floats, column: int, rows: int, last: int) -> bool:
    """Zero a column below its diagonal, and turn the columns to its right likewise."""
    norm = 0.0
    for r in range(column, rows):
        norm += matrix[r, column] * matrix[r, column]
    if norm == 0.0:
        return False
    length = math.sqrt(norm)
    diagonal = -length if matrix[column, column] > 0.0 else length
    matrix[column, column] -= diagonal
    scale = -diagonal * matrix[column, column]  # half of the squared norm of the reflector
    for other in range(column + 1, last + 1):
        dot = 0.0
        for r in range(column, rows):
            dot += matrix[r, column] * matrix[r, other]
        for r in range(column, rows):
            matrix[r, other] -= dot / scale * matrix[r, column]
    return True
