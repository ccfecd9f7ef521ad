"""Far memory: pages of a VM that lie in what other hosts have free.

What a borrowing VM evicts goes to the host with most to lend, a slab at a time, and the rest to the
swap device as ever; what it swaps in comes from both in the proportion in which its pages lie
there. A far fault waits for the network: the latency of the tier, and a queue in front of the link
that is the M/M/1 queue of the local tiers (`gymbal_envs.simulator.tiers`) with the link as server:

    Q = S u / (1 - u),   u = S sum_v f_v(Q)

with S the time of one request on the link and f_v the far faults per second of a VM that waits Q.
Since VMs wait for their faults the load never exceeds what the link has left.
"""

from __future__ import annotations

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.books import count_lent, lendable_bytes
from gymbal_envs.simulator.cluster.moves import fetch_behind
from gymbal_envs.simulator.cluster.pull_back import CRUMB, call_home, take_back
from gymbal_envs.simulator.cluster.tables import Scratch, Tables
from gymbal_envs.simulator.cluster.traffic import measure_pairs
from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.memory import swapped_bytes

NEWTON_ROUNDS = 4
SETTLED = 1e-9


@lean_kernel
def prepare_far(t: Tables, host: Floats, s: Scratch) -> None:
    """Before a tick: how long far faults wait, and how much of what is evicted may go far.

    ``host`` (H, NUM_HOST) is of the hosts' engine.
    """
    measure_pairs(t)
    _find_lenders(t)
    away = 0
    for h in range(t.member.shape[0]):
        here = 0
        s.serving[:] = 0.0  # 1 where pages of the host's VMs are
        for v in range(t.vm.shape[2]):
            t.vm[h, host_at.FAR_SHARE, v] = 0.0
            t.vm[h, host_at.FAR_STALL, v] = 0.0
            t.vm[h, host_at.FAR_EVICT, v] = 0.0
            if t.world_vm[h, host_at.PRESENT, v] > 0.0 and _concerned(t, h, v):
                _see(t, h, v, s.serving)
                here += 1
        if here > 0:
            _settle_wait(t, h, host[h, host_at.WAIT], s.serving, s.faults)
        away += here
        t.member[h, at.WRITING] = 0.0
    t.cluster[at.AWAY] = float(away)


@lean_kernel
def _concerned(t: Tables, h: int, v: int) -> bool:
    """Whether a VM has anything to do with other hosts' memory."""
    guest = t.guest[h]
    return guest[at.FAR, v] + guest[at.BEHIND, v] > 0.0 or guest[at.BORROWING, v] > 0.0


@lean_kernel
def _see(t: Tables, h: int, v: int, serving: Floats) -> None:
    """Where a VM's swapped pages are, and what reaching them takes on an idle network."""
    guest, vm = t.guest[h], t.vm[h]
    swapped = swapped_bytes(vm, v)
    guest[at.SEEN_SWAPPED, v] = swapped
    guest[at.SEEN_READ, v] = t.outcome[h, host_at.READ, v]
    away = guest[at.FAR, v] + guest[at.BEHIND, v]
    vm[host_at.FAR_SHARE, v] = min(away / swapped, 1.0) if swapped > 0.0 else 0.0
    waited = 0.0
    if guest[at.FAR, v] > 0.0:
        for j in range(t.member.shape[0]):
            if t.slot[h, v, at.FAR_AT + j] > 0.0:
                waited += t.slot[h, v, at.FAR_AT + j] * t.pages[at.LATENCY, j, h]
                serving[j] = 1.0
    if guest[at.BEHIND, v] > 0.0:
        j = int(guest[at.BEHIND_HOST, v])
        waited += guest[at.BEHIND, v] * t.pages[at.LATENCY, j, h]
        serving[j] = 1.0
    guest[at.FAR_BASE, v] = waited / away if away > 0.0 else 0.0
    if guest[at.BORROWING, v] > 0.0:
        vm[host_at.FAR_EVICT, v] = _part_that_goes(t, h, v)


@lean_kernel
def _part_that_goes(t: Tables, h: int, v: int) -> float:
    """Part of what the VM evicts that its donor and the network can take."""
    donor = _donor_of(t, h, v)
    if donor < 0:
        return 0.0
    return min(_sendable(t, h, donor) / max(t.guest[h, at.EVICTED, v], CRUMB), 1.0)


@lean_kernel
def _sendable(t: Tables, h: int, donor: int) -> float:
    """Bytes that may go to a donor in this tick: what the network can take beside what waits."""
    reach = t.pages[at.REACH, h, donor] * t.cluster[at.K_TICK]
    return max(reach - t.pages[at.QUEUE, h, donor], 0.0)


@lean_kernel
def _find_lenders(t: Tables) -> None:
    """The two hosts with most to lend of those that can be reached; NOBODY where none lends."""
    first, second = -1, -1
    for j in range(t.member.shape[0]):
        lendable = t.member[j, at.LENDABLE]
        if lendable <= 0.0 or t.link[at.LINK_CAPACITY, j] <= 0.0:
            continue
        if first < 0 or lendable > t.member[first, at.LENDABLE]:
            first, second = j, first
        elif second < 0 or lendable > t.member[second, at.LENDABLE]:
            second = j
    t.cluster[at.LENDER], t.cluster[at.SECOND_LENDER] = first, second


@lean_kernel
def _donor_of(t: Tables, h: int, v: int) -> int:
    """Host of the VM's present slab, or of a new one: who has most to lend. -1: nobody has."""
    guest = t.guest[h]
    donor = int(guest[at.DONOR, v])
    if donor >= 0 and guest[at.SLAB_LEFT, v] > 0.0 and t.member[donor, at.LENDABLE] > 0.0:
        return donor
    donor = int(t.cluster[at.LENDER])
    if donor == h:
        donor = int(t.cluster[at.SECOND_LENDER])
    guest[at.DONOR, v], guest[at.SLAB_LEFT, v] = donor, t.cluster[at.K_SLAB]
    return donor


@lean_kernel
def _settle_wait(t: Tables, h: int, local_wait: float, serving: Floats, faults: Floats) -> None:
    """Solve the queue of a host's far faults from its VMs' miss rates of the last tick.

    ``faults`` (3, V) is scratch: of each VM that misses, its far faults per second are the first
    row over the second plus the third times the queue.
    """
    vm, guest, member = t.vm[h], t.guest[h], t.member[h]
    useful, tier_useful = t.cluster[at.FAR_USEFUL], t.world_host[h, host_at.TIER_USEFUL]
    count, queue = 0, 0.0
    for v in range(vm.shape[1]):
        share, misses = vm[host_at.FAR_SHARE, v], vm[host_at.MISS_RATE, v]
        if share > 0.0 and misses > 0.0:
            stall = misses / t.world_vm[h, host_at.OVERLAP, v]
            local_s = (1.0 - share) * local_wait / tier_useful
            faults[0, count] = misses * share / useful * (1.0 - vm[host_at.HELD_BACK, v])
            faults[1, count] = 1.0 + stall * (local_s + share * guest[at.FAR_BASE, v] / useful)
            faults[2, count] = stall * share / useful
            count += 1
    if count > 0:
        service = t.cluster[at.FAR_REQUEST] / max(_read_rate(t, h, serving), 1.0)
        queue = _solve_queue(faults[:, :count], service, member[at.FAR_QUEUE])
    member[at.FAR_QUEUE] = queue
    total, waited, k = 0.0, 0.0, 0
    for v in range(vm.shape[1]):
        share = vm[host_at.FAR_SHARE, v]
        if share > 0.0:
            seconds = guest[at.FAR_BASE, v] + queue
            vm[host_at.FAR_STALL, v] = share * seconds * tier_useful / useful
            if vm[host_at.MISS_RATE, v] > 0.0:
                rate = faults[0, k] / (faults[1, k] + faults[2, k] * queue)
                total += rate
                waited += rate * seconds
                k += 1
    if total > 0.0:
        member[at.FAR_WAIT] = waited / total


@lean_kernel
def _read_rate(t: Tables, h: int, serving: Floats) -> float:
    """Bytes/s at which a host could read far pages from those that have some of its VMs'."""
    total = 0.0
    for j in range(serving.shape[0]):
        if serving[j] > 0.0:
            total += t.pages[at.REACH, j, h]
    return min(total, t.link[at.LINK_CAPACITY, serving.shape[0] + h])


@lean_kernel
def _solve_queue(faults: Floats, service: float, queue: float) -> float:
    """Newton's method as in `settle_swap_device`; starts from the last tick's queue."""
    for _ in range(NEWTON_ROUNDS):
        value = -queue / (queue + service)
        slope = -service / ((queue + service) * (queue + service))
        for v in range(faults.shape[1]):
            slowed = faults[1, v] + faults[2, v] * queue
            rate = faults[0, v] / slowed
            value += service * rate
            slope -= service * rate * faults[2, v] / slowed
        before = queue
        queue = max(queue - value / slope, 0.0)
        if abs(queue - before) <= SETTLED * queue:
            break
    return queue


@lean_kernel
def settle_far(t: Tables) -> None:
    """After a tick: which of the pages that moved came from far, and which went there."""
    for j in range(t.member.shape[0]):
        t.member[j, at.LENDABLE] = lendable_bytes(t, j)
    for h in range(t.member.shape[0]):
        for v in range(t.vm.shape[2]):
            if t.world_vm[h, host_at.PRESENT, v] > 0.0 and _concerned(t, h, v):
                _settle_vm(t, h, v)
    call_home(t)
    count_lent(t)
    for j in range(t.member.shape[0]):
        t.member[j, at.LENDABLE] = lendable_bytes(t, j)


@lean_kernel
def _settle_vm(t: Tables, h: int, v: int) -> None:
    guest, vm = t.guest[h], t.vm[h]
    seen, now = guest[at.SEEN_SWAPPED, v], swapped_bytes(vm, v)
    read = max(t.outcome[h, host_at.READ, v] - guest[at.SEEN_READ, v], 0.0)
    growth = now - seen + read
    _fetch(t, h, v, read * vm[host_at.FAR_SHARE, v])
    if growth < 0.0 and seen > 0.0:  # freed by the guest, wherever it was
        _shrink(t, h, v, max(1.0 + growth / seen, 0.0))
    guest[at.EVICTED, v] = max(growth, 0.0)
    if growth > 0.0 and vm[host_at.FAR_EVICT, v] > 0.0:
        _place(t, h, v, growth * vm[host_at.FAR_EVICT, v])
    away = guest[at.FAR, v] + guest[at.BEHIND, v]
    if away > now:  # rounding, or pages that the guest gave up in another way
        _shrink(t, h, v, now / away)


@lean_kernel
def _fetch(t: Tables, h: int, v: int, wanted: float) -> None:
    """Pages that came from far: they are nobody's there any more, and crossed the network."""
    guest = t.guest[h]
    away = guest[at.FAR, v] + guest[at.BEHIND, v]
    if wanted <= 0.0 or away <= 0.0:
        return
    per_byte = t.cluster[at.FAR_REQUEST] / t.cluster[at.FAR_USEFUL]
    per_byte /= t.cluster[at.K_PAGE]
    part = min(wanted / away, 1.0)
    cause = at.CLONE_BYTES if guest[at.IS_CLONE, v] > 0.0 else at.FAR_BYTES
    if guest[at.BEHIND, v] > 0.0:
        source = int(guest[at.BEHIND_HOST, v])
        came = fetch_behind(t, h, v, part * guest[at.BEHIND, v])
        t.pages[at.QUEUE, source, h] += came * per_byte
        t.guest[h, cause, v] += came * per_byte
    if guest[at.FAR, v] > 0.0:
        for j in range(t.member.shape[0]):
            if t.slot[h, v, at.FAR_AT + j] > 0.0:
                came = part * t.slot[h, v, at.FAR_AT + j]
                take_back(t, h, v, j, came)
                t.pages[at.QUEUE, j, h] += came * per_byte
                t.guest[h, at.FAR_BYTES, v] += came * per_byte


@lean_kernel
def _shrink(t: Tables, h: int, v: int, kept: float) -> None:
    """A VM gives up a part of what it has elsewhere."""
    guest = t.guest[h]
    fetch_behind(t, h, v, (1.0 - kept) * guest[at.BEHIND, v])
    if guest[at.FAR, v] > 0.0:
        for j in range(t.member.shape[0]):
            if t.slot[h, v, at.FAR_AT + j] > 0.0:
                take_back(t, h, v, j, (1.0 - kept) * t.slot[h, v, at.FAR_AT + j])


@lean_kernel
def _place(t: Tables, h: int, v: int, size: float) -> None:
    """Evicted pages go to the VM's donor; what it or the network cannot take is swapped here."""
    donor = int(t.guest[h, at.DONOR, v])
    if donor < 0:
        return
    given = min(min(size, t.member[donor, at.LENDABLE]), _sendable(t, h, donor))
    if given <= 0.0:
        return
    t.member[donor, at.LENDABLE] -= given
    t.slot[h, v, at.FAR_AT + donor] += given
    t.guest[h, at.FAR, v] += given
    t.guest[h, at.SLAB_LEFT, v] -= given
    t.pages[at.QUEUE, h, donor] += given
    t.guest[h, at.FAR_BYTES, v] += given
