"""How orders are carried out: host by host, slot by slot, refused where they cannot be.

The conditions are those of `gymbal_runtime.cluster.orders.Legal`.
"""

from __future__ import annotations

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.arrivals import order_place
from gymbal_envs.simulator.cluster.books import lendable_bytes
from gymbal_envs.simulator.cluster.clones import order_clone, order_merge
from gymbal_envs.simulator.cluster.moves import order_cancel, order_move
from gymbal_envs.simulator.cluster.tables import HostTables, Tables
from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    PLACE,
    RECALL,
    SQUEEZE,
    WAIT,
)


@lean_kernel
def obey_orders(t: Tables, d: HostTables, order: Floats) -> None:
    """Carry out the orders of a cluster, (NUM_ORDER, H, V)."""
    for h in range(t.member.shape[0]):
        for v in range(t.vm.shape[2]):
            verb = int(order[at.ORDER_VERB, h, v])
            if verb == WAIT:
                continue
            target = int(order[at.ORDER_TARGET, h, v])
            if verb == PLACE:
                done = order_place(t, d, h, v, target)
            else:
                done = t.world_vm[h, host_at.PRESENT, v] > 0.0 and _obey(t, d, h, v, verb, target)
            if not done:
                t.guest[h, at.REFUSED, v] += 1.0


@lean_kernel
def _obey(t: Tables, d: HostTables, h: int, v: int, verb: int, target: int) -> bool:
    """Carry out one order for a VM that is there; False where that cannot be."""
    if verb == SQUEEZE:
        return _squeeze(t, h, v)
    if verb == BORROW:
        return _borrow(t, h, v)
    if verb == RECALL:
        return _recall(t, h, v)
    if verb == CLONE:
        return order_clone(t, d, h, v, target)
    if verb == MIGRATE:
        return order_move(t, h, v, target)
    if verb == MERGE:
        return order_merge(t, d, h, v)
    if verb == CANCEL:
        return order_cancel(t, h, v)
    return False


@lean_kernel
def _squeeze(t: Tables, h: int, v: int) -> bool:
    """Mark the VM: its neighbours, if it has any, give to it for a while."""
    now = t.cluster[at.TIME]
    neighbours = -1.0
    for u in range(t.vm.shape[2]):
        neighbours += t.world_vm[h, host_at.PRESENT, u]
    if neighbours < 1.0 or t.guest[h, at.BOOSTED_UNTIL, v] > now:
        return False
    t.guest[h, at.BOOSTED_UNTIL, v] = now + t.cluster[at.K_SQUEEZE]
    return True


@lean_kernel
def _settled(t: Tables, h: int, v: int) -> bool:
    """Whether the VM runs where all of its pages are, and is the only one of its kind."""
    return t.slot[h, v, move_at.PHASE] <= move_at.COPYING and t.guest[h, at.TWIN_HOST, v] < 0.0


@lean_kernel
def _borrow(t: Tables, h: int, v: int) -> bool:
    """From now on what the VM evicts goes to other hosts, if any of them would lend."""
    if not _settled(t, h, v) or t.guest[h, at.BORROWING, v] > 0.0:
        return False
    for j in range(t.member.shape[0]):
        if j != h and lendable_bytes(t, j) > 0.0:
            t.guest[h, at.BORROWING, v] = 1.0
            t.guest[h, at.RECALLING, v] = 0.0
            t.cluster[at.AWAY] += 1.0
            return True
    return False


@lean_kernel
def _recall(t: Tables, h: int, v: int) -> bool:
    """No new far pages for the VM; those that it has come home."""
    away = t.guest[h, at.FAR, v] > 0.0
    if not _settled(t, h, v) or not (away or t.guest[h, at.BORROWING, v] > 0.0):
        return False
    t.guest[h, at.BORROWING, v] = 0.0
    t.guest[h, at.RECALLING, v] = 1.0 if away else 0.0
    return True
