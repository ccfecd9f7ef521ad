"""Slots of a host: find a vacant one, carry a VM from one to another, clear one."""

from __future__ import annotations

import math

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def vacant_slot(t: Tables, h: int) -> int:
    """First slot of a host that is neither held nor reserved; -1 where there is none.

    Nor has a host any that is not on.
    """
    if t.member[h, at.RUNS] > 0.0:
        for v in range(t.vm.shape[2]):
            if t.world_vm[h, host_at.PRESENT, v] == 0.0 and t.guest[h, at.ARRIVING, v] == 0.0:
                return v
    return -1


@lean_kernel
def copy_slot(t: Tables, d: HostTables, h: int, v: int, m: int, u: int) -> None:
    """Everything about the VM in slot v of host h, but its outcome, into slot u of host m."""
    for q in range(d.curve.shape[2]):
        d.curve[m, u, q] = d.curve[h, v, q]
    for q in range(d.active.shape[2]):
        d.active[m, u, q] = d.active[h, v, q]
        for phase in range(d.programs.shape[2]):
            d.programs[m, u, phase, q] = d.programs[h, v, phase, q]
    for q in range(t.slot.shape[2]):
        t.slot[m, u, q] = t.slot[h, v, q]
    for q in range(host_at.NUM_WORLD_VM):
        t.world_vm[m, q, u] = t.world_vm[h, q, v]
    for q in range(host_at.NUM_VM):
        t.vm[m, q, u] = t.vm[h, q, v]
    for q in range(host_at.NUM_TOLD):
        d.told[m, q, u] = d.told[h, q, v]
    for q in range(host_at.NUM_SENSED):
        d.pending[m, q, u] = d.pending[h, q, v]
        d.visible[m, q, u] = d.visible[h, q, v]
    for knot in range(d.demand.shape[1]):
        for q in range(host_at.NUM_DEMAND):
            d.demand[m, knot, q, u] = d.demand[h, knot, q, v]
    for q in range(at.DOWN_S):
        t.guest[m, q, u] = t.guest[h, q, v]


@lean_kernel
def clear_slot(t: Tables, d: HostTables, h: int, v: int) -> None:
    """Nobody is here any more; what happened to the last tenant until now stays."""
    for q in range(t.slot.shape[2]):
        t.slot[h, v, q] = 0.0
    for q in range(host_at.NUM_WORLD_VM):
        t.world_vm[h, q, v] = 0.0
    t.world_vm[h, host_at.OVERLAP, v] = 1.0  # kernels divide by it
    for q in range(host_at.NUM_VM):
        t.vm[h, q, v] = 0.0
    for q in (host_at.CACHE_SPEED, host_at.IO_SPEED, host_at.WAKE_SPEED, host_at.SPEED):
        t.vm[h, q, v] = 1.0
    for q in range(host_at.NUM_TOLD):
        d.told[h, q, v] = math.nan
    for q in range(host_at.NUM_SENSED):
        d.pending[h, q, v] = d.visible[h, q, v] = math.nan
    for knot in range(d.demand.shape[1]):
        for q in range(host_at.NUM_DEMAND):
            d.demand[h, knot, q, v] = 0.0
    for q in range(at.DOWN_S):
        t.guest[h, q, v] = 0.0
    for q in (at.IDENTITY, at.BEHIND_HOST, at.TWIN_HOST, at.TWIN_SLOT, at.MOVE_TARGET, at.DONOR):
        t.guest[h, q, v] = at.NOBODY
    t.guest[h, at.STOPS_AT, v] = math.inf


@lean_kernel
def hand_over_outcome(t: Tables, h: int, v: int, m: int, u: int) -> None:
    """What happened to a VM goes where it goes; the new slot's last tenant may have left some."""
    for q in range(host_at.NUM_OUTCOME):
        t.outcome[m, q, u] += t.outcome[h, q, v]
        t.outcome[h, q, v] = 0.0
    for q in range(at.DOWN_S, at.NUM_GUEST):
        t.guest[m, q, u] += t.guest[h, q, v]
        t.guest[h, q, v] = 0.0


@lean_kernel
def share_cache_anew(t: Tables, h: int) -> None:
    """Somebody came or left: the last-level cache is one class again until the host divides it."""
    units = t.world_host[h, host_at.LLC_UNITS]
    if units <= 0.0:
        return
    present = 0.0
    for v in range(t.vm.shape[2]):
        present += t.world_vm[h, host_at.PRESENT, v]
    for v in range(t.vm.shape[2]):
        if t.world_vm[h, host_at.PRESENT, v] > 0.0:
            t.vm[h, host_at.LLC_CLASS, v] = 0.0
            t.vm[h, host_at.UNITS, v] = units
            t.vm[h, host_at.ENTITLED, v] = t.vm[h, host_at.ENTITLED_GOAL, v] = units / present
            t.vm[h, host_at.PAGES_LEFT, v] = 0.0
