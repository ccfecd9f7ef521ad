"""One live migration as a state machine: pre-copy passes, last copy, post-copy push.

`start_move` begins, `advance_move` goes on for some time with the bandwidth it is given, and
`wanted_rate` says how much it can use. Rules are in `migration_rules.py`, rows of the tables in
`migration_layout.py`. Events fall where they fall inside of a time step, so that the result does
not depend on how time is cut into steps.
"""

from __future__ import annotations

from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.migration_passes import (
    ROUNDING,
    count_sent,
    end_round,
    left_bytes,
    pass_bytes,
    run_pass,
)
from gymbal_envs.simulator.compile import Floats, kernel


@kernel
def start_move(plan: Floats, dirty: Floats, memory_bytes: float, state: Floats) -> None:
    """Begin a move: everything that is not zero has to be sent once.

    Args:
        plan: (NUM_PLAN,) constants of the move.
        dirty: (G, 3) dirty groups [bytes, tau s, kind]; scaled down if they exceed the memory.
        memory_bytes: bytes of the first pass, those that are not zero.
        state: (NUM_STATE,) the answer.
    """
    for k in range(at.NUM_STATE):
        state[k] = 0.0
    state[at.PHASE] = at.SETUP
    state[at.MEMORY] = memory_bytes
    state[at.LIMIT] = plan[at.RATE_START]
    grouped = 0.0
    for g in range(at.NUM_GROUPS):
        grouped += dirty[g, at.SIZE]
    scale = min(1.0, memory_bytes / grouped) if grouped > 0.0 else 0.0
    for g in range(at.NUM_GROUPS):
        state[at.LEFT + g] = scale * dirty[g, at.SIZE]
    state[at.LEFT_REST] = max(memory_bytes - scale * grouped, 0.0)


@kernel
def wanted_rate(plan: Floats, state: Floats) -> float:
    """Bytes/s that the move asks of the network now; 0 when none is under way.

    While it sets up it asks for what it will need then: that may be within the same step.
    """
    phase = state[at.PHASE]
    if phase < at.SETUP or phase > at.PUSHING:
        return 0.0
    if phase == at.PUSHING or plan[at.METHOD] == at.POSTCOPY:
        return plan[at.LINE_RATE]
    if plan[at.METHOD] == at.STOP_AND_COPY:
        return plan[at.RATE_MAX]
    return plan[at.LINE_RATE] if phase == at.LAST_COPY else state[at.LIMIT]


@kernel
def tell_stop(state: Floats) -> None:
    """Pause the VM and copy the rest, at once. Without effect unless pre-copy is under way."""
    if state[at.PHASE] == at.SETUP or state[at.PHASE] == at.COPYING:
        state[at.TOLD] = 1.0


@kernel
def cancel_move(state: Floats) -> None:
    """Give up: the VM stays where it is. Without effect once it runs at its target."""
    if _cancellable(state):
        state[at.PHASE] = at.CANCELLED
        state[at.THROTTLE] = 0.0


@kernel
def _cancellable(state: Floats) -> bool:
    """Whether the source still has all that the VM needs, and nobody has told the target to go."""
    return at.SETUP <= state[at.PHASE] <= at.LAST_COPY and state[at.RESUMED_S] == 0.0


@kernel
def advance_move(
    plan: Floats, dirty: Floats, activity: float, granted: float, dt: float, state: Floats
) -> float:
    """Go on for ``dt`` seconds, through as many passes as end in it.

    Args:
        plan: (NUM_PLAN,) constants of the move.
        dirty: (G, 3) dirty groups, as they are now.
        activity: 0..1, speed at which the VM writes while it runs, *before* THROTTLE, which the
            kernel puts on top.
        granted: bytes/s that the network can give; may exceed `wanted_rate`: own limits count
            besides (a last copy that begins in this step can use the excess). 0: link cut; time
            passes, dirtying goes on.
        dt: seconds.
        state: (NUM_STATE,) of the move.

    Returns:
        Bytes sent, on the wire.
    """
    before = state[at.SENT]
    state[at.PAUSED_S] = 0.0
    left_s = dt
    while left_s > 0.0 and at.SETUP <= state[at.PHASE] <= at.PUSHING:
        left_s -= advance_to_event(plan, dirty, activity, granted, left_s, state)
    return state[at.SENT] - before


@kernel
def advance_to_event(
    plan: Floats, dirty: Floats, activity: float, granted: float, limit_s: float, state: Floats
) -> float:
    """Go on until something changes, ``limit_s`` at most; the seconds that passed (may be 0)."""
    if granted <= 0.0 and _cancellable(state):
        limit_s = min(limit_s, max(plan[at.CANCEL_AFTER_S] - state[at.CUT_S], 0.0))
    phase = state[at.PHASE]
    if phase == at.SETUP:
        used = _set_up(plan, limit_s, state)
    elif phase == at.COPYING:
        used = _copy(plan, dirty, activity, granted, limit_s, state)
    elif phase == at.LAST_COPY:
        used = _pause(plan, granted, limit_s, state)
    else:
        used = _push(plan, granted, limit_s, state)
    state[at.TOTAL_S] += used
    if granted > 0.0:
        state[at.CUT_S] = 0.0
    else:
        state[at.CUT_S] += used
        if state[at.CUT_S] >= plan[at.CANCEL_AFTER_S] - ROUNDING:
            cancel_move(state)
    return used


@kernel
def _set_up(plan: Floats, limit_s: float, state: Floats) -> float:
    """Connect; then the method decides what comes first."""
    left_s = plan[at.SETUP_S] - state[at.TOTAL_S]
    if left_s > limit_s + ROUNDING:
        return limit_s
    if plan[at.METHOD] == at.POSTCOPY:
        state[at.SWITCHED] = 1.0
    paused = (
        plan[at.METHOD] == at.STOP_AND_COPY
        or plan[at.METHOD] == at.POSTCOPY
        or state[at.TOLD] > 0.0
    )
    state[at.PHASE] = at.LAST_COPY if paused else at.COPYING
    return min(max(left_s, 0.0), limit_s)


@kernel
def _copy(
    plan: Floats, dirty: Floats, activity: float, granted: float, limit_s: float, state: Floats
) -> float:
    """Part of a pre-copy pass; ends with the pass, with the switch to post-copy or when told."""
    wire = min(granted, state[at.LIMIT])
    hybrid = plan[at.METHOD] == at.HYBRID and wire > 0.0
    if hybrid:
        limit_s = min(limit_s, max(plan[at.POSTCOPY_AFTER_S] - state[at.TOTAL_S], 0.0))
    ended = False
    used = 0.0
    if state[at.TOLD] == 0.0:
        speed = activity * (1.0 - state[at.THROTTLE])
        sending, used, done, ended = run_pass(plan, dirty, speed, wire, limit_s, state)
        state[at.PASS_DONE] = done
        state[at.ROUND_S] += used
        state[at.WRITING_S] += speed * used
        state[at.PERIOD_S] += used
        count_sent(wire * sending, state)
    switch = hybrid and state[at.TOTAL_S] + used >= plan[at.POSTCOPY_AFTER_S] - ROUNDING
    if ended or switch or state[at.TOLD] > 0.0:
        end_round(plan, dirty, wire, switch, state)
    return used


@kernel
def _pause(plan: Floats, granted: float, limit_s: float, state: Floats) -> float:
    """Last copy and hand-over: the VM is paused."""
    if state[at.SWITCHED] == 0.0 and left_bytes(state) > 0.0:
        used = _send(plan, granted, limit_s, state)
    elif granted <= 0.0 and state[at.RESUMED_S] == 0.0:
        used = limit_s  # nobody can tell the target to go
    else:
        used = min(plan[at.RESUME_S] - state[at.RESUMED_S], limit_s)
        state[at.RESUMED_S] += used
        if state[at.RESUMED_S] >= plan[at.RESUME_S]:
            state[at.PHASE] = at.PUSHING if state[at.SWITCHED] > 0.0 else at.DONE
            state[at.THROTTLE] = 0.0
    state[at.DOWNTIME] += used
    state[at.PAUSED_S] += used
    return used


@kernel
def _push(plan: Floats, granted: float, limit_s: float, state: Floats) -> float:
    """Send what is left to the VM that runs at its target."""
    used = _send(plan, granted, limit_s, state)
    if left_bytes(state) <= 0.0:
        state[at.PHASE] = at.DONE
    return used


@kernel
def _send(plan: Floats, granted: float, limit_s: float, state: Floats) -> float:
    """Send what nobody writes any more."""
    left = left_bytes(state)
    wire = min(granted, wanted_rate(plan, state))
    if left <= 0.0:
        return 0.0
    if wire <= 0.0:
        return limit_s
    needed_s = left * plan[at.OVERHEAD] / wire
    used = min(needed_s, limit_s)
    count_sent(wire * used, state)
    if needed_s <= limit_s:
        state[at.PASS_DONE] = 1.0
    else:
        state[at.PASS_DONE] += wire * used / plan[at.OVERHEAD] / pass_bytes(state)
    return used
