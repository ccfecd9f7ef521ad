"""How unevenly hosts are loaded, and what a move would do to that."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gymbal_runtime.centre.heuristics.desk import Desk
from gymbal_runtime.machine_code import Floats, lean_kernel

ROUNDING = 1e-9
"""A deviation that is lower by less is none."""


class Loads(NamedTuple):
    """Loads of the hosts that are compared, of K resources."""

    want: Floats  # (K, V) what VMs take
    size: Floats  # (K, H) of hosts
    weight: Floats  # (K,) of a resource's deviation
    load: Floats  # (K, H) taken / size
    sums: Floats  # (K, 2) of loads and of their squares over hosts that take VMs


def make_loads(want: list[Floats], size: list[Floats], weight: list[float]) -> Loads:
    """Tables for one centre; resource by resource (V,), (H,) and its weight."""
    sizes = np.maximum(np.stack(size), 1e-9)
    sums = np.zeros((len(want), 2))
    return Loads(np.stack(want), sizes, np.array(weight), np.zeros_like(sizes), sums)


@lean_kernel
def open_loads(d: Desk, x: Loads) -> int:
    """Enter the loads of hosts as they will be; return how many hosts are compared."""
    count = 0
    for h in range(d.state.shape[0]):
        if d.plan.takes[h]:
            count += 1
    for k in range(x.want.shape[0]):
        x.sums[k, 0] = x.sums[k, 1] = 0.0
        for h in range(d.state.shape[0]):
            taken = 0.0
            for i in range(d.books.num_vms[h]):
                taken += x.want[k, d.books.vms[h, i]]
            load = taken / x.size[k, h]
            x.load[k, h] = load
            if d.plan.takes[h]:
                x.sums[k, 0] += load
                x.sums[k, 1] += load * load
    return count


@lean_kernel
def deviation(x: Loads, count: int) -> float:
    """Weighted standard deviation of the loads of ``count`` hosts."""
    total = 0.0
    for k in range(x.want.shape[0]):
        total += x.weight[k] * _spread(x.sums[k, 0], x.sums[k, 1], count)
    return total


@lean_kernel
def deviation_with(x: Loads, count: int, vm: int, source: int, host: int) -> float:
    """The same after a move, from the sums alone: it costs the same however many hosts there are.

    Args:
        x: loads before it.
        count: hosts that are compared; source and target are among them.
        vm: that moves.
        source: where it would be without.
        host: where it would go.
    """
    total = 0.0
    for k in range(x.want.shape[0]):
        if x.weight[k] != 0.0:
            less = -x.want[k, vm] / x.size[k, source]
            more = x.want[k, vm] / x.size[k, host]
            squares = x.sums[k, 1] + (2.0 * x.load[k, source] + less) * less
            squares += (2.0 * x.load[k, host] + more) * more
            total += x.weight[k] * _spread(x.sums[k, 0] + less + more, squares, count)
    return total


@lean_kernel
def enter_move(x: Loads, vm: int, source: int, host: int) -> None:
    """Carry a move over to the loads."""
    for k in range(x.want.shape[0]):
        for h, sign in ((source, -1.0), (host, 1.0)):
            change = sign * x.want[k, vm] / x.size[k, h]
            x.sums[k, 0] += change
            x.sums[k, 1] += (2.0 * x.load[k, h] + change) * change
            x.load[k, h] += change


@lean_kernel
def _spread(total: float, squares: float, count: int) -> float:
    mean = total / count
    return math.sqrt(max(squares / count - mean * mean, 0.0))
