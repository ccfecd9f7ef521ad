from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.cluster.move_estimate import estimate_move, free_link

GB = 1e9


def _one(size, rate, dirty, link):
    return estimate_move(*(np.array([x]) for x in (size, rate, dirty, link)))


def test_a_clean_vm_is_sent_once():
    move = _one(4 * GB, 0.0, 0.0, 1 * GB)
    assert move.total_s[0] == pytest.approx(4.0)
    assert move.bytes[0] == pytest.approx(4 * GB)
    assert move.downtime_s[0] == 0.0
    assert move.converges[0]


def test_a_slow_writer_follows_the_geometric_series():
    # T0 = 4 s; 0.5 GB/s written: passes of 4, 2, 1, ... GB add up to 8 GB.
    move = _one(4 * GB, 0.5 * GB, 4 * GB, 1 * GB)
    assert move.bytes[0] == pytest.approx(8 * GB)
    assert move.converges[0]


def test_a_fast_writer_is_paused_for_its_dirty_set():
    move = _one(4 * GB, 2 * GB, 0.5 * GB, 1 * GB)
    assert not move.converges[0]
    assert move.downtime_s[0] == pytest.approx(0.5)


def test_an_unknown_dirty_rate_counts_as_none():
    assert _one(GB, np.nan, np.nan, GB).total_s[0] == pytest.approx(1.0)


def test_free_link__a_busy_link_still_gives_something():
    outbound, inbound = free_link(*(np.array([[x]]) for x in (1e9, 1.2e9, 0.25e9)))
    assert outbound[0, 0] == pytest.approx(1e8)
    assert inbound[0, 0] == pytest.approx(0.75e9)
