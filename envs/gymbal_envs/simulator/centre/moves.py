"""Live migrations inside a data centre: they meet on the hosts' ports and slow the VMs down.

The migration kernel says how pages are copied. Ports are shared max-min between all moves that
begin or end there; the network between them is wide enough for all ports at once (a full fat tree,
an assumption). While post-copy pushes pages after the VM, the VM is slowed down like one whose
pages are copied: its faults over the network are not simulated one by one.
"""

from __future__ import annotations

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.presence import end_move, reserve, switch_over
from gymbal_envs.simulator.centre.tables import (
    ASKED,
    CAPACITY,
    CARRIED,
    GIVEN,
    IN,
    OUT,
    REST,
    THIRD,
    Scratch,
    Tables,
)
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster.migration import (
    advance_move,
    start_move,
    tell_stop,
    wanted_rate,
)
from gymbal_envs.simulator.cluster.network import NO_LINK, share_links
from gymbal_envs.simulator.compile import lean_kernel


@lean_kernel
def begin_move(t: Tables, v: int, target: int) -> None:
    """Start to copy a VM that runs, and hold its memory at the target."""
    reserve(t, v, target)
    start_move(t.plan, t.dirty[v], t.world_vm[at.VM_MEMORY, v], t.move[v])
    t.outcome[at.BEGUN, v] += 1.0


@lean_kernel
def find_moves(t: Tables, s: Scratch) -> int:
    """Number of VMs that move, listed in ``s.mover``; nobody is held back until they are."""
    count = 0
    for v in range(t.vm.shape[1]):
        t.vm[at.RAN, v] = 1.0
        if t.vm[at.TARGET, v] >= 0.0:
            s.mover[count] = v
            count += 1
    for h in range(t.host.shape[1]):
        t.host[at.COPY_MIPS, h] = 0.0
    t.world[at.MOVES] = float(count)
    return count


@lean_kernel
def share_ports(t: Tables, s: Scratch, count: int) -> None:
    """Divide the ports between ``count`` moves: GIVEN. Ports without any are left out."""
    num_hosts, ports = t.host.shape[1], 0
    for k in range(count):
        v = s.mover[k]
        s.rate[ASKED, k] = wanted_rate(t.plan, t.move[v])
        for end in (OUT, IN):
            h = int(t.vm[at.SOURCE if end == OUT else at.TARGET, v])
            which = h + end * num_hosts
            if s.port_of[which] == NO_LINK:
                s.port_of[which] = ports
                s.port[CAPACITY, ports] = t.world_host[at.NIC, h]
                ports += 1
            s.route[end, k] = s.port_of[which]
    share_links(
        s.rate[ASKED, :count], s.route[OUT, :count], s.route[IN, :count], s.route[THIRD, :count],
        s.port[CAPACITY, :ports], s.rate[GIVEN, :count], s.port[CARRIED, :ports],
        s.port[REST, :ports],
    )  # fmt: skip
    for k in range(count):
        v = s.mover[k]
        s.port_of[int(t.vm[at.SOURCE, v])] = NO_LINK
        s.port_of[int(t.vm[at.TARGET, v]) + num_hosts] = NO_LINK


@lean_kernel
def advance(t: Tables, s: Scratch, k: int, dt: float) -> None:
    """One tick of move ``k``: what it sends, and what it costs the VM and both hosts."""
    v = s.mover[k]
    state, out, into = t.move[v], s.route[OUT, k], s.route[IN, k]
    # A last copy may begin within the tick, and send what nobody else uses.
    spare = min(
        s.port[CAPACITY, out] - s.port[CARRIED, out], s.port[CAPACITY, into] - s.port[CARRIED, into]
    )
    hand = s.rate[GIVEN, k] + max(spare, 0.0)
    sent = advance_move(t.plan, t.dirty[v], _activity(t, v), hand, dt, state)
    unused = sent / dt - s.rate[GIVEN, k]
    s.port[CARRIED, out] += unused
    s.port[CARRIED, into] += unused
    if state[mig.SENT] > t.constants[at.C_MOST_SENT] * state[mig.MEMORY]:
        tell_stop(state)
    _charge(t, v, sent, dt)


@lean_kernel
def land(t: Tables, v: int) -> bool:
    """What the tick led to: a switch-over, the end; whether the VM runs elsewhere now."""
    phase = t.move[v, mig.PHASE]
    if phase == mig.CANCELLED:
        t.outcome[at.FAILED, v] += 1.0
        end_move(t, v)
        return False
    if phase < mig.PUSHING:
        return False
    moved = t.vm[at.HOST, v] == t.vm[at.SOURCE, v]
    if moved:
        switch_over(t, v)
    if phase == mig.DONE:
        t.outcome[at.ENDED, v] += 1.0
        end_move(t, v)
    return moved


@lean_kernel
def _activity(t: Tables, v: int) -> float:
    """Speed at which a VM writes: what it wants now, served as in the last tick, 0..1."""
    limit = t.vm[at.LIMIT, v]
    served = t.vm[at.GRANTED, v] / limit if limit > 0.0 else 1.0
    return min(t.vm[at.WANTED, v] / t.world_vm[at.SPEED, v] * served, 1.0)


@lean_kernel
def _charge(t: Tables, v: int, sent: float, dt: float) -> None:
    """Pause, throttling and slowdown of the VM; MIPS and bytes of both hosts."""
    source, target = int(t.vm[at.SOURCE, v]), int(t.vm[at.TARGET, v])
    state, rate = t.move[v], sent / dt
    nic = t.world_host[at.NIC]
    paused = min(state[mig.PAUSED_S] / dt, 1.0)
    slow = t.constants[at.C_SLOWDOWN] * min(rate / nic[source], 1.0)
    t.vm[at.RAN, v] = (1.0 - paused) * (1.0 - state[mig.THROTTLE]) * (1.0 - slow)
    t.outcome[at.DOWN_S, v] += state[mig.PAUSED_S]
    t.outcome[at.MOVE_BYTES, v] += sent
    for h in (source, target):
        cores = t.constants[at.C_DAEMON] * min(rate / nic[h], 1.0)
        t.host[at.COPY_MIPS, h] += cores * t.world_host[at.CORE, h]
    t.host_outcome[at.SENT, source] += sent
    t.host_outcome[at.RECEIVED, target] += sent
