"""The best found division of the cache between *groups* of VMs that share a part each.

Programs that need little, or that miss whatever they hold, do better together than each in a part
of at least a whole unit. Groups are merged greedily, pair by pair, as long as the exact optimum
over units (`best_units`) falls; what a group does with u units comes from the simulator's own
natural partition. Greedy, so a bound that can be reached and not a proven optimum.
"""

from __future__ import annotations

import numpy as np

from gymbal_agents.oracles.optimal_parts import best_units
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.bandwidth import cycles_per_s
from gymbal_envs.simulator.cache import (
    CURVE,
    FILL,
    characteristic_time,
    misses_per_instruction,
)
from gymbal_envs.simulator.compile import Demand, Floats, Ints, kernel

_POINTS = 33
"""Sizes at which a group is looked at; caches of more units are interpolated between them."""


@kernel
def group_losses(
    world_vm: Floats, world_host: Floats, rows: Floats, rate: Floats, latency: float,
    members: Ints, count: int, value: Floats,
) -> None:  # fmt: skip
    """Share-weighted progress lost (P,) of a group sharing k / (P - 1) of the cache, k = 0..P-1.

    ``rows`` are the programs' rows of the table ``active``, ``rate`` (V,) instructions/s.
    """
    segment = world_host[at.LLC_BYTES] / at.NUM_LLC_SEGMENTS
    fill = rows[:, FILL:]
    held = np.zeros(rate.shape[0])
    points = value.shape[0]
    age = 0.0
    for k in range(points):
        capacity = world_host[at.LLC_BYTES] * k / (points - 1)
        if k > 0 and count > 1:
            age = characteristic_time(
                rate, fill, members, count, segment, capacity, min(max(age, 1e-4), 10.0), held
            )
        value[k] = 0.0
        for m in range(count):
            v = members[m]
            if count == 1:
                held[v] = capacity  # programs that never fill it miss no less with less
            mpi = misses_per_instruction(rows[v], segment, min(held[v], capacity))
            penalty = rows[v, at.PENALTY]
            alone = rows[v, at.CPI_BASE] + penalty * rows[v, CURVE + at.NUM_LLC_SEGMENTS]
            cpi = rows[v, at.CPI_BASE] + penalty * latency * mpi
            value[k] += world_vm[at.SHARES, v] * (1.0 - alone / cpi)
        if k == 0:
            held[:] = 0.0


@kernel
def _group_losses(
    world_vm: Floats, world_host: Floats, rows: Floats, rate: Floats, latency: float,
    members: Ints, count: int, losses: Floats,
) -> None:  # fmt: skip
    """The same for u = 0..U units, (U + 1,)."""
    total = int(world_host[at.LLC_UNITS])
    points = min(_POINTS, total + 1)
    value = np.zeros(points)
    group_losses(world_vm, world_host, rows, rate, latency, members, count, value)
    for u in range(total + 1):
        place = u * (points - 1) / total
        k = min(int(place), points - 2)
        losses[u] = value[k] + (value[k + 1] - value[k]) * (place - k)


@kernel
def _total(
    losses: Floats, alive: Ints, count: int, least: int, units: int, best: Floats, choice: Ints,
    given: Ints, stacked: Floats,
) -> float:  # fmt: skip
    """Least sum of losses of the first ``count`` groups in ``alive``, their units in ``given``."""
    for i in range(count):
        for u in range(units + 1):
            stacked[i, u] = losses[alive[i], u]
    best_units(stacked[:count], least, units, best, choice, given)
    value = 0.0
    for i in range(count):
        value += stacked[i, given[i]]
    return value


@kernel
def _cluster_world(
    world_vm: Floats, world_host: Floats, rows: Floats, rate: Floats, latency: float,
    classes: Floats, units: Floats,
) -> None:  # fmt: skip
    num_vms = classes.shape[0]
    total = int(world_host[at.LLC_UNITS])
    least = int(world_host[at.LLC_MIN_UNITS])
    most = min(int(world_host[at.LLC_CLASSES]), total // least)
    owner = np.full(num_vms, -1)
    alive = np.zeros(num_vms + 1, dtype=np.int64)
    members = np.zeros(num_vms, dtype=np.int64)
    losses = np.zeros((num_vms + 1, total + 1))
    pair = np.zeros((num_vms, num_vms, total + 1))
    best, stacked = np.zeros((num_vms + 2, total + 1)), np.zeros((num_vms + 1, total + 1))
    choice = np.zeros((num_vms + 1, total + 1), dtype=np.int64)
    given, trial = np.zeros(num_vms + 1, dtype=np.int64), np.zeros(num_vms + 1, dtype=np.int64)
    count = 0
    for v in range(num_vms):
        if world_vm[at.PRESENT, v] > 0.0:
            owner[v] = v
            alive[count] = v
            count += 1
            members[0] = v
            _group_losses(world_vm, world_host, rows, rate, latency, members, 1, losses[v])
    fresh = np.ones(num_vms, dtype=np.int64)
    now = np.inf
    if count <= most:
        now = _total(losses, alive, count, least, total, best, choice, given, stacked)
    while count > 1:
        found, first, second = np.inf, -1, -1
        for i in range(count):
            for j in range(i + 1, count):
                a, b = alive[i], alive[j]
                if fresh[a] + fresh[b] > 0:
                    size = 0
                    for v in range(num_vms):
                        if owner[v] == a or owner[v] == b:
                            members[size] = v
                            size += 1
                    _group_losses(
                        world_vm, world_host, rows, rate, latency, members, size, pair[a, b]
                    )
                losses[num_vms] = pair[a, b]
                size = 0
                for k in range(count):
                    if k != i and k != j:
                        trial[size] = alive[k]
                        size += 1
                trial[size] = num_vms
                value = _total(losses, trial, count - 1, least, total, best, choice, given, stacked)
                if value < found:
                    found, first, second = value, a, b
        if found >= now and count <= most:
            break
        now = found
        fresh[:] = 0
        fresh[first] = 1
        losses[first] = pair[first, second]
        for v in range(num_vms):
            if owner[v] == second:
                owner[v] = first
        size = 0
        for k in range(count):
            if alive[k] != second:
                alive[size] = alive[k]
                size += 1
        count = size
    _total(losses, alive, count, least, total, best, choice, given, stacked)
    for i in range(count):
        for v in range(num_vms):
            if owner[v] == alive[i]:
                classes[v] = i
                units[v] = given[i]


@kernel
def programs_at(
    world_vm: Floats, world_host: Floats, programs: Floats, demand: Demand, vm: Floats,
    latency: float, knot: int, rows: Floats, rate: Floats,
) -> None:  # fmt: skip
    """The programs of one world that run at a knot: ``rows`` (V, ...) and ``rate`` (V,).

    Rates are in instructions/s, each VM holding its fair part of the cache.
    """
    present = max(np.sum(world_vm[at.PRESENT]), 1.0)
    segment = world_host[at.LLC_BYTES] / at.NUM_LLC_SEGMENTS
    for v in range(rows.shape[0]):
        if world_vm[at.PRESENT, v] > 0.0:
            phase = int(demand[min(knot, demand.shape[0] - 1), at.WANT_PHASE, v])
            rows[v] = programs[v, phase]
            fair = world_host[at.LLC_BYTES] / present
            mpi = misses_per_instruction(rows[v], segment, fair)
            cpi = rows[v, at.CPI_BASE] + rows[v, at.PENALTY] * latency * mpi
            rate[v] = cycles_per_s(world_host, vm, v) / cpi


@kernel
def optimal_clusters(
    first: int, last: int, world_vm: Floats, world_host: Floats, programs: Floats, demand: Demand,
    vm: Floats, latency: Floats, knot: Ints, classes: Floats, units: Floats,
) -> None:  # fmt: skip
    """Best division found for worlds ``first <= w < last`` with the programs of knot ``knot[w]``.

    ``classes`` and ``units`` (B, V) are the answer, NaN where absent or nothing can be divided.
    """
    num_vms = classes.shape[1]
    for w in range(first, last):
        classes[w] = np.nan
        units[w] = np.nan
        if world_host[w, at.LLC_UNITS] == 0.0:
            continue
        rows = np.zeros((num_vms, programs.shape[3]))
        rate = np.zeros(num_vms)
        programs_at(
            world_vm[w], world_host[w], programs[w], demand[w], vm[w], latency[w], knot[w], rows,
            rate,
        )  # fmt: skip
        _cluster_world(world_vm[w], world_host[w], rows, rate, latency[w], classes[w], units[w])
