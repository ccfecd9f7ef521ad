"""Hosts that are on, fall asleep, sleep and wake, and what they draw meanwhile.

A state ends where it ends inside of a tick. Only an empty host falls asleep. What a host that is on
draws follows from its utilisation by its SPECpower curve, which was measured with the processor's
frequency scaling at work: DVFS is in the curve, and needs no model of its own.
"""

from __future__ import annotations

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.presence import is_empty
from gymbal_envs.simulator.centre.tables import Tables
from gymbal_envs.simulator.compile import lean_kernel
from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.telemetry import ASLEEP, ON, SUSPENDING, WAKING

ROUNDING = 1e-9
"""Seconds, and parts of a host's MIPS: less is nothing."""


@lean_kernel
def tell_host(t: Tables, h: int, verb: int) -> None:
    """Note what a host is told; nothing is noted where it is so already or comes to it."""
    state = t.host[at.STATE, h]
    if t.world_host[at.EXISTS, h] == 0.0 or (verb == SLEEP and state == WAKING):
        t.host_outcome[at.HOST_REFUSED, h] += 1.0
    elif verb == SLEEP:
        t.host[at.TOLD, h] = SLEEP if state == ON else LEAVE
    else:
        t.host[at.TOLD, h] = WAKE if state in (SUSPENDING, ASLEEP) else LEAVE


@lean_kernel
def pass_time(t: Tables, h: int, dt: float) -> None:
    """Let ``dt`` seconds pass for a host of which VMs and moves use USED."""
    host, fixed, out = t.host, t.world_host, t.host_outcome
    left_s, joules = dt, 0.0
    while left_s > ROUNDING:
        state = int(host[at.STATE, h])
        if _changes(t, h, state):
            continue
        used_s = left_s
        if state == ON:
            utilisation = min(host[at.USED, h] / fixed[at.CPU, h], 1.0)
            watts = power_w(t.curve[h], utilisation)
            if host[at.RESIDENTS, h] > 0.0:
                out[at.ACTIVE_S, h] += used_s
                if utilisation >= 1.0 - ROUNDING:
                    out[at.FULL_S, h] += used_s
        elif state == ASLEEP:
            watts = fixed[at.SLEEP_W, h]
        else:
            used_s = min(host[at.LEFT_S, h], left_s)
            host[at.LEFT_S, h] -= used_s
            watts = t.curve[h, 0] if state == SUSPENDING else fixed[at.WAKE_W, h]
        out[at.ENERGY + state, h] += watts * used_s
        out[at.STATE_TIME + state, h] += used_s
        joules += watts * used_s
        host[at.STATE_S, h] += used_s
        left_s -= used_s
    state = int(host[at.STATE, h])
    if state in (SUSPENDING, WAKING):
        _changes(t, h, state)  # who looks now sees what is true from now on
    host[at.WATTS, h] = joules / dt


@lean_kernel
def _changes(t: Tables, h: int, state: int) -> bool:
    """Enter the next state where the present one has come to its end; whether it had."""
    host = t.host
    if state == ON:
        if host[at.TOLD, h] != SLEEP or not is_empty(t, h):
            return False
        t.host_outcome[at.SLEEPS, h] += 1.0
        _enter(t, h, SUSPENDING, t.world_host[at.SUSPEND_S, h])
        host[at.TOLD, h] = LEAVE
        return True
    if state == ASLEEP:
        if host[at.TOLD, h] != WAKE:
            return False
        t.host_outcome[at.WAKES, h] += 1.0
        _enter(t, h, WAKING, t.world_host[at.WAKE_S, h])
        host[at.TOLD, h] = LEAVE
        return True
    if host[at.LEFT_S, h] > ROUNDING:
        return False
    _enter(t, h, ASLEEP if state == SUSPENDING else ON, 0.0)
    return True


@lean_kernel
def _enter(t: Tables, h: int, state: int, left_s: float) -> None:
    t.host[at.STATE, h] = state
    t.host[at.STATE_S, h] = 0.0
    t.host[at.LEFT_S, h] = left_s
