"""One migration: what is sent, when it ends, and that no time step shows in it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.migration import (
    advance_move,
    cancel_move,
    start_move,
    tell_stop,
    wanted_rate,
)
from gymbal_envs.simulator.cluster.migration_passes import left_bytes
from gymbal_envs.simulator.cluster.migration_prediction import (
    DirtyGroup,
    dirty_table,
    predict_migration,
)
from gymbal_envs.simulator.cluster.migration_rules import RULES

MB, GB = 1e6, 1e9
WEB = (DirtyGroup(35 * MB, 0.5), DirtyGroup(200 * MB, 40.0))
MIXED = (*WEB, DirtyGroup(50 * MB, 7.0, sweep=True))


class Move:
    """A move that is driven by hand."""

    def __init__(self, rule, groups=WEB, memory=800 * MB):
        self.plan, self.dirty = rule.plan(), dirty_table(groups)
        self.state = np.zeros(at.NUM_STATE)
        start_move(self.plan, self.dirty, memory, self.state)

    def advance(self, dt, granted=GB, activity=1.0):
        return advance_move(self.plan, self.dirty, activity, granted, dt, self.state)

    def finish(self, granted=GB):
        while at.SETUP <= self[at.PHASE] <= at.PUSHING:
            self.advance(1.0, granted)

    def wanted(self):
        return wanted_rate(self.plan, self.state)

    def __getitem__(self, row):
        return float(self.state[row])


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(RULES)),
    cuts=st.lists(st.floats(1e-3, 5.0), min_size=1, max_size=8),
    granted=st.floats(20e6, 5e8),
    activity=st.floats(0.0, 1.0),
)
def test_how_time_is_cut_into_steps_does_not_show(name, cuts, granted, activity):
    rule = replace(RULES[name], setup_s=0.13, resume_s=0.07)
    once, often = Move(rule, MIXED), Move(rule, MIXED)
    span = 17.0
    once.advance(span, granted, activity)
    passed, k = 0.0, 0
    while passed < span:
        dt = min(cuts[k % len(cuts)], span - passed)
        often.advance(dt, granted, activity)
        passed, k = passed + dt, k + 1
    rows = [row for row in range(at.NUM_STATE) if row != at.PAUSED_S]
    assert often.state[rows] == pytest.approx(once.state[rows], rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(set(RULES) - {"until_told"})),
    memory=st.floats(10 * MB, 10 * GB),
    share=st.floats(0.0, 1.0),
    tau=st.floats(1e-3, 1e3),
    sweep=st.booleans(),
    granted=st.floats(10 * MB, 1.25 * GB),
)
def test_every_byte_is_sent_at_least_once_and_time_pays_for_it(
    name, memory, share, tau, sweep, granted
):
    move = Move(RULES[name], [DirtyGroup(share * memory, tau, sweep)], memory)
    sent = sum(move.advance(7.0, granted) for _ in range(500))
    assert sent == pytest.approx(move[at.SENT], rel=1e-9)
    if move[at.PHASE] == at.DONE:
        assert sent >= memory - at.PAGE * (move[at.ROUND] + 1)  # a pass ends at less than a page
        assert left_bytes(move.state) == 0.0
    assert sent <= granted * move[at.TOTAL_S] * (1 + 1e-9)


def test_without_writes_memory_crosses_once_and_the_time_is_known():
    rule = replace(RULES["qemu"], setup_s=0.2, resume_s=0.01, overhead=1.0)
    found = predict_migration(1280 * 2**20, [], rule, GB)
    assert found.converged
    assert found.sent_bytes == pytest.approx(1280 * 2**20)
    # the pass ends when 0.3 s worth is left, which follows at line speed
    assert found.total_s == pytest.approx(0.2 + 9.7 + 38.4 * 2**20 / GB + 0.01)
    assert found.downtime_s == pytest.approx(38.4 * 2**20 / GB + 0.01)


def test_qemu_stops_at_what_the_downtime_limit_can_carry():
    """At its defaults 38.4 MiB: bar B6 of the modelling dossier."""
    limit = 128 * 2**20 * 0.3
    rule = replace(RULES["qemu"], overhead=1.0)
    for size, stops in ((limit - at.PAGE, True), (limit + at.PAGE, False)):
        # all of the memory is written in no time: what is pending is always all of it
        found = predict_migration(size, [DirtyGroup(size, 1e-3)], rule, GB, until_s=60.0)
        assert found.converged == stops
        assert (found.rounds == 1) == stops


@pytest.mark.parametrize(("ratio", "ends"), [(0.8, True), (0.99, True), (1.01, False), (2, False)])
def test_qemu_does_not_converge_if_pages_are_written_as_fast_as_they_are_sent(ratio, ends):
    size = 8 * GB  # so large that hardly a page is written twice in a pass
    groups = [DirtyGroup(size, size / (ratio * 128 * 2**20), sweep=True)]
    rule = replace(RULES["qemu"], overhead=1.0)
    assert predict_migration(10 * GB, groups, rule, GB, until_s=7200).converged == ends
    assert predict_migration(10 * GB, groups, RULES["qemu_auto_converge"], GB).converged


def test_auto_converge_takes_20_percent_then_10_more_each_time_and_99_at_most():
    rule = replace(RULES["qemu_auto_converge"], downtime_limit_s=1e-3)
    move = Move(rule, [DirtyGroup(800 * MB, 0.01)])
    seen = [0.0]
    for _ in range(400):
        move.advance(0.5, 128 * 2**20)
        if move[at.THROTTLE] != seen[-1]:
            seen.append(move[at.THROTTLE])
    assert seen == pytest.approx([0.0, *np.arange(0.2, 0.95, 0.1), 0.99])


def test_a_throttled_vm_writes_less():
    free, slow = Move(RULES["xen_modern"]), Move(RULES["xen_modern"])
    slow.state[at.THROTTLE] = 0.75
    free.advance(1.0, 50 * MB, 0.25)
    slow.advance(1.0, 50 * MB, 1.0)
    assert slow[at.WRITING_S] == pytest.approx(free[at.WRITING_S])


def test_the_skip_rule_saves_bytes_and_passes():
    skips = RULES["clark2005"]
    with_rule = predict_migration(800 * MB, WEB, skips, GB)
    without = predict_migration(800 * MB, WEB, replace(skips, skip=False), GB)
    assert with_rule.sent_bytes < 0.65 * without.sent_bytes
    assert with_rule.rounds < without.rounds
    assert without.round_bytes[0] == pytest.approx(800 * MB)
    # of 35 MB that are written all over in a pass of 52 s hardly any is sent
    assert with_rule.round_bytes[0] < 700 * MB


@pytest.mark.parametrize("sweep", [False, True])
def test_a_skipping_pass_solves_its_differential_equation(sweep):
    """A single group and nothing else: du/dt = rate / (S p(t)) can be integrated by hand."""
    size, tau, rate = 100 * MB, 3.0, 25 * MB
    rule = replace(RULES["until_told"], check_s=1e-6, rate_start_bytes_s=rate)
    found = predict_migration(size, [DirtyGroup(size, tau, sweep)], rule, GB, until_s=2.9)
    x = size / (rate * tau)
    took = tau * (1 - math.exp(-x)) if sweep else tau * math.log(1 + x)
    assert found.round_s[0] == pytest.approx(took, abs=2e-6)
    assert found.round_bytes[0] == pytest.approx(rate * took, rel=1e-5)


def test_time_and_writes_go_on_while_the_link_is_cut():
    move = Move(RULES["clark2005"])
    move.advance(10.0, 100 * MB)
    sent, done = move[at.SENT], move[at.PASS_DONE]
    assert move.advance(5.0, 0.0) == 0.0
    assert (move[at.SENT], move[at.PASS_DONE]) == (sent, done)
    assert move[at.TOTAL_S] == pytest.approx(15.0)
    assert move[at.WRITING_S] == pytest.approx(15.0)
    move.finish()
    assert move[at.PHASE] == at.DONE


def test_a_move_without_a_link_gives_up_when_told_to():
    for at_s in (0.5, 3.0):  # setting up; copying
        rule = replace(RULES["qemu"], setup_s=1.0, cancel_after_s=8.0)
        move = Move(rule)
        move.advance(at_s)
        move.advance(7.9, 0.0)
        assert move[at.PHASE] not in (at.CANCELLED, at.DONE)
        move.advance(60.0, 0.0)
        assert move[at.PHASE] == at.CANCELLED
        assert move[at.TOTAL_S] == pytest.approx(at_s + 8.0)


def test_a_paused_vm_goes_on_at_its_source_if_the_link_stays_cut():
    move = Move(replace(RULES["stop_and_copy"], cancel_after_s=4.0))
    move.advance(0.1)
    move.advance(10.0, 0.0)
    assert move[at.PHASE] == at.CANCELLED
    assert move[at.PAUSED_S] == pytest.approx(4.0)


def test_post_copy_waits_for_its_link():
    move = Move(replace(RULES["postcopy"], cancel_after_s=4.0))
    move.advance(0.1)
    assert move[at.PHASE] == at.PUSHING
    move.advance(100.0, 0.0)
    cancel_move(move.state)
    assert move[at.PHASE] == at.PUSHING
    move.finish()
    assert move[at.PHASE] == at.DONE
    assert move[at.SENT] == pytest.approx(800 * MB * (1 + 8 / 4096))


def test_nobody_switches_to_post_copy_over_a_cut_link():
    move = Move(replace(RULES["hybrid"], postcopy_after_s=5.0))
    move.advance(4.0)
    move.advance(3.0, 0.0)
    assert move[at.PHASE] == at.COPYING
    move.advance(0.1, GB)
    assert move[at.PHASE] == at.PUSHING


def test_post_copy_sends_every_page_once_and_pauses_for_the_hand_over_alone():
    found = predict_migration(800 * MB, MIXED, replace(RULES["postcopy"], overhead=1.0), GB)
    assert found.sent_bytes == pytest.approx(800 * MB)
    assert found.total_s == pytest.approx(0.8 + RULES["postcopy"].resume_s)
    assert found.downtime_s == RULES["postcopy"].resume_s


def test_a_late_switch_sends_again_what_was_written_until_then():
    rule = replace(RULES["hybrid"], overhead=1.0, postcopy_after_s=4.0)
    rate = rule.rate_max_bytes_s
    found = predict_migration(800 * MB, [DirtyGroup(100 * MB, 1e-3)], rule, GB)
    done = 4.0 * rate / (800 * MB)
    again = done * 100 * MB  # written since, of what was sent
    assert found.sent_bytes == pytest.approx(800 * MB + again)
    assert found.total_s == pytest.approx(4.0 + rule.resume_s + (found.sent_bytes - 4 * rate) / GB)
    assert found.downtime_s == pytest.approx(rule.resume_s)


def test_stop_and_copy_pauses_all_the_time_and_sends_everything_once():
    rule = replace(RULES["stop_and_copy"], rate_max_bytes_s=128 * 2**20, setup_s=0.1)
    found = predict_migration(800 * MB, WEB, rule, GB)
    assert found.sent_bytes == pytest.approx(800 * MB)
    assert found.downtime_s == pytest.approx(800 * MB / (128 * 2**20) + rule.resume_s)
    assert found.total_s == pytest.approx(found.downtime_s + 0.1)
    assert found.rounds == 0


def test_who_is_told_to_stop_pauses_at_once_and_copies_what_differs():
    move = Move(RULES["until_told"], [DirtyGroup(35 * MB, 0.5)])
    move.advance(30.0, 100 * MB)
    assert move[at.PHASE] == at.COPYING
    tell_stop(move.state)
    sent = move.advance(5.0, 100 * MB)
    assert move[at.PHASE] == at.DONE
    assert 0 < sent <= 35 * MB
    assert move[at.DOWNTIME] == pytest.approx(sent / (100 * MB) + RULES["until_told"].resume_s)
    assert move[at.PAUSED_S] == pytest.approx(move[at.DOWNTIME])


def test_a_cancelled_move_asks_for_nothing_and_stays_cancelled():
    move = Move(RULES["qemu"])
    move.advance(2.0)
    assert move.wanted() == RULES["qemu"].rate_start_bytes_s
    cancel_move(move.state)
    assert move.wanted() == 0.0
    assert move.advance(10.0) == 0.0
    assert move[at.PHASE] == at.CANCELLED
    tell_stop(move.state)
    move.advance(1.0)
    assert move[at.PHASE] == at.CANCELLED


def test_an_idle_slot_is_all_zeros_and_does_nothing():
    move = Move(RULES["qemu"])
    move.state[:] = 0.0
    assert move.advance(5.0) == 0.0
    cancel_move(move.state)
    assert not move.state.any()
    assert move.wanted() == 0.0


def test_the_paper_of_2005_sends_a_bit_faster_than_the_vm_writes():
    rule = RULES["clark2005"]
    move = Move(rule, [DirtyGroup(600 * MB, 60.0)])
    assert move.wanted() == 12.5 * MB
    limits = [move.wanted()]
    while move[at.PHASE] in (at.SETUP, at.COPYING):
        before = move[at.ROUND]
        move.advance(0.01)
        if move[at.ROUND] > before and move[at.PHASE] == at.COPYING:
            limits.append(move.wanted())
    # a short pass sees 600 MB / 60 s = 80 Mb/s; 50 Mb/s are put on top
    assert limits[-1] == pytest.approx(130e6 / 8, rel=0.02)
    assert max(limits) <= rule.rate_max_bytes_s


def test_the_last_copy_asks_for_the_line():
    rule = replace(RULES["qemu"], line_rate_bytes_s=0.4 * GB)
    move = Move(rule, [DirtyGroup(30 * MB, 1e-3)])
    while move[at.PHASE] != at.LAST_COPY:
        move.advance(1e-3, 128 * 2**20)
    assert move.wanted() == 0.4 * GB


def test_dirty_groups_larger_than_the_memory_are_scaled_to_it():
    move = Move(RULES["qemu"], [DirtyGroup(3 * GB, 1.0), DirtyGroup(GB, 10.0)], memory=2 * GB)
    assert left_bytes(move.state) == pytest.approx(2 * GB)
    assert move[at.LEFT] == pytest.approx(1.5 * GB)


def test_too_many_groups_are_refused():
    with pytest.raises(ValueError, match="4 dirty groups"):
        predict_migration(GB, [DirtyGroup(MB, 1.0)] * 4, RULES["qemu"], GB)
