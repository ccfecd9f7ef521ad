"""What crosses the network in a tick: pages between hosts, and moves.

Pages that go from one host to another, for whatever reason, wait in one queue and are one flow;
every move is a flow of its own. All share the hosts' links and those between sites max-min.
"""

from __future__ import annotations

import numpy as np

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.migration import wanted_rate
from gymbal_envs.simulator.cluster.network import CUT_WAIT_S, NO_LINK, share_links
from gymbal_envs.simulator.cluster.tables import (
    GRANTED,
    MOVER,
    MOVER_SLOT,
    WANTED,
    Scratch,
    Tables,
)
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def wan_link(t: Tables, source: int, target: int) -> int:
    """The link between the sites of two hosts; `NO_LINK` within a site."""
    here, there = t.member[source, at.SITE], t.member[target, at.SITE]
    if here == there:
        return NO_LINK
    return 2 * t.member.shape[0] + (0 if here < there else 1)


@lean_kernel
def set_capacities(t: Tables) -> None:
    """Bytes/s of every link in this tick; less if a host is cut off during a part of it."""
    num_hosts = t.member.shape[0]
    now, tick = t.cluster[at.TIME], t.cluster[at.K_TICK]
    capacity = t.link[at.LINK_CAPACITY]
    for h in range(num_hosts):
        begins, ends = (
            max(t.member[h, at.CUT_FROM], now),
            min(t.member[h, at.CUT_UNTIL], now + tick),
        )
        connected = 1.0 - max(ends - begins, 0.0) / tick
        capacity[h] = capacity[num_hosts + h] = t.member[h, at.NIC] * connected
    capacity[2 * num_hosts] = capacity[2 * num_hosts + 1] = t.cluster[at.WAN_BYTES_S]


@lean_kernel
def find_moves(t: Tables, s: Scratch) -> int:
    """Number of moves, listed in ``s.route``; forks hold VMs back, everybody else runs freely."""
    tick = t.cluster[at.K_TICK]
    count, forking = 0, 0
    t.member[:, at.DAEMONS] = 0.0
    for h in range(t.member.shape[0]):
        for v in range(t.vm.shape[2]):
            if t.world_vm[h, host_at.PRESENT, v] == 0.0:
                continue
            t.vm[h, host_at.HELD_BACK, v] = 0.0
            if t.slot[h, v, move_at.PHASE] != move_at.IDLE:
                s.route[MOVER, count], s.route[MOVER_SLOT, count] = h, v
                count += 1
                if t.guest[h, at.STARTING, v] == 0.0:
                    t.member[h, at.DAEMONS] += 1.0
                    t.member[int(t.guest[h, at.MOVE_TARGET, v]), at.DAEMONS] += 1.0
            elif t.guest[h, at.FORK_S, v] > 0.0:
                held_s = min(t.guest[h, at.FORK_S, v], tick)
                t.guest[h, at.FORK_S, v] -= held_s
                t.vm[h, host_at.HELD_BACK, v] = held_s / tick
                t.guest[h, at.DOWN_S, v] += held_s
                t.guest[h, at.HELD_S, v] += held_s
                forking += 1
    t.cluster[at.MOVES] = float(count + forking)
    return count


@lean_kernel
def share_network(t: Tables, s: Scratch, num_moves: int) -> None:
    """Divide the links between moves (flows 0 to ``num_moves``) and pages; carry the pages."""
    num_hosts, count = t.member.shape[0], num_moves
    link, queue, tick = t.link, t.pages[at.QUEUE], t.cluster[at.K_TICK]
    for k in range(num_moves):
        h, v = s.route[MOVER, k], s.route[MOVER_SLOT, k]
        waits = t.guest[h, at.STARTING, v] > 0.0 and t.vm[h, host_at.OUTAGE_S, v] > 0.0
        s.rate[WANTED, k] = 0.0 if waits else wanted_rate(t.cluster, t.slot[h, v])
        other = int(t.guest[h, at.MOVE_TARGET, v])
        pushed = t.guest[h, at.SWITCHED_OVER, v] > 0.0
        _route(t, s, k, other if pushed else h, h if pushed else other)
    for i in range(num_hosts):
        for j in range(num_hosts):
            if queue[i, j] > 0.0:
                s.rate[WANTED, count] = queue[i, j] / tick
                _route(t, s, count, i, j)
                count += 1
    link[at.LINK_FLOWS] = 0.0
    for flow in range(count):
        for k in range(3):
            if s.route[k, flow] != NO_LINK:
                link[at.LINK_FLOWS, s.route[k, flow]] += 1.0
    share_links(
        s.rate[WANTED, :count], s.route[0, :count], s.route[1, :count],
        s.route[2, :count], link[at.LINK_CAPACITY], s.rate[GRANTED, :count],
        link[at.LINK_USED], link[at.LINK_SPARE],
    )  # fmt: skip
    _carry_pages(t, s, num_moves)


@lean_kernel
def _route(t: Tables, s: Scratch, flow: int, source: int, target: int) -> None:
    s.route[0, flow] = source
    s.route[1, flow] = t.member.shape[0] + target
    s.route[2, flow] = wan_link(t, source, target)


@lean_kernel
def _carry_pages(t: Tables, s: Scratch, flow: int) -> None:
    """Take from the queues what the network took; their flows begin with number ``flow``."""
    num_hosts, tick = t.member.shape[0], t.cluster[at.K_TICK]
    queue, left = t.pages[at.QUEUE], 0.0
    for i in range(num_hosts):
        for j in range(num_hosts):
            t.pages[at.CARRIED, i, j] = 0.0
            if queue[i, j] > 0.0:
                sent = min(s.rate[GRANTED, flow] * tick, queue[i, j])
                queue[i, j] -= sent
                left += queue[i, j]
                t.pages[at.CARRIED, i, j] = sent / tick
                t.member[i, at.SENT] += sent
                t.member[j, at.RECEIVED] += sent
                flow += 1
    t.cluster[at.QUEUED] = left


@lean_kernel
def at_hand(t: Tables, s: Scratch, flow: int) -> float:
    """Bytes/s that a move may use: its share, and what nobody else uses on its way.

    A last copy may begin within a tick and send faster than what the move asked for.
    """
    spare = np.inf
    for k in range(3):
        on = s.route[k, flow]
        if on != NO_LINK:
            spare = min(spare, t.link[at.LINK_CAPACITY, on] - t.link[at.LINK_USED, on])
    return s.rate[GRANTED, flow] + max(spare, 0.0)


@lean_kernel
def book_move(t: Tables, s: Scratch, flow: int, sent: float) -> None:
    """What a move really sent in this tick."""
    rate = sent / t.cluster[at.K_TICK]
    for k in range(3):
        on = s.route[k, flow]
        if on != NO_LINK:
            t.link[at.LINK_USED, on] += rate - s.rate[GRANTED, flow]
    t.member[s.route[0, flow], at.SENT] += sent
    t.member[s.route[1, flow] - t.member.shape[0], at.RECEIVED] += sent


@lean_kernel
def measure_pairs(t: Tables) -> None:
    """What pages from one host to another could have, and how long a request takes at least.

    REACH is what nobody else used of the links on the way in this tick, and the share that max-min
    grants in any case. Nothing reaches a host that is cut off.
    """
    num_hosts, link = t.member.shape[0], t.link
    for on in range(link.shape[1]):
        flows = link[at.LINK_FLOWS, on]
        link[at.LINK_FAIR, on] = link[at.LINK_CAPACITY, on] / max(flows, 1.0)
        link[at.LINK_FAIR_NEW, on] = link[at.LINK_CAPACITY, on] / (flows + 1.0)
        link[at.LINK_SPARE, on] = link[at.LINK_CAPACITY, on] - link[at.LINK_USED, on]
    for i in range(num_hosts):
        for j in range(num_hosts):
            own = t.pages[at.CARRIED, i, j]
            fair = at.LINK_FAIR if own > 0.0 else at.LINK_FAIR_NEW
            out = max(link[at.LINK_SPARE, i] + own, link[fair, i])
            into = max(link[at.LINK_SPARE, num_hosts + j] + own, link[fair, num_hosts + j])
            reach = min(out, into)
            seconds = t.cluster[at.FAR_LATENCY]
            wan = wan_link(t, i, j)
            if wan != NO_LINK:
                reach = min(reach, max(link[at.LINK_SPARE, wan] + own, link[fair, wan]))
                seconds += 2.0 * t.cluster[at.WAN_LATENCY]
            t.pages[at.REACH, i, j] = reach
            t.pages[at.LATENCY, i, j] = seconds if reach > 0.0 else CUT_WAIT_S
