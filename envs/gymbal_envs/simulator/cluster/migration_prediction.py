"""What a migration will cost: the kernel, played for one VM with a constant share of the network.

from gymbal_envs.simulator.cluster.migration_prediction import DirtyGroup, predict_migration
from gymbal_envs.simulator.cluster.migration_passes import ROUNDING
from gymbal_envs.simulator.cluster.migration_rules import RULES

predict_migration(2e9, [DirtyGroup(64e6, 2.0)], RULES["qemu"], bandwidth_bytes_s=1.25e9)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.migration import advance_to_event, start_move
from gymbal_envs.simulator.cluster.migration_passes import ROUNDING
from gymbal_envs.simulator.cluster.migration_rules import MigrationRule
from gymbal_envs.simulator.compile import Floats, kernel

MAX_LOG = 10_000


class DirtyGroup(NamedTuple):
    """Pages that are written alike: ``size_bytes (1 - exp(-t / tau_s))`` differ after t seconds.

    ``sweep``: they are written one after the other instead, ``size_bytes min(1, t / tau_s)``.
    """

    size_bytes: float
    tau_s: float
    sweep: bool = False


@dataclass(frozen=True)
class Prediction:
    """What a migration cost.

    Attributes:
        total_s: from the order to the end (to ``until_s`` if it did not end).
        sent_bytes: on the wire.
        downtime_s: seconds with the VM paused.
        rounds: passes of pre-copy (QEMU's dirty-sync-count is this + 2).
        converged: whether it ended in time.
        round_bytes: on the wire in each pass, and in the last copy or push.
        round_s: seconds of each.
        throttle: part of the VM's CPU time that auto-converge took away at the end of pre-copy.
    """

    total_s: float
    sent_bytes: float
    downtime_s: float
    rounds: int
    converged: bool
    round_bytes: tuple[float, ...]
    round_s: tuple[float, ...]
    throttle: float


def predict_migration(
    memory_bytes: float,
    groups: Sequence[DirtyGroup],
    rule: MigrationRule,
    bandwidth_bytes_s: float,
    *,
    zero_bytes: float = 0.0,
    activity: float = 1.0,
    quiet_after_s: float = np.inf,
    until_s: float = 3600.0,
) -> Prediction:
    """Play a migration.

    Args:
        memory_bytes: of the first pass, those that are not zero.
        groups: at most NUM_GROUPS.
        rule: how to move.
        bandwidth_bytes_s: of the network; the rule's own limits count besides.
        zero_bytes: of the rest, pages of zeros: free, but rule "qemu" counts them as pending.
        activity: 0..1, speed at which the VM writes.
        quiet_after_s: seconds after which it writes nothing (its load has ended).
        until_s: seconds after which to give up.

    Raises:
        ValueError: for too many groups.
    """
    state, log = np.zeros(at.NUM_STATE), np.zeros((MAX_LOG, 3))
    passes = play_move(
        rule.plan(), dirty_table(groups), memory_bytes, zero_bytes, activity, quiet_after_s,
        bandwidth_bytes_s, until_s, state, log,
    )  # fmt: skip
    log = log[: min(passes, MAX_LOG)]
    return Prediction(
        total_s=float(state[at.TOTAL_S]),
        sent_bytes=float(state[at.SENT]),
        downtime_s=float(state[at.DOWNTIME]),
        rounds=int(state[at.ROUND]),
        converged=bool(state[at.PHASE] == at.DONE),
        round_bytes=tuple(np.diff(log[:, 1], prepend=0.0).tolist()),
        round_s=tuple(np.diff(log[:, 0], prepend=rule.setup_s).tolist()),
        throttle=float(log[:, 2].max(initial=0.0)),
    )


def dirty_table(groups: Sequence[DirtyGroup]) -> NDArray[np.float64]:
    """(NUM_GROUPS, 3) as the kernels take it."""
    if len(groups) > at.NUM_GROUPS:
        raise ValueError(f"{len(groups)} dirty groups; at most {at.NUM_GROUPS} are possible")
    table = np.zeros((at.NUM_GROUPS, at.NUM_DIRTY))
    for row, group in zip(table, groups, strict=False):
        row[:] = group.size_bytes, group.tau_s, at.SWEEP if group.sweep else at.RANDOM
    return table


@kernel
def play_move(
    plan: Floats, dirty: Floats, memory_bytes: float, zero_bytes: float, activity: float,
    quiet_after_s: float, granted: float, until_s: float, state: Floats, log: Floats,
) -> int:  # fmt: skip
    """Play a whole move; the number of passes, with last copy and push.

    ``log`` (rows, 3): TOTAL_S, SENT and THROTTLE at the end of each, as far as rows suffice.
    """
    start_move(plan, dirty, memory_bytes, state)
    state[at.LEFT_ZERO] = zero_bytes
    passes = 0
    while state[at.TOTAL_S] < until_s and at.SETUP <= state[at.PHASE] <= at.PUSHING:
        left_s = until_s - state[at.TOTAL_S]
        speed = 0.0
        if state[at.TOTAL_S] < quiet_after_s - ROUNDING:
            speed = activity
            left_s = min(left_s, quiet_after_s - state[at.TOTAL_S])
        round_before, phase_before = state[at.ROUND], state[at.PHASE]
        advance_to_event(plan, dirty, speed, granted, left_s, state)
        ended = phase_before > at.COPYING and state[at.PHASE] != phase_before
        if state[at.ROUND] != round_before or ended:
            if passes < log.shape[0]:
                log[passes, 0] = state[at.TOTAL_S]
                log[passes, 1] = state[at.SENT]
                log[passes, 2] = state[at.THROTTLE]
            passes += 1
    return passes
