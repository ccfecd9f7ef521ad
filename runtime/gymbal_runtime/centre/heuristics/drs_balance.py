"""DRS: the vMotion that evens out entitlements most, as long as it pays."""

from __future__ import annotations

import math
from typing import NamedTuple

from gymbal_runtime.centre.heuristics.desk import Desk, holds, shift
from gymbal_runtime.centre.heuristics.deviation import (
    ROUNDING,
    Loads,
    deviation,
    deviation_with,
    enter_move,
)
from gymbal_runtime.machine_code import Floats, Ints, lean_kernel

MOST_HOSTS = 32
"""Hosts at either end of the ranking by load between which a move is looked for: all hosts of the
largest DRS cluster of its day, and enough for ours."""
COPY_SLOWDOWN = 0.10
"""Part of its progress that a VM loses while it is copied (models.md 6.2)."""
COPY_CORES = 0.3
"""Cores that copying takes at each end (VMotion reserves so much at 1 Gb/s, models.md 6.2)."""


class Balance(NamedTuple):
    """What a move is judged by."""

    level: int  # recommendations of priority 1..level are carried out
    least_gain: float  # part of the deviation that a move has to take away
    cost_weight: float  # of what a move costs, against what it brings
    stable_s: float  # for which VMs are taken to want what they want now
    horizon_s: float  # until which they are taken to want their most, after that
    most_moves: int


class Prospect(NamedTuple):
    """What VMs may come to want, and what hosts would have to give."""

    worst: Floats  # (V,) MIPS
    worst_of_host: Floats  # (H,) of its VMs
    nic: Floats  # (H,) bytes/s
    memory: Floats  # (V,) bytes


@lean_kernel
def priority(imbalance: float, num_hosts: int) -> int:
    """1 (most urgent) to 5 of a move that is found at this standard deviation of loads; 6: none.

    6 - ceil(imbalance / 0.1 * sqrt(hosts)), from left to right (VMware knowledge base 1007485, as
    quoted by C. Bunch, "The math behind the DRS stars", 2010).
    """
    return max(6 - math.ceil(imbalance / 0.1 * math.sqrt(num_hosts)), 1)


@lean_kernel
def even_out(
    d: Desk, x: Loads, p: Prospect, rules: Balance, count: int, order: Ints, ends: Ints
) -> int:
    """Make the best move again and again until loads are even enough or none pays.

    Args:
        d: the centre.
        x: its entitlements.
        p: its prospects.
        rules: of judgement.
        count: hosts that are on.
        order: (>= count,) these.
        ends: (2, MOST_HOSTS) room.

    Returns:
        Number of moves.
    """
    for move in range(rules.most_moves):
        imbalance = deviation(x, count)
        if imbalance <= 0.0 or priority(imbalance, count) > rules.level:
            return move
        num_ends = _find_ends(x, order, count, ends)
        most = (1.0 - rules.least_gain) * imbalance - ROUNDING
        best, target = -1, -1
        for i in range(num_ends):
            source = ends[0, i]
            for k in range(num_ends):
                host = ends[1, k]
                if x.load[0, host] >= x.load[0, source]:
                    break
                for m in range(d.books.num_vms[source]):
                    v = d.books.vms[source, m]
                    after = deviation_with(x, count, v, source, host)
                    # The costly questions come last.
                    if (
                        after < most
                        and _may_go(d, x, v, host)
                        and pays(d, p, rules, v, source, host)
                    ):
                        best, target, most = v, host, after
        if best < 0:
            return move
        source = d.place[best]
        enter_move(x, best, source, target)
        shift(d, best, target)
        p.worst_of_host[source] -= p.worst[best]
        p.worst_of_host[target] += p.worst[best]
    return rules.most_moves


@lean_kernel
def pays(d: Desk, p: Prospect, rules: Balance, vm: int, source: int, host: int) -> bool:
    """Whether a move brings more MIPS seconds than it costs.

    It brings what hosts can then give of what VMs want: now, and (the risk) when all want their
    most. It costs progress of the VM, and of hosts that have nothing left for copying.
    """
    now, most = d.guests.requested_mips[vm], p.worst[vm]
    requested, worst = d.books.requested_mips, p.worst_of_host
    here, there = d.hosts.capacity_mips[source], d.hosts.capacity_mips[host]
    served_now = _unmet(requested[source], here) - _unmet(requested[source] - now, here)
    served_now -= _unmet(requested[host] + now, there) - _unmet(requested[host], there)
    served_then = _unmet(worst[source], here) - _unmet(worst[source] - most, here)
    served_then -= _unmet(worst[host] + most, there) - _unmet(worst[host], there)
    risky_s = max(rules.horizon_s - rules.stable_s, 0.0)
    benefit = rules.stable_s * served_now + risky_s * served_then
    copy_s = p.memory[vm] / max(min(p.nic[source], p.nic[host]), 1.0)
    lost = COPY_SLOWDOWN * now
    for h, capacity in ((source, here), (host, there)):
        lost += _unmet(requested[h] + COPY_CORES * d.hosts.core_mips[h], capacity)
        lost -= _unmet(requested[h], capacity)
    return bool(benefit >= rules.cost_weight * copy_s * lost)


@lean_kernel
def _may_go(d: Desk, x: Loads, vm: int, host: int) -> bool:
    """Whether a VM may move, and the target has the memory and gives its VMs what they want."""
    entitled = x.load[0, host] + x.want[0, vm] / x.size[0, host]
    return d.plan.movable[vm] == 1 and entitled <= 1.0 and holds(d, vm, host)


@lean_kernel
def _unmet(wanted: float, capacity: float) -> float:
    return max(wanted - capacity, 0.0)


@lean_kernel
def _find_ends(x: Loads, order: Ints, count: int, ends: Ints) -> int:
    """List the most loaded hosts, most first, and the least loaded, least first; return how many.

    Equals keep their order.
    """
    num_ends = int(min(count, ends.shape[1]))
    for end, sign in ((0, -1.0), (1, 1.0)):
        listed = 0
        for i in range(count):
            key = sign * x.load[0, order[i]]
            if listed == num_ends and key >= sign * x.load[0, ends[end, listed - 1]]:
                continue
            at = min(listed, num_ends - 1)
            while at > 0 and sign * x.load[0, ends[end, at - 1]] > key:
                ends[end, at] = ends[end, at - 1]
                at -= 1
            ends[end, at] = order[i]
            listed = min(listed + 1, num_ends)
    return num_ends
