"""Which VM is where: arrival, first host, switch-over, departure. The books of memory and heads."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.tables import Tables
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def meet_changes(t: Tables, now_s: float) -> bool:
    """Let VMs arrive and leave whose time has come; whether a host lost one."""
    changed = False
    soonest = np.inf
    for v in range(t.vm.shape[1]):
        if t.world_vm[at.SPEED, v] == 0.0:
            continue
        arrives, leaves = t.world_vm[at.ARRIVES_S, v], t.world_vm[at.LEAVES_S, v]
        here = t.vm[at.HERE, v] > 0.0
        if not here and arrives <= now_s < leaves:
            t.vm[at.HERE, v] = 1.0
        elif here and leaves <= now_s:
            changed = changed or t.vm[at.HOST, v] >= 0.0
            _leave(t, v)
        if now_s < arrives:
            soonest = min(soonest, arrives)
        elif now_s < leaves:
            soonest = min(soonest, leaves)
    t.world[at.NEXT_CHANGE] = soonest
    return changed


@lean_kernel
def has_room(t: Tables, v: int, h: int) -> bool:
    """Whether a host has the memory for a VM."""
    held = t.host[at.HELD, h] + t.world_vm[at.VM_MEMORY, v]
    return held <= t.world_host[at.MEMORY, h]


@lean_kernel
def place(t: Tables, v: int, h: int) -> None:
    """A VM without a host starts on one."""
    _settle(t, v, h)
    t.host[at.HELD, h] += t.world_vm[at.VM_MEMORY, v]


@lean_kernel
def reserve(t: Tables, v: int, target: int) -> None:
    """Note that a VM is on its way, and hold its memory at the target from now on."""
    source = int(t.vm[at.HOST, v])
    t.vm[at.SOURCE, v], t.vm[at.TARGET, v] = source, target
    t.host[at.HELD, target] += t.world_vm[at.VM_MEMORY, v]
    t.host[at.BUSY_MOVES, source] += 1.0
    t.host[at.BUSY_MOVES, target] += 1.0
    t.world[at.MOVES] += 1.0


@lean_kernel
def switch_over(t: Tables, v: int) -> None:
    """A VM that is on its way runs at its target from now on; its source still holds its memory."""
    t.host[at.RESIDENTS, int(t.vm[at.SOURCE, v])] -= 1.0
    _settle(t, v, int(t.vm[at.TARGET, v]))


@lean_kernel
def end_move(t: Tables, v: int) -> None:
    """Free what a move holds at the host where the VM does not run; it is no move any more."""
    source, target = int(t.vm[at.SOURCE, v]), int(t.vm[at.TARGET, v])
    other = source if t.vm[at.HOST, v] == target else target
    t.host[at.BUSY_MOVES, source] -= 1.0
    t.host[at.BUSY_MOVES, target] -= 1.0
    _free(t, v, other)
    t.vm[at.SOURCE, v] = t.vm[at.TARGET, v] = at.NOBODY
    for k in range(mig.NUM_STATE):
        t.move[v, k] = 0.0


@lean_kernel
def is_empty(t: Tables, h: int) -> bool:
    """Whether no VM runs on a host, is on its way to it or is still being pushed away from it."""
    return t.host[at.RESIDENTS, h] + t.host[at.BUSY_MOVES, h] == 0.0


@lean_kernel
def _settle(t: Tables, v: int, h: int) -> None:
    t.vm[at.HOST, v] = h
    t.vm[at.HOSTED_S, v] = 0.0
    t.vm[at.RAN, v] = 1.0
    t.host[at.RESIDENTS, h] += 1.0


@lean_kernel
def _leave(t: Tables, v: int) -> None:
    """A VM is no more."""
    if t.vm[at.TARGET, v] >= 0.0:
        end_move(t, v)
        t.outcome[at.FAILED, v] += 1.0
    h = int(t.vm[at.HOST, v])
    if h >= 0:
        t.host[at.RESIDENTS, h] -= 1.0
        _free(t, v, h)
    for row in range(at.NUM_VM):
        t.vm[row, v] = 0.0
    t.vm[at.HOST, v] = t.vm[at.TARGET, v] = t.vm[at.SOURCE, v] = at.NOBODY


@lean_kernel
def _free(t: Tables, v: int, h: int) -> None:
    t.host[at.HELD, h] -= t.world_vm[at.VM_MEMORY, v]
    if is_empty(t, h):
        t.host[at.HELD, h] = 0.0  # not what rounding leaves
