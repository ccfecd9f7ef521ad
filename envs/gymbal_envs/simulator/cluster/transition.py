"""One tick after another for several hosts: the network between them, then each host."""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.arrivals import charge_waiting
from gymbal_envs.simulator.cluster.books import count_memory, keep_books, set_budgets
from gymbal_envs.simulator.cluster.far_memory import prepare_far, settle_far
from gymbal_envs.simulator.cluster.faults import meet_events
from gymbal_envs.simulator.cluster.moves import advance, cap_targets, land
from gymbal_envs.simulator.cluster.obeying import obey_orders
from gymbal_envs.simulator.cluster.power import draw_power, obey_power
from gymbal_envs.simulator.cluster.tables import (
    MOVER,
    MOVER_SLOT,
    HostTables,
    Scratch,
    Tables,
    cluster_rows,
    host_rows,
    make_scratch,
)
from gymbal_envs.simulator.cluster.traffic import (
    at_hand,
    book_move,
    find_moves,
    set_capacities,
    share_network,
)
from gymbal_envs.simulator.compile import Floats, kernel, lean_kernel
from gymbal_envs.simulator.occupancy import NUM_SCRATCH
from gymbal_envs.simulator.transition import tick_host
from gymbal_envs.simulator.whole_host import obey


@kernel
def begin_cluster(batch: Tables, c: int) -> None:
    """The manager's books of a cluster that was just loaded."""
    t = cluster_rows(batch, c)
    set_budgets(t)
    keep_books(t)


@kernel
def advance_clusters(
    first: int,
    last: int,
    num_ticks: int,
    goes_on: bool,
    batch: Tables,
    batch_hosts: HostTables,
    orders: Floats,
) -> None:
    """Carry out the orders of clusters ``first <= c < last`` and advance by ``num_ticks``.

    Args:
        first: cluster to begin with.
        last: the one after the last.
        num_ticks: physics steps.
        goes_on: what happened is added to that of the interval before.
        batch: tables of C clusters: each with a leading axis of C or N = C H.
        batch_hosts: the same.
        orders: (C, NUM_ORDER, H, V).
    """
    num_hosts, num_vms = orders.shape[2], orders.shape[3]
    s = make_scratch(num_hosts, num_vms)
    wants, members = np.zeros((NUM_SCRATCH, num_vms)), np.zeros(num_vms, dtype=np.int64)
    for c in range(first, last):
        t, d = cluster_rows(batch, c), host_rows(batch_hosts, c, num_hosts)
        if not goes_on:
            _forget_interval(t)
        _begin_interval(t, d, orders[c])
        for _ in range(num_ticks):
            busy = _begin_tick(t, d, s)
            for h in range(num_hosts):
                if t.member[h, at.EXISTS] > 0.0:
                    tick_host(
                        t.world_vm[h], t.world_host[h], d.curve[h], d.programs[h], d.active[h],
                        d.constants, d.demand[h], t.vm[h], d.host[h], d.pending[h], d.visible[h],
                        t.outcome[h], d.streams, h, wants, members,
                    )  # fmt: skip
                else:
                    d.host[h, host_at.TICK] += 1.0
            if t.cluster[at.QUEUES] > 0.0:
                charge_waiting(t)
            if t.cluster[at.POWERED] > 0.0:
                draw_power(t)
            t.cluster[at.TIME] += t.cluster[at.K_TICK]
            if t.cluster[at.AWAY] > 0.0:
                settle_far(t)
            if busy:
                count_memory(t)
        set_budgets(t)
        keep_books(t)


@lean_kernel
def _forget_interval(t: Tables) -> None:
    """Nothing has happened yet."""
    t.outcome[:] = 0.0
    t.guest[:, at.DOWN_S :] = 0.0
    t.member[:, at.IDLE_BYTE_S :] = 0.0
    t.power_outcome[:] = 0.0


@lean_kernel
def _begin_interval(t: Tables, d: HostTables, orders: Floats) -> None:
    """Carry out orders to the cluster and commands to its hosts; (NUM_ORDER, H, V) orders."""
    if t.cluster[at.POWERED] > 0.0:
        obey_power(t)
    obey_orders(t, d, orders)
    cap_targets(t, d)
    for h in range(t.member.shape[0]):
        if t.world_host[h, host_at.WHOLE] > 0.0:
            obey(
                t.world_vm[h], t.world_host[h], d.curve[h], d.constants, d.told[h], t.vm[h],
                t.outcome[h],
            )  # fmt: skip
    set_budgets(t)


@lean_kernel
def _begin_tick(t: Tables, d: HostTables, s: Scratch) -> bool:
    """What breaks, and what crosses the network; False where nothing did."""
    state = t.cluster
    if state[at.TIME] >= state[at.NEXT_EVENT]:
        meet_events(t, d)
    moving, away = state[at.MOVES] > 0.0, state[at.AWAY] > 0.0
    if not (moving or away or state[at.QUEUED] > 0.0):
        if state[at.POOLED] > 0.0:
            set_budgets(t)
        return state[at.POOLED] > 0.0
    set_capacities(t)
    num_moves = find_moves(t, s) if moving else 0
    share_network(t, s, num_moves)
    for k in range(num_moves):
        h, v = s.route[MOVER, k], s.route[MOVER_SLOT, k]
        sent = advance(t, h, v, at_hand(t, s, k), s.dirty)
        book_move(t, s, k, sent)
        land(t, d, h, v)
    if away or state[at.AWAY] > 0.0:  # a switch-over may have left pages behind
        prepare_far(t, d.host, s)
    set_budgets(t)
    return True
