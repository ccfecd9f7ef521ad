"""Dirty groups from logs: those of a VM whose groups are known are found again."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gymbal_envs.demand.migration_fit import fit_dirty_groups, grown_bytes, measure_vm
from gymbal_envs.demand.migration_log import Passes, first_pass_bytes, log_of, observed_passes
from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.dirtying import dirty_bytes
from gymbal_envs.simulator.cluster.migration import advance_move, start_move
from gymbal_envs.simulator.cluster.migration_passes import left_bytes
from gymbal_envs.simulator.cluster.migration_prediction import (
    DirtyGroup,
    dirty_table,
    predict_migration,
)
from gymbal_envs.simulator.cluster.migration_rules import RULES

MIB = 2.0**20
MEMORY = 3000 * MIB
RULE = replace(RULES["qemu"], overhead=1.0)
BUSY = (DirtyGroup(160 * MIB, 1.3), DirtyGroup(1500 * MIB, 40.0))
SWEEPING = (DirtyGroup(230 * MIB, 1.6, sweep=True),)


def polls_of(groups, until_s=60.0, every_s=0.2):
    """What QEMU would tell, polled: a rate at most once a second, counters at once."""
    plan, dirty, state = RULE.plan(), dirty_table(groups), np.zeros(at.NUM_STATE)
    start_move(plan, dirty, MEMORY, state)
    rows, rate, written, since = [], 0.0, 0.0, 0.0
    time = 0.0
    while state[at.PHASE] in (at.SETUP, at.COPYING) and time < until_s:
        before = state.copy()
        advance_move(plan, dirty, 1.0, 1e12, 0.02, state)
        time += 0.02
        if state[at.ROUND] > before[at.ROUND]:
            sent = state[at.SENT] - before[at.SENT]
            written += left_bytes(state) - left_bytes(before) + sent
            if time - since >= 1.0 - 1e-9:
                rate, written, since = written / (time - since), 0.0, time
        if round(time / 0.02) % round(every_s / 0.02) == 0:
            rows.append(
                ("active", time * 1e3, state[at.ROUND] + 1, rate / at.PAGE, left_bytes(state),
                 state[at.SENT])
            )  # fmt: skip
    names = ["status", "total_time_ms", "dirty_sync_count", "dirty_pages_per_s", "remaining_B",
             "transferred_B"]  # fmt: skip
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.mark.parametrize(
    ("groups", "lengths_s"), [(BUSY, (0.4, 1.0, 3.0, 20.0)), (SWEEPING, (1.5, 3.0, 20.0))]
)
def test_groups_of_a_log_write_as_those_that_made_it(groups, lengths_s):
    vm = measure_vm([log_of(polls_of(groups))], RULE, 8192 * MIB)
    assert vm.first_pass_bytes == pytest.approx(MEMORY, rel=0.02)
    assert vm.error < 0.1
    for seconds in lengths_s:  # of passes that the log has
        written = dirty_bytes(dirty_table(vm.groups), seconds)
        assert written == pytest.approx(dirty_bytes(dirty_table(groups), seconds), rel=0.15)


def test_a_fit_predicts_other_ways_to_move_the_same_vm():
    vm = measure_vm([log_of(polls_of(BUSY))], RULE, MEMORY)
    ways = [
        replace(RULE, auto_converge=True),
        replace(RULE, method="hybrid", postcopy_after_s=20.0),
        replace(RULE, rate_start_bytes_s=400 * MIB, rate_max_bytes_s=400 * MIB),
    ]
    for rule in ways:
        truth = predict_migration(MEMORY, BUSY, rule, 1e9, until_s=300)
        found = vm.predict(rule, 1e9, until_s=300)
        assert found.converged
        assert found.total_s == pytest.approx(truth.total_s, rel=0.07)
        assert found.sent_bytes == pytest.approx(truth.sent_bytes, rel=0.07)


def test_a_first_minute_tells_that_a_migration_will_not_end():
    vm = measure_vm([log_of(polls_of(BUSY)).until(60.0)], RULE, MEMORY)
    assert not predict_migration(MEMORY, BUSY, RULE, 1e9, until_s=300).converged
    assert not vm.predict(RULE, 1e9, until_s=300).converged
    assert vm.predict(RULE, 1e9, until_s=300, quiet_after_s=90.0).total_s < 92.0


def test_a_log_must_show_a_whole_pass():
    early = log_of(polls_of(BUSY, until_s=5.0))
    with pytest.raises(ValueError, match="within the first pass"):
        first_pass_bytes(early)
    assert len(observed_passes(early).seconds) == 0
    with pytest.raises(ValueError, match="no pass"):
        fit_dirty_groups([observed_passes(early)], MEMORY, RULE)


def test_polls_without_what_is_needed_are_refused_by_name():
    polls = polls_of(SWEEPING, until_s=3.0)
    with pytest.raises(ValueError, match="remaining_B"):
        log_of(polls.drop("remaining_B"))
    with pytest.raises(ValueError, match="active"):
        log_of(polls.with_columns(status=pl.lit("completed")))


def test_more_cannot_be_written_than_there_is():
    with pytest.raises(ValueError, match="more was written"):
        fit_dirty_groups([Passes(np.array([5.0]), np.array([2 * MEMORY]))], MEMORY, RULE)


def test_half_of_what_grows_in_the_first_pass_is_part_of_it():
    whole = grown_bytes(1000.0, 20.0, 100.0)
    assert whole == pytest.approx(1000.0 + 0.5 * 20.0 * whole / 100.0)
    assert grown_bytes(1000.0, 20.0, 100.0, until_s=0.0) == 1000.0
    early = grown_bytes(1000.0, 20.0, 100.0, until_s=1.0)
    assert 1000.0 + 18.0 < early < 1000.0 + 20.0
    with pytest.raises(ValueError, match="faster"):
        grown_bytes(1000.0, 200.0, 100.0)
