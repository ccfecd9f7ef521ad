"""What is read from a record put together by hand, so that the right answer is plain."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.cluster_toy import OneOverload
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import GIB
from gymbal_envs.tasks.cluster_events import (
    ARRIVED,
    CANCELLED,
    CLONED,
    FAILED,
    UNDER_WAY,
    moves_of,
    orders_of,
)
from gymbal_envs.tasks.cluster_overloads import missing_bytes, overloads_of, stretches
from gymbal_envs.tasks.cluster_record import ClusterEpisode, VmTracks
from gymbal_runtime.cluster.orders import (
    BORROW,
    CANCEL,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
)
from gymbal_runtime.cluster.telemetry import COPYING, PUSHING

INSTANTS, INTERVAL_S = 20, 10.0
FLAGS = ("borrowing", "boosted", "sleeps")
NOBODY_AT_FIRST = ("vm_id", "goal", "twin")
WHOLE_NUMBERS = (*NOBODY_AT_FIRST, "phase")
PER_HOST = ("lent_bytes", "reserved_bytes", "pool_bytes", "idle_byte_s", "sleeps")


def record(rule: str = "qemu") -> ClusterEpisode:
    """Two hosts of 4 GiB; VMs 0 and 1 on the first, 3 on the second, 1 GiB each, nothing happens.

    The arrays may be changed before the first question is asked.
    """
    scenario: ClusterScenario = OneOverload(migration=RULES[rule])()
    hosts, slots = scenario.num_hosts, scenario.slots
    values: dict[str, Any] = {}
    for field in fields(ClusterEpisode):
        shape = (INSTANTS, hosts) if field.name in PER_HOST else (INSTANTS, hosts, slots)
        kind: Any = float
        if field.name in FLAGS:
            kind = bool
        elif field.name in WHOLE_NUMBERS:
            kind = int
        start = -1 if field.name in NOBODY_AT_FIRST else 0
        values[field.name] = np.full(shape, start, dtype=kind)
    values["scenario"] = scenario
    values["time_s"] = INTERVAL_S * np.arange(INSTANTS)
    values["exists"] = scenario.exists
    values["capacity_bytes"] = np.full(hosts, 4.0 * GIB)
    for vm, host, slot in ((0, 0, 0), (1, 0, 1), (3, 1, 0)):
        values["vm_id"][:, host, slot] = vm
        values["needed_bytes"][:, host, slot] = GIB
        values["shares"][:, host, slot] = 1.0
    return ClusterEpisode(**values)


def jump(episode: ClusterEpisode, instant: int, vm: int = 1) -> None:
    """The VM runs on the second host, in its last slot, from an instant on."""
    episode.vm_id[instant:][episode.vm_id[instant:] == vm] = -1
    episode.vm_id[instant:, 1, 2] = vm


def copying(episode: ClusterEpisode, first: int, last: int, ordered_s: float) -> None:
    """VM 1 is being copied to the second host at these instants, the last one not among them."""
    episode.phase[first:last, 0, 1] = COPYING
    episode.goal[first:last, 0, 1] = 1
    episode.move_s[first:last, 0, 1] = episode.time_s[first:last] - ordered_s


class TestTracks:
    def test_a_vm_is_found_where_it_goes(self):
        episode = record()
        jump(episode, 7)
        tracks = episode.tracks
        assert tracks.ids.tolist() == [0, 1, 3]
        assert tracks.home.tolist() == [0, 0, 1]
        assert tracks.host[:, 1].tolist() == [0] * 7 + [1] * 13
        assert tracks.slot[7:, 1].tolist() == [2] * 13

    def test_values_follow_the_vm(self):
        episode = record()
        episode.needed_bytes[:, 0, 1], episode.needed_bytes[:, 1, 2] = 5.0, 7.0
        jump(episode, 7)
        needed = episode.tracks.of_vms(episode.needed_bytes)
        assert needed[:, 1].tolist() == [5.0] * 7 + [7.0] * 13

    def test_a_vm_that_ends_is_nowhere(self):
        ids = np.array([[[0, 1]], [[0, -1]]])
        tracks = VmTracks.of(ids)
        assert tracks.host[:, 1].tolist() == [0, -1]
        assert tracks.of_vms(np.ones(ids.shape), absent=-5.0)[:, 1].tolist() == [1.0, -5.0]


class TestOverloads:
    def test_lent_reserved_and_pooled_memory_is_missing(self):
        episode = record()
        episode.needed_bytes[:, 0, 0] = 2.5 * GIB
        assert missing_bytes(episode).max() == 0.0
        episode.lent_bytes[5, 0] = 0.25 * GIB
        episode.reserved_bytes[5, 0] = 0.25 * GIB
        episode.pool_bytes[5, 0] = 0.25 * GIB
        assert missing_bytes(episode)[5].tolist() == [0.25 * GIB, 0.0]

    def test_begin_end_and_peak(self):
        episode = record()
        episode.needed_bytes[4:9, 0, 0] = 3.5 * GIB
        episode.needed_bytes[6, 0, 0] = 5.0 * GIB
        episode.lost_to_memory_frac[5:10, 0, 0] = 0.4  # of the intervals that end then
        (one,) = overloads_of(episode)
        assert (one.host, one.begins_s, one.ends_s, one.over) == (0, 40.0, 90.0, True)
        assert one.peak_bytes == pytest.approx(2.0 * GIB)
        assert one.lost == pytest.approx(0.2)  # by the shares of two VMs

    def test_one_that_is_not_over_lasts_to_the_end_of_the_record(self):
        episode = record()
        episode.needed_bytes[15:, 1, 0] = 5.0 * GIB
        (one,) = overloads_of(episode)
        assert (one.host, one.lasts_s, one.over) == (1, 40.0, False)

    def test_short_pauses_belong_to_it(self):
        marked = np.zeros(INSTANTS, dtype=bool)
        marked[[2, 3, 6, 7, 11]] = True
        time_s = INTERVAL_S * np.arange(INSTANTS)
        assert stretches(marked, time_s, 30.0) == [(2, 8), (11, 12)]
        assert stretches(marked, time_s, 0.0) == [(2, 4), (6, 8), (11, 12)]


class TestMoves:
    def test_pre_copy(self):
        episode = record()
        copying(episode, 4, 7, ordered_s=30.0)
        jump(episode, 7)
        (move,) = moves_of(episode)
        assert (move.vm, move.kind, move.source, move.target) == (1, "pre-copy", 0, 1)
        assert (move.begins_s, move.switches_s, move.ends_s) == (30.0, 70.0, 70.0)
        assert move.outcome == ARRIVED

    def test_post_copy_goes_on_at_the_target(self):
        episode = record("postcopy")
        jump(episode, 4)
        episode.phase[4:9, 1, 2], episode.goal[4:9, 1, 2] = PUSHING, 0
        episode.move_s[4:9, 1, 2] = episode.time_s[4:9] - 30.0
        (move,) = moves_of(episode)
        assert (move.kind, move.source, move.target) == ("post-copy", 0, 1)
        assert (move.begins_s, move.switches_s, move.ends_s) == (30.0, 40.0, 90.0)

    def test_one_within_an_interval_is_seen_by_the_new_place(self):
        episode = record()
        jump(episode, 7)
        (move,) = moves_of(episode)
        assert (move.begins_s, move.ends_s, move.outcome) == (60.0, 70.0, ARRIVED)

    def test_one_that_is_given_up(self):
        episode = record()
        copying(episode, 4, 7, ordered_s=30.0)
        (move,) = moves_of(episode)
        assert (move.target, move.ends_s, move.outcome) == (1, 70.0, CANCELLED)
        assert np.isnan(move.switches_s)
        episode.failed[7, 0, 1] = 1.0
        assert moves_of(episode)[0].outcome == FAILED

    def test_one_that_is_under_way(self):
        episode = record()
        copying(episode, 15, INSTANTS, ordered_s=140.0)
        (move,) = moves_of(episode)
        assert (move.begins_s, move.ends_s, move.outcome) == (140.0, 190.0, UNDER_WAY)

    def test_one_right_after_another(self):
        episode = record()
        copying(episode, 4, 7, ordered_s=30.0)
        copying(episode, 7, 9, ordered_s=65.0)
        jump(episode, 9)
        first, second = moves_of(episode)
        assert (first.ends_s, first.outcome) == (65.0, CANCELLED)
        assert (second.begins_s, second.outcome) == (65.0, ARRIVED)

    def test_a_clone(self):
        episode = record()
        episode.vm_id[5:12, 1, 1] = 9
        episode.twin[5:12, 1, 1], episode.twin[5:12, 0, 0] = 0, 1
        (move,) = moves_of(episode)
        assert (move.vm, move.kind, move.source, move.target) == (9, CLONED, 0, 1)
        assert move.begins_s == 40.0
        assert [(o.verb, o.vm, o.time_s) for o in orders_of(episode)] == [
            (CLONE, 0, 40.0),
            (MERGE, 0, 110.0),
        ]


class TestOrders:
    def test_what_changes_in_the_books_was_ordered_at_the_decision_before(self):
        episode = record()
        episode.boosted[3:9, 0, 0] = True
        episode.borrowing[5:11, 0, 1] = True
        orders = [(o.time_s, o.verb, o.host, o.vm) for o in orders_of(episode)]
        # Nobody orders the end of a squeeze.
        assert orders == [(20.0, SQUEEZE, 0, 0), (40.0, BORROW, 0, 1), (100.0, RECALL, 0, 1)]

    def test_a_borrowing_vm_that_moves_was_not_told_again(self):
        episode = record()
        episode.borrowing[2:7, 0, 1] = episode.borrowing[7:, 1, 2] = True
        jump(episode, 7)
        assert [o.verb for o in orders_of(episode)] == [BORROW, MIGRATE]

    def test_a_move_that_was_cancelled(self):
        episode = record()
        copying(episode, 4, 7, ordered_s=30.0)
        assert [(o.time_s, o.verb) for o in orders_of(episode)] == [(30.0, MIGRATE), (70.0, CANCEL)]
        episode.failed[7, 0, 1] = 1.0
        assert [o.verb for o in orders_of(episode)] == [MIGRATE]
