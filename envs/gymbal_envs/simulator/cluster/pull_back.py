"""Pages that come home to their VM's swap device: their donor wants them to, or an order.

A donor's own VMs come first: it calls pages back while they are told to hold more than there is, or
when less than a watermark is free, until a higher one is reached (Infiniswap's rule, models.md
5.4). Pages come at a finite rate, over the network, and onto a device that has other work.
"""

from __future__ import annotations

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.books import count_lent, held_bytes
from gymbal_envs.simulator.cluster.tables import Tables
from gymbal_envs.simulator.compile import lean_kernel

CRUMB = 1.0
"""Bytes; less than that of a VM on a host is nothing."""


@lean_kernel
def take_back(t: Tables, h: int, v: int, donor: int, size: float) -> None:
    """A VM has ``size`` bytes less at a donor."""
    t.slot[h, v, at.FAR_AT + donor] -= size
    if t.slot[h, v, at.FAR_AT + donor] < CRUMB:
        size += t.slot[h, v, at.FAR_AT + donor]
        t.slot[h, v, at.FAR_AT + donor] = 0.0
    t.guest[h, at.FAR, v] = max(t.guest[h, at.FAR, v] - size, 0.0)


@lean_kernel
def call_home(t: Tables) -> None:
    """One tick of pages on their way home."""
    reach = t.cluster[at.K_HOME] * t.cluster[at.K_TICK]
    count_lent(t)
    recalled = _recalled(t)
    for j in range(t.member.shape[0]):
        called = _called_back(t, j, reach)
        if called <= 0.0 and recalled == 0:
            continue
        part = called / t.member[j, at.LENT] if called > 0.0 else 0.0
        for h in range(t.member.shape[0]):
            if t.pages[at.REACH, j, h] > 0.0:
                _bring_home(t, j, h, part, reach)


@lean_kernel
def _bring_home(t: Tables, donor: int, h: int, part: float, reach: float) -> None:
    """Bring pages from a donor to the VMs of a host: ``part`` of all, and what is recalled.

    No more than the swap device may write, nor than ``reach`` bytes on the network's queue.
    """
    tick = t.cluster[at.K_TICK]
    writable = t.cluster[at.K_WRITE_SHARE] * t.member[h, at.DEVICE_WRITE]
    for v in range(t.vm.shape[2]):
        lent = t.slot[h, v, at.FAR_AT + donor]
        if t.guest[h, at.FAR, v] == 0.0 or lent == 0.0:
            continue
        wanted = part * lent
        if t.guest[h, at.RECALLING, v] > 0.0:
            wanted += lent * min(reach / t.guest[h, at.FAR, v], 1.0)
        size = min(min(wanted, lent), reach - t.pages[at.QUEUE, donor, h])
        size = min(size, (writable - t.member[h, at.WRITING]) * tick)
        if size > 0.0:
            take_back(t, h, v, donor, size)
            t.member[h, at.WRITING] += size / tick
            t.member[donor, at.CALLED_BACK] += size
            t.pages[at.QUEUE, donor, h] += size
            t.guest[h, at.PULLED, v] += size
            t.guest[h, at.FAR_BYTES, v] += size


@lean_kernel
def _recalled(t: Tables) -> int:
    """Number of VMs whose pages come home by order; those that have none left are done."""
    count = 0
    for h in range(t.member.shape[0]):
        for v in range(t.vm.shape[2]):
            if t.guest[h, at.RECALLING, v] > 0.0:
                if t.guest[h, at.FAR, v] == 0.0:
                    t.guest[h, at.RECALLING, v] = 0.0
                else:
                    count += 1
    return count


@lean_kernel
def _called_back(t: Tables, h: int, reach: float) -> float:
    """Bytes that a donor calls back in this tick: its own VMs come first."""
    member = t.member[h]
    lent = member[at.LENT]
    if lent <= 0.0:
        member[at.CALLING] = 0.0
        return 0.0
    if member[at.DRAINS] > 0.0:
        return min(reach, lent)
    if member[at.POOL_TOLD] >= 0.0:  # a fixed pool: only what exceeds it
        return min(max(lent - member[at.POOL_TOLD], 0.0), reach)
    physical = t.member[h, at.PHYSICAL]
    budget = physical - member[at.RESERVED] - member[at.LEFT_HERE] - lent
    free = budget - held_bytes(t, h)
    missing = _targets(t, h) - budget
    if missing > 0.0 or free < t.cluster[at.K_LOW] * physical:
        member[at.CALLING] = 1.0
    elif free >= t.cluster[at.K_HIGH] * physical:
        member[at.CALLING] = 0.0
    if member[at.CALLING] == 0.0:
        return 0.0
    wanted = max(missing, t.cluster[at.K_HIGH] * physical - free)
    return min(min(max(wanted, 0.0), reach), lent)


@lean_kernel
def _targets(t: Tables, h: int) -> float:
    """What the host's own VMs are told to hold."""
    total = 0.0
    for v in range(t.vm.shape[2]):
        if t.world_vm[h, host_at.PRESENT, v] > 0.0:
            most = t.world_vm[h, host_at.MEMORY_MAX, v]
            total += min(t.vm[h, host_at.TARGET, v], most)
    return total
