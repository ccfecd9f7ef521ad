"""The hosts of clusters as `gymbal_envs.simulator.host_power` takes them: who sleeps lends nothing.

Nothing here runs in clusters whose hosts are always on.
"""

from __future__ import annotations

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.tables import Tables
from gymbal_envs.simulator.compile import lean_kernel
from gymbal_envs.simulator.host_power import STATE, TOLD, pass_power_time, tell_power
from gymbal_runtime.centre.orders import LEAVE, SLEEP
from gymbal_runtime.centre.telemetry import ON

CRUMB = 1.0
"""Bytes; less than that of memory in use by others is nothing."""


@lean_kernel
def obey_power(t: Tables) -> None:
    """Tell hosts to sleep or to wake; what cannot be is refused and counted."""
    for h in range(t.member.shape[0]):
        verb = int(t.member[h, at.POWER_TOLD])
        if verb == LEAVE:
            continue
        if t.member[h, at.EXISTS] == 0.0 or not tell_power(t.power[h], verb):
            t.member[h, at.POWER_REFUSED] += 1.0
        _note_state(t, h)


@lean_kernel
def stay_on(t: Tables, h: int) -> None:
    """A host that is to sleep and is then chosen as somebody's target stays awake."""
    if t.member[h, at.DRAINS] > 0.0:
        t.power[h, TOLD] = LEAVE
        _note_state(t, h)


@lean_kernel
def draw_power(t: Tables) -> None:
    """Let a tick pass for every host, and count what it takes."""
    tick = t.cluster[at.K_TICK]
    for h in range(t.member.shape[0]):
        if t.member[h, at.EXISTS] == 0.0:
            continue
        before = t.power[h, STATE]
        joules = pass_power_time(
            t.power[h], t.power_fixed[h], t.watts[h], t.power_outcome[h], _utilisation(t, h),
            _runs_vms(t, h), is_empty(t, h), tick,
        )  # fmt: skip
        t.member[h, at.WATTS] = joules / tick
        if before != t.power[h, STATE] or t.power[h, TOLD] == SLEEP:
            _note_state(t, h)


@lean_kernel
def is_empty(t: Tables, h: int) -> bool:
    """Whether nothing of a host is in use: no VM, nobody coming or leaving, nobody's far pages."""
    if t.member[h, at.LENT] >= CRUMB or t.member[h, at.LEFT_HERE] >= CRUMB:
        return False
    for v in range(t.vm.shape[2]):
        if t.world_vm[h, host_at.PRESENT, v] > 0.0 or t.guest[h, at.ARRIVING, v] > 0.0:
            return False
    return True


@lean_kernel
def _note_state(t: Tables, h: int) -> None:
    """What the rest of the physics asks for: whether a host runs VMs, and whether it drains."""
    t.member[h, at.RUNS] = 1.0 if t.power[h, STATE] == ON else 0.0
    t.member[h, at.DRAINS] = 1.0 if t.power[h, TOLD] == SLEEP else 0.0


@lean_kernel
def _runs_vms(t: Tables, h: int) -> bool:
    count = 0.0
    for v in range(t.vm.shape[2]):
        count += t.world_vm[h, host_at.PRESENT, v]
    return count > 0.0


@lean_kernel
def _utilisation(t: Tables, h: int) -> float:
    """Part of a host's cores that VMs and moves used in the last tick; who stalls uses none."""
    vm, used = t.vm[h], t.cluster[at.K_DAEMON] * t.member[h, at.DAEMONS]
    for v in range(t.vm.shape[2]):
        if t.world_vm[h, host_at.PRESENT, v] > 0.0:
            ran = 1.0 - vm[host_at.HELD_BACK, v]
            used += vm[host_at.GRANTED_CORES, v] * vm[host_at.SPEED, v] * ran
    return min(used / t.member[h, at.CORES], 1.0)
