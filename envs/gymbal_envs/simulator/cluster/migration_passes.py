"""Passes of pre-copy: how long one takes, what it leaves to the next one.

A pass that begins with S bytes dirty takes as long as it needs; what the VM wrote meanwhile is the
next one (`dirtying.py`).

QEMU differs from Xen (real_hosts.md section 2, QEMU's migration/migration.c and ram.c). It looks
what is pending every 100 ms (CHECK_S); once that is no more than bandwidth x DOWNTIME_LIMIT it
fetches the log of written pages *in the midst of a pass*, stops if the sum is still no more, and
goes on with the sum otherwise.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.dirtying import newly_written, scan_skipping, unwritten
from gymbal_envs.simulator.cluster.migration_stop import next_limit, settle_throttle, stops_now
from gymbal_envs.simulator.compile import Floats, kernel

ROUNDING = 1e-9
"""Seconds, or parts of a pass: what is closer than that is the same."""


@kernel
def pass_bytes(state: Floats) -> float:
    """Bytes to send in this pass as of its beginning."""
    total = state[at.LEFT_REST]
    for g in range(at.NUM_GROUPS):
        total += state[at.LEFT + g]
    return total


@kernel
def left_bytes(state: Floats) -> float:
    """Bytes of memory still to send in this pass, last copy or push (skipped ones included)."""
    return pass_bytes(state) * (1.0 - state[at.PASS_DONE])


@kernel
def count_sent(wire_bytes: float, state: Floats) -> None:
    """Book what went over the wire."""
    state[at.SENT] += wire_bytes
    state[at.ROUND_SENT] += wire_bytes
    state[at.PERIOD_SENT] += wire_bytes


@kernel
def run_pass(
    plan: Floats, dirty: Floats, speed: float, wire: float, limit_s: float, state: Floats
) -> tuple[float, float, float, bool]:
    """Go on with a pass for ``limit_s`` seconds at most; changes nothing.

    Args:
        plan: constants of the move.
        dirty: (G, 3) groups.
        speed: of the VM's writing, 0..1.
        wire: bytes/s on the wire.
        limit_s: seconds.
        state: of the move.

    Returns:
        Seconds of sending, seconds that passed, PASS_DONE, whether the pass ended.
    """
    if plan[at.RULE] == at.QEMU:
        return _pass_of_qemu(plan, wire, limit_s, state)
    rate = wire / plan[at.OVERHEAD]
    done = state[at.PASS_DONE]
    total = pass_bytes(state)
    if 1.0 - done < ROUNDING:
        done = 1.0
    sending = 0.0
    through = total < at.PAGE or done >= 1.0  # less than a page waits for the next pass
    if not through and rate > 0.0:
        if plan[at.SKIP] > 0.0:
            sending, done = scan_skipping(
                dirty, state, state[at.WRITING_S], speed, rate, done, limit_s
            )
        else:
            until_empty = total * (1.0 - done) / rate
            sending = min(until_empty, limit_s)
            done = done + rate * sending / total if until_empty > limit_s else 1.0
        through = done >= 1.0
    if not through:
        return sending, limit_s, done, False
    end_s = _next_check(plan, state[at.ROUND_S] + sending) - state[at.ROUND_S]
    return sending, min(end_s, limit_s), done, end_s <= limit_s + ROUNDING


@kernel
def _pass_of_qemu(
    plan: Floats, wire: float, limit_s: float, state: Floats
) -> tuple[float, float, float, bool]:
    """The same for QEMU: a pass ends at the first look that finds little left, or when empty."""
    done = state[at.PASS_DONE]
    if wire <= 0.0:
        return 0.0, limit_s, done, False
    total = pass_bytes(state)
    rate = wire / plan[at.OVERHEAD]
    until_empty = total * (1.0 - done) / rate
    until_little = 0.0
    pending = (total + state[at.LEFT_ZERO]) * (1.0 - done)
    little = wire * plan[at.DOWNTIME_LIMIT]
    if pending > little:
        until_little = until_empty * (1.0 - little / pending)
    look_s = _next_check(plan, state[at.ROUND_S] + until_little) - state[at.ROUND_S]
    end_s = min(max(look_s, 0.0), until_empty)
    used = min(end_s, limit_s)
    if used >= until_empty:
        done = 1.0
    else:
        done += rate * used / total
    return used, used, done, end_s <= limit_s + ROUNDING


@kernel
def _next_check(plan: Floats, round_s: float) -> float:
    """First time in the pass, at or after ``round_s``, at which the sender looks what is left."""
    if plan[at.CHECK_S] <= 0.0:
        return round_s
    return max(math.ceil(round_s / plan[at.CHECK_S] - ROUNDING), 1.0) * plan[at.CHECK_S]


@kernel
def end_round(plan: Floats, dirty: Floats, wire: float, switch: bool, state: Floats) -> None:
    """Fetch the log of written pages: what is left and what was written is the next pass."""
    passed = pass_bytes(state)
    unsent = 1.0 - state[at.PASS_DONE]
    written = 0.0
    for g in range(at.NUM_GROUPS):
        left = state[at.LEFT + g] * unsent
        part = 1.0 - unwritten(dirty[g, at.TAU], dirty[g, at.KIND], state[at.WRITING_S])
        again = newly_written(dirty[g, at.SIZE], left, part, dirty[g, at.KIND])
        state[at.LEFT + g] = left + again
        written += again
    state[at.LEFT_REST] *= unsent
    state[at.LEFT_ZERO] *= unsent
    state[at.ROUND] += 1.0
    state[at.PERIOD_DIRTY] += written
    settle_throttle(plan, state)
    pending = pass_bytes(state) + state[at.LEFT_ZERO]
    stop = stops_now(plan, wire, passed, pending, written, state)
    state[at.LIMIT] = next_limit(plan, written, state)
    state[at.LAST_ROUND_SENT] = state[at.ROUND_SENT]
    state[at.PASS_DONE] = state[at.ROUND_S] = state[at.ROUND_SENT] = state[at.WRITING_S] = 0.0
    if stop or switch or state[at.TOLD] > 0.0:
        state[at.PHASE] = at.LAST_COPY
        state[at.SWITCHED] = 0.0 if stop or state[at.TOLD] > 0.0 else 1.0
