"""What is coming to a cluster: the true demand of all its VMs, as a placement problem.

The abstract problem leaves out how the hosts' local agents divide memory, what a disk's queue does
and what moves take from each other. It says which moves are worth trying, not what they bring:
that is found out in copies of the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_agents.oracles.placement import Floats, PlacementProblem, Places
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.cluster.readings import dirtying
from gymbal_runtime.cluster.move_estimate import estimate_move

MISSING_FRAC = 0.1
"""Part of a working set that is missing where prices are taken: they are not really linear."""
QUEUE = 2.0
"""A fault on a disk with other work waits so many times its latency."""
LEAST_SIZE = 1.0


@dataclass(frozen=True, eq=False)
class Foresight:
    """A cluster's future.

    Attributes:
        problem: a step for every knot of demand that is left; absent hosts are left out.
        vms: (V,) identities.
        hosts: (H,) the hosts' numbers in the cluster.
        move_steps: (V,) decisions that a move takes.
        knot_steps: decisions between two knots.
        clonable: identities of the VMs that can be divided.
    """

    problem: PlacementProblem
    vms: Places
    hosts: Places
    move_steps: Floats
    knot_steps: float
    clonable: frozenset[int]


def foresee(engine: ClusterEngine, c: int, usable_frac: float) -> Foresight:
    """The future of cluster ``c``.

    Args:
        engine: as it is now.
        c: which.
        usable_frac: part of a host's memory that local agents bring to use.
    """
    span, tables = engine.span(c), engine.hosts
    at_host, slot = np.nonzero(tables.world_vm[span, host_at.PRESENT])
    host = at_host + span.start
    exists = np.flatnonzero(engine.member[span, at.EXISTS])
    demand = tables.demand[host, _knot(engine, c) :, :, slot].astype(np.float64)
    here = tables.world_vm[host, :, slot]
    need = demand[:, :, host_at.WANT_WORKING_SET] + here[:, host_at.KERNEL, None]
    cores = np.minimum(demand[:, :, host_at.WANT_CORES], here[:, host_at.VCPUS, None])
    member = engine.member[span][exists]
    weight = here[:, host_at.SHARES] / max(here[:, host_at.SHARES].sum(), 1e-12)
    move_cost, move_s = _move_costs(engine, c, host, slot, weight)
    far, swap = _memory_prices(engine, c, host, slot, weight)
    knot_s = engine.params.knot_s
    rate = knot_s / engine.params.clock.control_interval_s
    lost = rate * weight.sum() / max(cores.mean(axis=1).sum(), 1e-9)
    problem = PlacementProblem(
        need=need,
        cores=cores,
        memory=member[:, at.PHYSICAL] * usable_frac,
        cpu=member[:, at.CORES],
        slots=np.full(exists.size, engine.num_vms),
        home=np.searchsorted(exists, at_host),
        move_cost=move_cost,
        far_price=min(far, swap) * rate,
        swap_price=swap * rate,
        core_price=lost,
    )
    vms = engine.guest[host, at.IDENTITY, slot].astype(np.int64)
    clonable = frozenset(vms[engine.guest[host, at.CLONABLE, slot] > 0.0].tolist())
    interval = engine.params.clock.control_interval_s
    return Foresight(problem, vms, exists, move_s / interval, rate, clonable)


def _knot(engine: ClusterEngine, c: int) -> int:
    """The last knot that is not in the future; there is always one after it."""
    knot = int(engine.cluster[c, at.TIME] / engine.params.knot_s)
    return min(knot, engine.hosts.num_knots - 2)


def _move_costs(
    engine: ClusterEngine, c: int, host: Places, slot: Places, weight: Floats
) -> tuple[Floats, Floats]:
    """What moving each VM costs, in units of the reward, and how long it takes, (V,) s."""
    span, row = engine.span(c), engine.cluster[c]
    plan = row[: move_at.NUM_PLAN]
    rates, writes = dirtying(engine)
    nic = np.maximum(engine.member[host, at.NIC], 1.0)
    link = np.maximum(np.minimum(plan[move_at.RATE_MAX], nic), 1.0)
    size = np.maximum(engine.guest[host, at.SIZE, slot], LEAST_SIZE)
    move = estimate_move(size, rates[host, slot], writes[host, slot], link)
    memory = max(engine.member[span, at.PHYSICAL].sum(), 1.0)
    slowed = row[at.K_SLOWDOWN] * link / nic * move.total_s + move.downtime_s
    interval = engine.params.clock.control_interval_s
    return move.bytes / memory + weight * slowed / interval, move.total_s


def _memory_prices(
    engine: ClusterEngine, c: int, host: Places, slot: Places, weight: Floats
) -> tuple[float, float]:
    """Price of a missing byte for one interval: in other hosts' memory, and on swap devices."""
    tables, row = engine.hosts, engine.cluster[c]
    here, device = tables.world_vm[host, :, slot], tables.world_host[host]
    sizes = np.maximum(tables.vm[host, host_at.WORKING_SET, slot], LEAST_SIZE)
    curve = tables.curve[host, slot]
    last = curve.shape[1] - 1
    ratio = curve[:, round((1.0 - MISSING_FRAC) * last)]
    misses = here[:, host_at.TOUCH_RATE] * ratio
    stall = misses / here[:, host_at.OVERLAP]
    disk = QUEUE * device[:, host_at.TIER_LATENCY] / device[:, host_at.TIER_USEFUL]
    far = row[at.FAR_LATENCY] / row[at.FAR_USEFUL]
    missing = max(MISSING_FRAC * sizes.sum(), LEAST_SIZE)
    lost = [float((weight * (1.0 - 1.0 / (1.0 + stall * wait))).sum()) for wait in (far, disk)]
    memory = max(engine.member[engine.span(c), at.PHYSICAL].sum(), 1.0)
    per_miss = row[at.FAR_REQUEST] / row[at.FAR_USEFUL]
    interval = engine.params.clock.control_interval_s
    sent = float((misses / (1.0 + stall * far)).sum()) * per_miss * interval / memory
    return (lost[0] + sent) / missing, lost[1] / missing
