"""A cluster manager's books: how much of each host's memory is spoken for, and what is left.

Of a host's memory there are the guests' (ACTUAL), what other hosts' far pages occupy (LENT), what
is reserved for arrivals (RESERVED), what VMs left here that are still being pushed elsewhere
(LEFT_HERE) and a pool set aside to be lent (POOL). Their sum never exceeds what there is: every
function that takes memory asks here first.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.cluster.layout import (
    CLONE_FIXED,
    CLONE_SIZE,
    CORES,
    DAEMONS,
    DEVICE_WRITE,
    DRAINS,
    EXISTS,
    FAR,
    FAR_AT,
    IDLE_BYTE_S,
    K_DAEMON,
    K_HIGH,
    K_TICK,
    LEFT_HERE,
    LENDABLE,
    LENT,
    LENT_BYTE_S,
    PHYSICAL,
    POOL,
    POOL_TOLD,
    RESERVED,
    ROOM,
    RUNS,
    SERVES,
    SIZE,
    WAITING,
    WRITING,
)
from gymbal_envs.simulator.cluster.tables import Tables
from gymbal_envs.simulator.compile import lean_kernel
from gymbal_envs.simulator.layout import (
    ACTUAL,
    CAPACITY,
    CPU_CAPACITY,
    KERNEL,
    MEMORY_MIN,
    PRESENT,
    TIER_WRITE,
    UNSWAPPABLE,
)

LEAST_PART = 0.1
"""Of its cores and of its swap device's bandwidth, daemons and pages on their way home leave a host
at least this."""


@lean_kernel
def size_of(t: Tables, h: int, v: int) -> float:
    """What a host must reserve for the VM: what it holds, and its floor at least."""
    return max(t.vm[h, ACTUAL, v], t.world_vm[h, MEMORY_MIN, v])


@lean_kernel
def clone_size_of(t: Tables, h: int, v: int) -> float:
    """The same for its clone: half of what it holds beside its kernel, and a kernel.

    And what cannot be paged out of the fixed memory that both have.
    """
    kernel_bytes = t.world_vm[h, KERNEL, v]
    half = 0.5 * (t.vm[h, ACTUAL, v] - kernel_bytes)
    stuck = 0.5 * t.world_vm[h, UNSWAPPABLE, v] * t.cluster[CLONE_FIXED]
    return max(kernel_bytes + half + stuck, t.world_vm[h, MEMORY_MIN, v])


@lean_kernel
def held_bytes(t: Tables, h: int) -> float:
    """What the guests of a host hold, or may hold by right: their floor."""
    held = 0.0
    for v in range(t.vm.shape[2]):
        if t.world_vm[h, PRESENT, v] > 0.0:
            held += max(t.vm[h, ACTUAL, v], t.world_vm[h, MEMORY_MIN, v])
    return held


@lean_kernel
def budget_bytes(t: Tables, h: int) -> float:
    """What is left to the guests of a host: nobody else's, and not set aside by order."""
    member = t.member[h]
    lent = member[LENT]
    if member[POOL_TOLD] > lent:  # False for NaN
        lent = member[POOL_TOLD]
    return member[PHYSICAL] - member[RESERVED] - member[LEFT_HERE] - lent


@lean_kernel
def room_bytes(t: Tables, h: int) -> float:
    """What an arriving VM may have reserved on a host."""
    if t.member[h, RUNS] == 0.0:
        return 0.0
    return max(budget_bytes(t, h) - held_bytes(t, h), 0.0)


@lean_kernel
def lendable_bytes(t: Tables, h: int) -> float:
    """What a host would lend: what is free above a watermark, or the rest of its fixed pool."""
    member = t.member[h]
    if member[RUNS] == 0.0 or member[SERVES] == 0.0 or member[DRAINS] > 0.0:
        return 0.0
    beside = member[RESERVED] + member[LEFT_HERE] + member[LENT]
    free = member[PHYSICAL] - beside - held_bytes(t, h)
    if math.isnan(member[POOL_TOLD]):
        return max(free - t.cluster[K_HIGH] * member[PHYSICAL], 0.0)
    return max(min(member[POOL_TOLD] - member[LENT], free), 0.0)


@lean_kernel
def count_lent(t: Tables) -> None:
    """What every host has lent, from what every VM has borrowed."""
    num_hosts = t.member.shape[0]
    for j in range(num_hosts):
        t.member[j, LENT] = 0.0
    for h in range(num_hosts):
        for v in range(t.vm.shape[2]):
            if t.guest[h, FAR, v] == 0.0:
                continue
            total = 0.0
            for j in range(num_hosts):
                total += t.slot[h, v, FAR_AT + j]
                t.member[j, LENT] += t.slot[h, v, FAR_AT + j]
            t.guest[h, FAR, v] = total


@lean_kernel
def set_budgets(t: Tables) -> None:
    """Tell every host what is left to its guests: memory, cores, the swap device's bandwidth."""
    for h in range(t.member.shape[0]):
        member = t.member[h]
        if member[EXISTS] == 0.0:
            continue
        budget = budget_bytes(t, h)
        t.world_host[h, CAPACITY] = budget
        taken = t.cluster[K_DAEMON] * member[DAEMONS]
        t.world_host[h, CPU_CAPACITY] = max(member[CORES] - taken, LEAST_PART * member[CORES])
        write = member[DEVICE_WRITE]
        t.world_host[h, TIER_WRITE] = max(write - member[WRITING], LEAST_PART * write)
        member[POOL] = 0.0
        if member[POOL_TOLD] > member[LENT]:
            unused = member[POOL_TOLD] - member[LENT]
            member[POOL] = max(min(unused, budget + unused - held_bytes(t, h)), 0.0)


@lean_kernel
def keep_books(t: Tables) -> None:
    """Write down what a manager knows exactly: room, what can be lent, how big VMs are."""
    for h in range(t.member.shape[0]):
        t.member[h, ROOM] = room_bytes(t, h)
        t.member[h, LENDABLE] = lendable_bytes(t, h)
        for v in range(t.vm.shape[2]):
            here = t.world_vm[h, PRESENT, v] > 0.0
            asked = here or t.guest[h, WAITING, v] > 0.0
            t.guest[h, SIZE, v] = size_of(t, h, v) if asked else 0.0
            t.guest[h, CLONE_SIZE, v] = clone_size_of(t, h, v) if here else 0.0


@lean_kernel
def count_memory(t: Tables) -> None:
    """Byte seconds of a tick: of memory set aside for nothing, and of memory lent."""
    for h in range(t.member.shape[0]):
        member = t.member[h]
        member[IDLE_BYTE_S] += (member[RESERVED] + member[POOL]) * t.cluster[K_TICK]
        member[LENT_BYTE_S] += member[LENT] * t.cluster[K_TICK]
