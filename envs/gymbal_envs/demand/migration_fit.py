"""How a measured VM writes its memory: dirty groups from a log of its live migration.

QEMU tells with every look at the log of written pages (dirty-sync-count) how many of them were new
(dirty-pages-rate, at most once a second). A pass of h seconds therefore shows how many bytes are
written in h seconds, and passes get shorter and shorter: the first one takes as long as all memory,
the last ones tenths of a second. That is the curve ``sum W_g (1 - p_g(h))`` of
`gymbal_envs.simulator.cluster.dirtying`, sampled where it matters; `fit_dirty_groups` finds W_g and
tau_g.

Pages that still wait to be sent when QEMU looks are not new. QEMU looks when less than bandwidth x
downtime limit is left, so how much waits is known, and is accounted for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.migration_log import (
    MigrationLog,
    Passes,
    first_pass_bytes,
    observed_passes,
)
from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.dirtying import newly_written
from gymbal_envs.simulator.cluster.migration_prediction import (
    DirtyGroup,
    Prediction,
    predict_migration,
)
from gymbal_envs.simulator.cluster.migration_rules import MigrationRule

Floats = NDArray[np.float64]

RANDOM_TAUS_S = np.geomspace(0.1, 2000.0, 40)
SWEEP_TAUS_S = np.geomspace(0.3, 60.0, 24)
WORTH_IT = 0.7
"""Another group, or a sweep, has to bring the squared error below this part of what it was."""
BIN = 0.3
"""Width in ln(seconds) within which passes share one weight: there are many more short ones."""


@dataclass(frozen=True)
class MeasuredVm:
    """What a migration of a VM depends on, besides rule and bandwidth: see `predict`.

    Attributes:
        groups: dirty groups.
        first_pass_bytes: not zero when their turn comes in the first pass.
        zero_bytes: the rest of the memory.
        error: root mean square of the relative error with which the groups explain the log.
    """

    groups: tuple[DirtyGroup, ...]
    first_pass_bytes: float
    zero_bytes: float
    error: float

    def predict(
        self, rule: MigrationRule, bandwidth_bytes_s: float, **situation: float
    ) -> Prediction:
        """What a migration by another rule or network costs: `predict_migration`."""
        return predict_migration(
            self.first_pass_bytes, self.groups, rule, bandwidth_bytes_s,
            zero_bytes=self.zero_bytes, **situation,
        )  # fmt: skip


def measure_vm(
    logs: Sequence[MigrationLog], rule: MigrationRule, memory_bytes: float
) -> MeasuredVm:
    """What logs of migrations of the same VM under the same load tell about it.

    At least one of them should have ended a few passes of different length.

    Args:
        logs: of pre-copy.
        rule: under which they were measured, of rule "qemu"; its ``rate_max_bytes_s`` is the rate
            that was reached.
        memory_bytes: of the VM, with pages of zeros.

    Raises:
        ValueError: if there is no log, or one ends within its first pass.
    """
    first = float(np.mean([first_pass_bytes(log) for log in logs]))
    groups, error = fit_dirty_groups([observed_passes(log) for log in logs], first, rule)
    return MeasuredVm(groups, first, max(memory_bytes - first, 0.0), error)


def fit_dirty_groups(
    passes: Sequence[Passes],
    memory_bytes: float,
    rule: MigrationRule,
    max_groups: int = at.NUM_GROUPS,
) -> tuple[tuple[DirtyGroup, ...], float]:
    """Dirty groups that explain what was written in passes of different length.

    Least squares of the relative error over all sets of up to ``max_groups`` time constants of a
    grid, random writes and sweeps, sizes not negative and together no larger than the memory.

    Args:
        passes: of migrations of the same VM under the same load.
        memory_bytes: of the first pass.
        rule: under which it was measured; of rule "qemu".
        max_groups: at most NUM_GROUPS.

    Returns:
        The groups, and the root mean square of the relative error.

    Raises:
        ValueError: if nothing was written in any pass.
    """
    seen = [Passes(p.seconds[p.written_bytes > 0], p.written_bytes[p.written_bytes > 0])
            for p in passes]  # fmt: skip
    seconds = np.concatenate([p.seconds for p in seen]) if seen else np.zeros(0)
    written = np.concatenate([p.written_bytes for p in seen]) if seen else np.zeros(0)
    if len(seconds) == 0:
        raise ValueError("no pass in which something was written")
    kinds = [(tau, False) for tau in RANDOM_TAUS_S] + [(tau, True) for tau in SWEEP_TAUS_S]
    columns = np.column_stack(
        [
            np.concatenate(
                [_newly_written(p.seconds, tau, sweep, memory_bytes, rule) for p in seen]
            )
            for tau, sweep in kinds
        ]
    )
    weights = _weights(seconds)
    chosen, sizes, error = _best_set(
        columns / written[:, None] * weights[:, None], weights, memory_bytes, max_groups
    )
    groups = tuple(
        DirtyGroup(float(size), float(kinds[c][0]), kinds[c][1])
        for c, size in zip(chosen, sizes, strict=True)
    )
    return groups, error


def grown_bytes(
    memory_bytes: float, growth_bytes_s: float, rate_bytes_s: float, until_s: float = np.inf
) -> float:
    """Bytes of the first pass of a VM that fills ``growth_bytes_s`` of zero pages per second.

    The sender meets half of what is filled during the pass as pages that are not zero any more (the
    other half it has passed before; those are dirty).

    Args:
        memory_bytes: not zero when the migration begins.
        growth_bytes_s: below twice the rate.
        rate_bytes_s: at which the pass is sent.
        until_s: when post-copy takes over, if that is earlier than the end of the pass.

    Raises:
        ValueError: if zero pages are filled too fast for the pass to end.
    """
    if growth_bytes_s >= 2.0 * rate_bytes_s:
        raise ValueError("zero pages are filled faster than the pass proceeds")
    whole = memory_bytes / (1.0 - growth_bytes_s / (2.0 * rate_bytes_s))
    pass_s = whole / rate_bytes_s
    if until_s >= pass_s:
        return whole
    return memory_bytes + growth_bytes_s * until_s * (1.0 - until_s / (2.0 * pass_s))


def _newly_written(
    seconds: Floats, tau: float, sweep: bool, memory_bytes: float, rule: MigrationRule
) -> Floats:
    """Part of a group that is newly written in each of the passes of one migration, (K,)."""
    rate = rule.rate_max_bytes_s / rule.overhead
    waiting = rate * (rule.downtime_limit_s - 0.5 * rule.check_s)
    sent_first = memory_bytes - waiting
    part = np.zeros(len(seconds))
    to_send = 1.0  # part of the group that the pass has to send
    for k, length in enumerate(seconds):
        sent = sent_first if k == 0 else rate * length
        left = to_send * waiting / (waiting + sent)
        written = min(1.0, length / tau) if sweep else 1.0 - np.exp(-length / tau)
        part[k] = newly_written(1.0, left, written, at.SWEEP if sweep else at.RANDOM)
        to_send = left + part[k]
    return part


def _weights(seconds: Floats) -> Floats:
    """Root weights, (K,): every range of lengths counts as much as any other."""
    bins = np.round(np.log(seconds) / BIN)
    share = np.array([1.0 / np.sum(bins == b) for b in bins])
    weights: Floats = np.sqrt(share / share.sum())
    return weights


def _best_set(
    design: Floats, target: Floats, most: float, max_groups: int
) -> tuple[tuple[int, ...], Floats, float]:
    """Columns, their sizes and the error: non-negative least squares over all small sets.

    More groups, and sweeps instead of random writes, have to be worth it.
    """
    gram, moment, square = design.T @ design, design.T @ target, float(target @ target)
    best: tuple[tuple[int, ...], Floats, float] = ((), np.zeros(0), np.inf)
    for usable in (len(RANDOM_TAUS_S), design.shape[1]):
        for count in range(1, max_groups + 1):
            sets = np.array(list(combinations(range(usable), count)))
            matrix = gram[sets[:, :, None], sets[:, None, :]] * (1.0 + 1e-9 * np.eye(count))
            sizes = np.linalg.solve(matrix, moment[sets][..., None])[..., 0]
            error = square - np.sum(sizes * moment[sets], axis=1)
            error[(sizes < 0).any(axis=1) | (sizes.sum(axis=1) > most)] = np.inf
            k = int(np.argmin(error))
            if error[k] < WORTH_IT * best[2]:
                best = tuple(int(c) for c in sets[k]), sizes[k], max(float(error[k]), 0.0)
    if not best[0]:
        raise ValueError("more was written than the memory holds")
    return best[0], best[1], float(np.sqrt(best[2]))
