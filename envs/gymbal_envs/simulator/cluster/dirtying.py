"""How a VM dirties its memory, and how long a pass over what is dirty takes.

Memory is divided in groups that are written alike (models.md 6.1) and a rest that is not written.
Of a group of W bytes, ``W (1 - p(h))`` have been written h seconds after a pass began, with
``p = exp(-h / tau)`` for random writes and ``p = max(0, 1 - h / tau)`` for a sweep. ``h`` runs with
the VM's speed: a paused or throttled VM writes less.

With the skip rule a pass sends a page only if it was not written again since the pass began. Of the
bytes S_g that are to be sent, spread evenly over the pass, the sender at position u (0..1) after h
seconds finds ``D(h) = sum S_g p_g(h) + rest`` per unit of u, so ``du/dt = rate / D(h)``; of a sweep
``min(S_g, W_g p_g(h))``. models.md 6.2 replaces D by its mean over the time of the pass; the
differential equation is as simple and stays true when rate or speed change or the link is cut in
the midst of a pass.
"""

from __future__ import annotations

import math

import numpy as np

from gymbal_envs.simulator.cluster.migration_layout import (
    KIND,
    LEFT,
    LEFT_REST,
    NUM_GROUPS,
    PAGE,
    SIZE,
    SWEEP,
    TAU,
)
from gymbal_envs.simulator.compile import Floats, kernel

NODES = np.array([-0.9061798459386640, -0.5384693101056831, 0.0,
                  0.5384693101056831, 0.9061798459386640])  # fmt: skip
WEIGHTS = np.array([0.2369268850561891, 0.4786286704993665, 0.5688888888888889,
                    0.4786286704993665, 0.2369268850561891])  # fmt: skip
"""Gauss and Legendre, five points: exact for polynomials of degree nine."""

BISECTIONS = 60
KINK = 1e-9
"""Part of a sweep's time that is as good as none."""

NEGLIGIBLE = 1.0
"""Bytes of a group that shape no panel; so that none is too short to add to a time."""


@kernel
def unwritten(tau: float, kind: float, writing_s: float) -> float:
    """Part of a group not written after ``writing_s`` seconds of a VM at full speed."""
    if tau <= 0.0:
        return 0.0 if writing_s > 0.0 else 1.0
    if kind == SWEEP:
        return max(0.0, 1.0 - writing_s / tau)
    return math.exp(-writing_s / tau)


@kernel
def newly_written(size: float, left: float, part: float, kind: float) -> float:
    """Bytes written of what had been sent, when ``part`` of a group was and ``left`` bytes wait.

    Random writes hit what waits as often as the rest. A sweep is ahead of it: it comes to what
    waits last of all.
    """
    if kind == SWEEP:
        return max(min(size * part, size - left), 0.0)
    return max(size - left, 0.0) * part


@kernel
def dirty_bytes(dirty: Floats, writing_s: float) -> float:
    """Bytes that differ from a copy made ``writing_s`` seconds ago; ``dirty`` (G, 3)."""
    total = 0.0
    for g in range(NUM_GROUPS):
        total += dirty[g, SIZE] * (1.0 - unwritten(dirty[g, TAU], dirty[g, KIND], writing_s))
    return total


@kernel
def still_to_send(dirty: Floats, state: Floats, g: int, writing_s: float) -> float:
    """Bytes of a group that the pass has to send and that were not written again since it began.

    A sweep comes to them last: what it wrote before the pass began lies behind it.
    """
    fresh = unwritten(dirty[g, TAU], dirty[g, KIND], writing_s)
    if dirty[g, KIND] == SWEEP:
        return min(state[LEFT + g], dirty[g, SIZE] * fresh)
    return state[LEFT + g] * fresh


@kernel
def density(dirty: Floats, state: Floats, writing_s: float) -> float:
    """D(h): bytes that the sender finds to send, per unit of the pass."""
    total = state[LEFT_REST]
    for g in range(NUM_GROUPS):
        if state[LEFT + g] > 0.0:
            total += still_to_send(dirty, state, g, writing_s)
    return total


@kernel
def _panel(dirty: Floats, state: Floats, writing_s: float, found: float) -> float:
    """Seconds of writing over which 1 / D(h) is smooth enough for one quadrature.

    Half of the distance to the nearest pole of 1 / D in the complex plane, about: for random writes
    of weight ``w = S p / D`` that is ``tau (1 - ln w)``, for a sweep ``D tau / W`` once it comes to
    what is to be sent. D has a kink where it does.
    """
    shortest = np.inf
    for g in range(NUM_GROUPS):
        tau = dirty[g, TAU]
        part = still_to_send(dirty, state, g, writing_s)
        if part <= NEGLIGIBLE or tau <= 0.0:
            continue
        if dirty[g, KIND] == SWEEP:
            length = tau * (1.0 - state[LEFT + g] / dirty[g, SIZE]) - writing_s
            if length <= KINK * tau:
                length = min(0.5 * found * tau / dirty[g, SIZE], tau - writing_s)
        else:
            length = 0.5 * tau * (1.0 + math.log(found / part))
        shortest = min(shortest, length)
    return shortest


@kernel
def _quadrature(
    dirty: Floats, state: Floats, writing_s: float, speed: float, length_s: float
) -> float:
    """Integral of dt / D(h) over ``length_s`` seconds from ``writing_s`` on."""
    half = 0.5 * length_s
    total = 0.0
    for k in range(len(NODES)):
        at = writing_s + speed * half * (1.0 + NODES[k])
        total += WEIGHTS[k] / max(density(dirty, state, at), PAGE)
    return half * total


@kernel
def _crossing(
    dirty: Floats, state: Floats, writing_s: float, speed: float, length_s: float, wanted: float
) -> float:
    """Seconds after which the integral of a panel reaches ``wanted``."""
    low, high = 0.0, length_s
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if _quadrature(dirty, state, writing_s, speed, middle) < wanted:
            low = middle
        else:
            high = middle
    return high


@kernel
def scan_skipping(
    dirty: Floats, state: Floats, writing_s: float, speed: float, rate: float, done: float,
    limit_s: float,
) -> tuple[float, float]:  # fmt: skip
    """Go on with a pass that skips what was written again.

    Args:
        dirty: (G, 3) groups.
        state: of the move; only LEFT and LEFT_REST are read.
        writing_s: h now, seconds.
        speed: of the VM, 0..1: dh/dt.
        rate: bytes/s of memory, above 0.
        done: u now, 0..1.
        limit_s: seconds to go on at most.

    Returns:
        Seconds that passed and the new u: 1 if the pass ended by then.
    """
    time = 0.0
    while time < limit_s:
        at = writing_s + speed * time
        found = density(dirty, state, at)
        if done >= 1.0 or found < PAGE:  # nothing left, or all of it was written again
            return time, 1.0
        length = limit_s - time
        if speed > 0.0:
            length = min(length, _panel(dirty, state, at, found) / speed)
        step = rate * _quadrature(dirty, state, at, speed, length)
        if done + step >= 1.0:
            wanted = (1.0 - done) / rate
            return time + _crossing(dirty, state, at, speed, length, wanted), 1.0
        done += step
        time += length
    return limit_s, done
