"""Hosts that are on, fall asleep, sleep and wake, and what they draw meanwhile.

A state ends where it ends inside of a tick. Only an empty host falls asleep. What a host that is on
draws follows from its utilisation by its SPECpower curve, which was measured with the processor's
frequency scaling at work: DVFS is in the curve, and needs no model of its own.

Engines of clusters and of data centres keep these rows among their own; kernels take those of one
host.
"""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.telemetry import ASLEEP, ON, SUSPENDING, WAKING

# The state of a host (NUM_POWER_STATE,)
STATE = 0  # gymbal_runtime.centre.telemetry: ON ... WAKING
STATE_S = 1  # s since it is in this state
LEFT_S = 2  # s of SUSPENDING or WAKING that are left
TOLD = 3  # gymbal_runtime.centre.orders: SLEEP or WAKE that waits, else LEAVE
NUM_POWER_STATE = 4

# What does not change during an episode (NUM_POWER_FIXED,)
SLEEP_W = 0
SUSPEND_S = 1
WAKE_S = 2
WAKE_W = 3
NUM_POWER_FIXED = 4

# What an interval brought (NUM_POWER_OUTCOME,)
ENERGY = 0  # J in each state: NUM_STATES rows, ON ... WAKING
NUM_STATES = 4
STATE_TIME = 4  # s in each state: NUM_STATES rows
ACTIVE_S = 8  # s ON with a VM
FULL_S = 9  # s of it in which all of its CPU was used
SLEEPS = 10  # times that it began to suspend
WAKES = 11  # times that it began to wake
NUM_POWER_OUTCOME = 12

ROUNDING = 1e-9
"""Seconds, and parts of a host's CPU: less is nothing."""


@lean_kernel
def tell_power(state: Floats, verb: int) -> bool:
    """Note what a host is told; False where it cannot be: who wakes does not turn back.

    Nothing is noted where it is so already or comes to it.
    """
    now = state[STATE]
    if verb == SLEEP and now == WAKING:
        return False
    if verb == SLEEP:
        state[TOLD] = SLEEP if now == ON else LEAVE
    else:
        state[TOLD] = WAKE if now in (SUSPENDING, ASLEEP) else LEAVE
    return True


@lean_kernel
def pass_power_time(
    state: Floats,
    fixed: Floats,
    curve: Floats,
    out: Floats,
    utilisation: float,
    runs_vms: bool,
    is_empty: bool,
    dt: float,
) -> float:
    """Let ``dt`` seconds pass for a host; J that it took.

    Args:
        state: (NUM_POWER_STATE,).
        fixed: (NUM_POWER_FIXED,).
        curve: W by utilisation.
        out: (NUM_POWER_OUTCOME,), added to.
        utilisation: part of its CPU that is used while it is on.
        runs_vms: some VM runs on it.
        is_empty: nothing runs on it, is on its way to it or is still being pushed away from it.
        dt: s.
    """
    left_s, joules = dt, 0.0
    while left_s > ROUNDING:
        now = int(state[STATE])
        if _changes(state, fixed, out, now, is_empty):
            continue
        used_s = left_s
        if now == ON:
            watts = power_w(curve, utilisation)
            if runs_vms:
                out[ACTIVE_S] += used_s
                if utilisation >= 1.0 - ROUNDING:
                    out[FULL_S] += used_s
        elif now == ASLEEP:
            watts = fixed[SLEEP_W]
        else:
            used_s = min(state[LEFT_S], left_s)
            state[LEFT_S] -= used_s
            watts = curve[0] if now == SUSPENDING else fixed[WAKE_W]
        out[ENERGY + now] += watts * used_s
        out[STATE_TIME + now] += used_s
        joules += watts * used_s
        state[STATE_S] += used_s
        left_s -= used_s
    now = int(state[STATE])
    if now in (SUSPENDING, WAKING):
        _changes(state, fixed, out, now, is_empty)  # who looks now sees what is true from now on
    return joules


@lean_kernel
def _changes(state: Floats, fixed: Floats, out: Floats, now: int, is_empty: bool) -> bool:
    """Enter the next state where the present one has come to its end; whether it had."""
    if now == ON:
        if state[TOLD] != SLEEP or not is_empty:
            return False
        out[SLEEPS] += 1.0
        _enter(state, SUSPENDING, fixed[SUSPEND_S])
        state[TOLD] = LEAVE
        return True
    if now == ASLEEP:
        if state[TOLD] != WAKE:
            return False
        out[WAKES] += 1.0
        _enter(state, WAKING, fixed[WAKE_S])
        state[TOLD] = LEAVE
        return True
    if state[LEFT_S] > ROUNDING:
        return False
    _enter(state, ASLEEP if now == SUSPENDING else ON, 0.0)
    return True


@lean_kernel
def _enter(state: Floats, entered: int, left_s: float) -> None:
    state[STATE] = entered
    state[STATE_S] = 0.0
    state[LEFT_S] = left_s
