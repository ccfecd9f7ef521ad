from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.cluster.squeeze import squeeze
from gymbal_runtime.command import Command

GIB = 2.0**30


def test_neighbours_give_half_of_what_they_do_not_use(two_hosts, with_vm):
    record = with_vm(with_vm(two_hosts(), 0, 0, boosted=True), 0, 1, usable_bytes=2.0 * GIB)
    told = Command.no_change(2, 3)
    balloons = squeeze(told, record).balloon_bytes
    given = 0.5 * 2.0 * GIB
    np.testing.assert_allclose(balloons[0, :2], [3.0 * GIB + given, 3.0 * GIB - given])
    assert np.isnan(balloons[1]).all()  # nobody is boosted there


def test_nobody_gives_what_it_uses(two_hosts, with_vm):
    record = with_vm(with_vm(two_hosts(), 0, 0, boosted=True), 0, 1, usable_bytes=0.0)
    balloons = squeeze(Command.no_change(2, 3), record).balloon_bytes
    np.testing.assert_allclose(balloons[0, :2], [3.0 * GIB, 3.0 * GIB])


def test_nobody_gives_what_the_boosted_vm_cannot_take(two_hosts, with_vm):
    record = with_vm(two_hosts(), 0, 0, boosted=True, memory_max_bytes=3.1 * GIB)
    record = with_vm(record, 0, 1, usable_bytes=2.0 * GIB)
    balloons = squeeze(Command.no_change(2, 3), record).balloon_bytes
    np.testing.assert_allclose(balloons[0, :2], [3.1 * GIB, 2.9 * GIB])


def test_without_a_boosted_vm_it_is_the_command_itself(random_cluster):
    record = random_cluster(0)
    record = replace(record, boosted=np.zeros_like(record.boosted))
    command = Command.no_change(*record.hosts.present.shape)
    assert squeeze(command, record) is command


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_result_is_feasible_and_keeps_other_hosts(random_cluster, seed):
    record = random_cluster(seed)
    hosts = record.hosts
    command = Command(balloon_bytes=np.where(hosts.present, hosts.actual_bytes, np.nan))
    balloons = squeeze(command, record).balloon_bytes
    low, high = hosts.memory_min_bytes, hosts.memory_max_bytes
    boosted = record.boosted.reshape(hosts.present.shape) & hosts.present
    for h in range(hosts.num_hosts):
        here = hosts.present[h]
        before, after = command.balloon_bytes[h, here], balloons[h, here]
        if not boosted[h].any() or boosted[h, here].all():
            np.testing.assert_array_equal(after, before)
            continue
        assert (after >= low[h, here] - 1).all()
        assert (after <= high[h, here] + 1).all()
        assert after.sum() <= max(before.sum(), hosts.budget_bytes[h]) * (1 + 1e-12)
        if before.sum() <= hosts.budget_bytes[h]:
            assert after.sum() == pytest.approx(before.sum())
            others = ~boosted[h, here]
            assert (after[others] <= before[others] + 1).all()
            assert (after[~others] >= before[~others] - 1).all()
