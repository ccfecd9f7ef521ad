"""CPU time: who gets how many MIPS of its host, and what of its wish was lost to what."""

from __future__ import annotations

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.tables import GRANTS, LIMITS, WEIGHTS, Scratch, Tables
from gymbal_envs.simulator.compile import lean_kernel
from gymbal_envs.simulator.max_min import share_max_min


@lean_kernel
def follow_demand(t: Tables, now_s: float) -> None:
    """What VMs want now: linear between the knots of the trace.

    Not held: a record taken at a knot would then tell what the whole interval will bring.
    (CloudSim's traces are interpolated, too.)
    """
    position = now_s / t.constants[at.C_KNOT]
    last = t.demand.shape[0] - 1
    below = min(int(position), last)
    above = min(below + 1, last)
    blend = min(position - below, 1.0)
    for v in range(t.vm.shape[1]):
        frac = t.demand[below, v] * (1.0 - blend) + t.demand[above, v] * blend
        t.vm[at.WANTED, v] = t.vm[at.HERE, v] * t.world_vm[at.SPEED, v] * frac


@lean_kernel
def share_cpu(t: Tables, s: Scratch, dt: float) -> None:
    """Divide the MIPS of every host, less what moves and devices take, for the next ``dt`` seconds.

    By weighted max-min, weights are shares times MIPS: whoever bought more may use more. A VM uses
    at most its own MIPS, at most as many cores of its host as it has vCPUs, and less while it is
    moved.
    """
    for h in range(t.host.shape[1]):
        first, last = s.start[h], s.start[h + 1]
        copying = t.host[at.COPY_MIPS, h]
        used = copying + t.host[at.IO_MIPS, h]
        if last > first:
            used += _share_host(t, s, h, first, last, dt)
        t.host[at.USED, h] = used
        if used > 0.0:
            t.host_outcome[at.USED_WORK, h] += used * dt
            t.host_outcome[at.COPY_WORK, h] += copying * dt


@lean_kernel
def _share_host(t: Tables, s: Scratch, h: int, first: int, last: int, dt: float) -> float:
    """Divide one host's MIPS between the VMs ``order[first:last]``; how much they use."""
    core = t.world_host[at.CORE, h]
    taken = t.host[at.COPY_MIPS, h] + t.host[at.IO_MIPS, h]
    capacity = max(t.world_host[at.CPU, h] - taken, 0.0)
    total = 0.0
    for k in range(first, last):
        v = s.order[k]
        able = min(t.vm[at.WANTED, v], t.world_vm[at.VCPUS, v] * core)
        limit = able * t.vm[at.RAN, v]
        t.outcome[at.LOST_MOVING, v] += (able - limit) * dt
        t.vm[at.LIMIT, v] = t.vm[at.GRANTED, v] = s.share[LIMITS, k] = limit
        total += limit
    if total <= capacity:
        return total
    for k in range(first, last):
        v = s.order[k]
        s.share[WEIGHTS, k] = t.world_vm[at.SHARES, v] * t.world_vm[at.SPEED, v]
    share_max_min(
        s.share[LIMITS, first:last], s.share[WEIGHTS, first:last], capacity,
        s.share[GRANTS, first:last],
    )  # fmt: skip
    for k in range(first, last):
        t.vm[at.GRANTED, s.order[k]] = s.share[GRANTS, k]
    return capacity


@lean_kernel
def book_work(t: Tables, dt: float) -> None:
    """Add the tick to what every VM wanted and got."""
    for v in range(t.vm.shape[1]):
        here = t.vm[at.HERE, v]
        if here == 0.0:
            continue
        wanted = t.vm[at.WANTED, v] * dt
        t.outcome[at.PRESENT_S, v] += dt
        t.outcome[at.WANTED_WORK, v] += wanted
        if t.vm[at.HOST, v] < 0.0:
            t.outcome[at.WAITED_S, v] += dt
            t.outcome[at.LOST_WAITING, v] += wanted
        else:
            t.outcome[at.GOT_WORK, v] += t.vm[at.GRANTED, v] * dt
            t.vm[at.HOSTED_S, v] += dt
