"""The best split of a host's memory for known demand, by exact dynamic programming.

``minimise sum_i loss_i(x_i)`` subject to ``sum_i x_i <= capacity, min_i <= x_i <= max_i``, with x
in units of the memory above the minima. O(V K^2) for K units; exact on that grid for any curves,
also for cliffs, where greedy allocation reaches only 41-68 % (models.md section 12). On concave
gains greedy allocation is exact too; the tests use it as a check.
"""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.compile import Demand, Floats, Ints, kernel
from gymbal_envs.simulator.memory import miss_ratio

NUM_UNITS = 96
_TIGHTNESS = 1e-4
"""Weight of a term that shares out what nobody needs: a little more headroom for each."""


@kernel
def expected_losses(
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    demand: Demand,
    wait: float,
    first: int,
    last: int,
    unit: float,
    losses: Floats,
) -> None:
    """Mean loss of each VM at each allocation if demand is as at knots ``first <= k < last``.

    ``losses`` (V, NUM_UNITS + 1): share-weighted progress lost at ``min + j unit`` bytes held for
    the whole window, in the steady state: ``1 - 1 / (1 + r m(x) wait / (useful overlap))``.
    """
    knots = demand.shape[0]
    span = last - first
    for v in range(losses.shape[0]):
        for j in range(losses.shape[1]):
            losses[v, j] = 0.0
        if world_vm[at.PRESENT, v] == 0.0:
            continue
        rate = world_vm[at.TOUCH_RATE, v] / (world_host[at.TIER_USEFUL] * world_vm[at.OVERLAP, v])
        for j in range(losses.shape[1]):
            held = world_vm[at.MEMORY_MIN, v] + j * unit
            if held > world_vm[at.MEMORY_MAX, v] + unit:
                losses[v, j] = losses[v, j - 1]
                continue
            room = min(held, world_vm[at.MEMORY_MAX, v]) - world_vm[at.KERNEL, v]
            total = 0.0
            for k in range(first, last):
                now = demand[min(k, knots - 1)]
                working_set = max(np.float64(now[at.WANT_WORKING_SET, v]), 1.0)
                footprint = max(np.float64(now[at.WANT_FOOTPRINT, v]), working_set)
                images = world_host[at.TIER_POOL] * max(footprint - room, 0.0)
                usable = max(room - min(images, world_host[at.TIER_POOL_LIMIT] * held), 0.0)
                total += _TIGHTNESS * working_set / (working_set + usable)
                if usable < working_set:
                    stall = rate * miss_ratio(curve, v, usable / working_set) * wait
                    total += stall / (1.0 + stall)
                if held < world_vm[at.KERNEL, v] + world_vm[at.UNSWAPPABLE, v] * footprint:
                    total += 1.0
            losses[v, j] = world_vm[at.SHARES, v] * total / span


@kernel
def optimal_units(losses: Floats, best: Floats, choice: Ints, units: Ints) -> None:
    """Units for each VM (V,) that minimise the summed losses; ``best``, ``choice`` are scratch.

    ``best[i, k]`` is the least loss of the first i VMs with k units, ``choice[i, k]`` the units
    that VM i has then.
    """
    num_vms, num_levels = losses.shape
    for k in range(num_levels):
        best[0, k] = 0.0
    for i in range(num_vms):
        for k in range(num_levels):
            least, taken = np.inf, 0
            for j in range(k + 1):
                value = best[i, k - j] + losses[i, j]
                if value < least:
                    least, taken = value, j
            best[i + 1, k] = least
            choice[i, k] = taken
    left = num_levels - 1
    for i in range(num_vms - 1, -1, -1):
        units[i] = choice[i, left]
        left -= choice[i, left]


@kernel
def optimal_splits(
    world_vm: Floats,
    world_host: Floats,
    curve: Floats,
    demand: Demand,
    wait: Floats,
    first: Ints,
    last: Ints,
    targets: Floats,
) -> None:
    """Best split of every world for the demand of knots ``first[w] <= k < last[w]``.

    Args:
        world_vm, world_host, curve, demand: the engine's tables.
        wait: (B,) s, response time of the swap device to reckon with.
        first, last: (B,) knots.
        targets: (B, V) bytes, the answer.
    """
    num_vms = targets.shape[1]
    losses = np.zeros((num_vms, NUM_UNITS + 1))
    best = np.zeros((num_vms + 1, NUM_UNITS + 1))
    choice = np.zeros((num_vms, NUM_UNITS + 1), dtype=np.int64)
    units = np.zeros(num_vms, dtype=np.int64)
    for w in range(targets.shape[0]):
        floor = 0.0
        for v in range(num_vms):
            floor += world_vm[w, at.MEMORY_MIN, v]
        unit = (world_host[w, at.CAPACITY] - floor) / NUM_UNITS
        expected_losses(
            world_vm[w], world_host[w], curve[w], demand[w], wait[w], first[w], last[w], unit,
            losses,
        )  # fmt: skip
        optimal_units(losses, best, choice, units)
        for v in range(num_vms):
            held = world_vm[w, at.MEMORY_MIN, v] + units[v] * unit
            targets[w, v] = min(held, world_vm[w, at.MEMORY_MAX, v])
