"""When pre-copy ends, how fast it may send, how much it slows the VM down: models.md 6.2."""

from __future__ import annotations

from gymbal_envs.simulator.cluster.migration_layout import (
    AUTO_CONVERGE,
    CLARK2005,
    DOWNTIME_LIMIT,
    HIGH_COUNT,
    LAST_ROUND_SENT,
    LIMIT,
    MAX_ROUNDS,
    MEMORY,
    PERIOD_DIRTY,
    PERIOD_S,
    PERIOD_SENT,
    QEMU,
    RATE_MAX,
    RATE_START,
    RATE_STEP,
    ROUND,
    ROUND_S,
    ROUND_SENT,
    RULE,
    SENT,
    STOP_BYTES,
    THROTTLE,
    UNTIL_TOLD,
    VMOTION,
    XEN2005,
    XEN_LEGACY,
)
from gymbal_envs.simulator.compile import Floats, kernel

XEN_FACTOR = 3.0  # Xen stops when it has sent more than this many times the memory
VMOTION_STEP = 2.0**20  # bytes by which a pass of vMotion has to be smaller than the one before
THROTTLE_PERIOD_S = 1.0  # QEMU: at most one look per second
THROTTLE_TRIGGER = 0.5  # of the bytes sent in the period
THROTTLE_HITS = 2.0
THROTTLE_START = 0.2
THROTTLE_STEP = 0.1
THROTTLE_MOST = 0.99
ROUNDING = 1e-9


@kernel
def stops_now(
    plan: Floats, wire: float, passed: float, pending: float, written: float, state: Floats
) -> bool:
    """Whether the VM is paused and the rest copied, at the end of a pass.

    Args:
        plan: constants of the move.
        wire: bytes/s of this pass.
        passed: bytes with which the pass that ended began.
        pending: bytes to send now.
        written: bytes written since the pass began.
        state: ROUND counts the pass that ended; its ROUND_S, ROUND_SENT and LIMIT still stand.
    """
    rule = plan[RULE]
    if rule == UNTIL_TOLD:
        return False
    if state[ROUND] >= plan[MAX_ROUNDS]:
        return True
    if rule == QEMU:
        return pending <= wire * plan[DOWNTIME_LIMIT]
    if rule in (XEN2005, XEN_LEGACY):
        grew = state[ROUND] > 1.0 and state[ROUND_SENT] > state[LAST_ROUND_SENT]
        if rule == XEN2005 and grew and state[LIMIT] >= plan[RATE_MAX]:
            return True
        return passed < plan[STOP_BYTES] or state[SENT] > XEN_FACTOR * state[MEMORY]
    if rule == CLARK2005 and _wished(plan, written, state) > plan[RATE_MAX]:
        return True
    if rule == VMOTION and passed - pending < VMOTION_STEP:
        return True
    return pending < plan[STOP_BYTES]


@kernel
def _wished(plan: Floats, written: float, state: Floats) -> float:
    """Rate that rules CLARK2005 and XEN2005 would like: dirty rate of the last pass and a bit."""
    if state[ROUND_S] <= 0.0:
        return state[LIMIT]
    return written / state[ROUND_S] + plan[RATE_STEP]


@kernel
def next_limit(plan: Floats, written: float, state: Floats) -> float:
    """Own rate limit of the next pass, bytes/s. The code of 2005 only ever raises it."""
    limit = state[LIMIT]
    wished = _wished(plan, written, state)
    if plan[RULE] == CLARK2005:
        limit = max(wished, plan[RATE_START])
    elif plan[RULE] == XEN2005 and wished - plan[RATE_STEP] > limit:
        limit = wished
    return min(limit, plan[RATE_MAX])


@kernel
def settle_throttle(plan: Floats, state: Floats) -> None:
    """QEMU's auto-converge, when the log is fetched: 20 %, then 10 % more each time, 99 % at most.

    If more than half as much was written as was sent, for the second time (not: in a row).
    """
    if state[PERIOD_S] < THROTTLE_PERIOD_S - ROUNDING:
        return
    too_much = state[PERIOD_DIRTY] > THROTTLE_TRIGGER * state[PERIOD_SENT]
    if plan[AUTO_CONVERGE] > 0.0 and too_much:
        state[HIGH_COUNT] += 1.0
        if state[HIGH_COUNT] >= THROTTLE_HITS:
            state[HIGH_COUNT] = 0.0
            more = state[THROTTLE] + THROTTLE_STEP if state[THROTTLE] > 0.0 else THROTTLE_START
            state[THROTTLE] = min(more, THROTTLE_MOST)
    state[PERIOD_S] = state[PERIOD_DIRTY] = state[PERIOD_SENT] = 0.0
