"""The exact best division of the last-level cache, by dynamic programming over its units."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cache import CURVE, misses_per_instruction
from gymbal_envs.simulator.compile import Demand, Floats, Ints, kernel

_NEVER = 1e9
"""Loss of a division that the hardware does not have."""


@kernel
def expected_losses(
    world_vm: Floats,
    world_host: Floats,
    programs: Floats,
    demand: Demand,
    latency: float,
    first: int,
    last: int,
    members: Ints,
    group_size: Ints,
    losses: Floats,
) -> None:
    """Loss (V, U + 1) of each VM in a class of u units, over the demand of a window.

    ``losses[v, u]`` is the mean over knots ``first <= k < last`` of the share-weighted progress
    lost with u units, in the steady state at the present memory latency. Of a class of several
    VMs each is reckoned to hold the same part.

    Args:
        world_vm, world_host, programs, demand: the tables of one world.
        latency: memory latency in units of the unloaded one.
        first, last: knots.
        members: (V,) class of each VM, -1 where absent.
        group_size: (V,) VMs in its class.
        losses: the answer.
    """
    knots = demand.shape[0]
    num_units = int(world_host[at.LLC_UNITS])
    segment = world_host[at.LLC_BYTES] / at.NUM_LLC_SEGMENTS
    unit = world_host[at.LLC_BYTES] / world_host[at.LLC_UNITS]
    for v in range(losses.shape[0]):
        for u in range(num_units + 1):
            losses[v, u] = 0.0
        if members[v] < 0:
            continue
        weights = np.zeros(at.NUM_PHASES)
        for k in range(first, last):
            weights[int(demand[min(k, knots - 1), at.WANT_PHASE, v])] += 1.0 / (last - first)
        for phase in range(at.NUM_PHASES):
            if weights[phase] == 0.0:
                continue
            row = programs[v, phase]
            penalty = row[at.PENALTY]
            alone = row[at.CPI_BASE] + penalty * row[CURVE + at.NUM_LLC_SEGMENTS]
            share = world_vm[at.SHARES, v] * weights[phase]
            for u in range(num_units + 1):
                mpi = misses_per_instruction(row, segment, u * unit / group_size[v])
                cpi = row[at.CPI_BASE] + penalty * latency * mpi
                losses[v, u] += share * (1.0 - alone / cpi)


@kernel
def best_units(
    losses: Floats, least: int, num_units: int, best: Floats, choice: Ints, units: Ints
) -> None:
    """Units of each class (C,), at least ``least``, that minimise the sum of ``losses`` (C, U + 1).

    ``best`` (C + 1, U + 1) and ``choice`` (C, U + 1) are scratch.
    """
    count = losses.shape[0]
    for u in range(num_units + 1):
        best[0, u] = 0.0
    for i in range(count):
        for u in range(num_units + 1):
            best[i + 1, u] = _NEVER
            choice[i, u] = least
            for mine in range(least, u + 1):
                value = best[i, u - mine] + losses[i, mine]
                if value < best[i + 1, u]:
                    best[i + 1, u] = value
                    choice[i, u] = mine
    left = num_units
    for i in range(count - 1, -1, -1):
        units[i] = choice[i, left]
        left -= units[i]


@kernel
def _group(
    world_vm: Floats, losses: Floats, num_units: int, max_classes: int, members: Ints
) -> int:
    """Number of classes: one for each VM, but those that gain least from cache share the last."""
    num_vms = members.shape[0]
    present = 0
    for v in range(num_vms):
        members[v] = -1
        if world_vm[at.PRESENT, v] > 0.0:
            members[v] = 0
            present += 1
    together = present - max_classes + 1 if present > max_classes else 0
    for _ in range(together):
        least, which = np.inf, -1
        for v in range(num_vms):
            gain = losses[v, 0] - losses[v, num_units]
            if members[v] == 0 and gain < least:
                least, which = gain, v
        members[which] = num_vms  # mark
    classes = 0
    for v in range(num_vms):
        if members[v] == 0:
            members[v] = classes
            classes += 1
    for v in range(num_vms):
        if members[v] == num_vms:
            members[v] = classes
    return classes + 1 if together > 0 else classes


@kernel
def optimal_parts(
    world_vm: Floats,
    world_host: Floats,
    programs: Floats,
    demand: Demand,
    latency: Floats,
    first: Ints,
    last: Ints,
    classes: Floats,
    units: Floats,
) -> None:
    """Best division of every world for the demand of knots ``first[w] <= k < last[w]``.

    Args:
        world_vm, world_host, programs, demand: the engine's tables.
        latency: (B,) memory latency to reckon with, in units of the unloaded one.
        first, last: (B,) knots.
        classes: (B, V) the answer: class of each VM, NaN where absent or nothing can be divided.
        units: (B, V) the answer: units of that class.
    """
    num_vms = classes.shape[1]
    members = np.zeros(num_vms, dtype=np.int64)
    size = np.ones(num_vms, dtype=np.int64)
    given = np.zeros(num_vms, dtype=np.int64)
    for w in range(classes.shape[0]):
        classes[w] = np.nan
        units[w] = np.nan
        total = int(world_host[w, at.LLC_UNITS])
        if total == 0:
            continue
        losses = np.zeros((num_vms, total + 1))
        for v in range(num_vms):
            members[v] = 0 if world_vm[w, at.PRESENT, v] > 0.0 else -1
            size[v] = 1
        expected_losses(
            world_vm[w], world_host[w], programs[w], demand[w], latency[w], first[w], last[w],
            members, size, losses,
        )  # fmt: skip
        least = int(world_host[w, at.LLC_MIN_UNITS])
        most = min(int(world_host[w, at.LLC_CLASSES]), total // least)
        count = _group(world_vm[w], losses, total, most, members)
        for v in range(num_vms):
            size[v] = np.sum(members == members[v])
        expected_losses(
            world_vm[w], world_host[w], programs[w], demand[w], latency[w], first[w], last[w],
            members, size, losses,
        )  # fmt: skip
        by_class = np.zeros((count, total + 1))
        for v in range(num_vms):
            if members[v] >= 0:
                by_class[members[v]] += losses[v]
        best = np.zeros((count + 1, total + 1))
        choice = np.zeros((count, total + 1), dtype=np.int64)
        best_units(by_class, least, total, best, choice, given)
        for v in range(num_vms):
            if members[v] >= 0:
                classes[w, v] = members[v]
                units[w, v] = given[members[v]]
