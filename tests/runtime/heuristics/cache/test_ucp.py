from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.heuristics.cache.colour_hot import ColourHot
from gymbal_runtime.heuristics.cache.equal import Equal
from gymbal_runtime.heuristics.cache.shared import Shared
from gymbal_runtime.heuristics.cache.ucp import Ucp

STREAMING = [100.0] * 13
SENSITIVE = [100.0, 80, 65, 50, 40, 30, 22, 15, 10, 6, 3, 1, 0]
CLIFF = [100.0] * 6 + [0.0] * 7
SLOPE = [60.0 - 5 * k for k in range(13)]


def _told(agent: Any, record: Any) -> list[float]:
    return agent.act(record).llc_units[0].tolist()


def test_shared_and_equal(cache_host) -> None:
    record = cache_host(3, units=11)
    command = Shared().act(record)
    assert command.llc_class.tolist() == [[0, 0, 0]]
    assert command.llc_units.tolist() == [[11, 11, 11]]
    assert _told(Equal(), record) == [4, 4, 3]


def test_a_streaming_program_is_confined(cache_host) -> None:
    assert _told(Ucp(), cache_host(2, curves=[STREAMING, SENSITIVE])) == [1, 11]


def test_lookahead_sees_the_cliff(cache_host) -> None:
    # Six units save the first 100 misses, 20 for each after its first; the second gains 5 per unit.
    assert _told(Ucp(), cache_host(2, curves=[CLIFF, SLOPE])) == [6, 6]


def test_a_vm_without_a_curve_counts_as_the_mean(cache_host) -> None:
    nothing = [np.nan] * 13
    known = cache_host(3, curves=[STREAMING, SENSITIVE, nothing])
    mean = cache_host(3, curves=[STREAMING, SENSITIVE, np.mean([STREAMING, SENSITIVE], axis=0)])
    assert _told(Ucp(), known) == _told(Ucp(), mean)
    assert _told(Ucp(), cache_host(3, curves=[nothing] * 3)) == [4, 4, 4]


def test_history_halves_the_past(cache_host) -> None:
    before = cache_host(2, curves=[SENSITIVE, STREAMING])
    after = replace(
        cache_host(2, curves=[STREAMING, [2 * m for m in SENSITIVE]]), time_s=np.ones(1)
    )
    agent, forgetful = Ucp(period_s=1.0), Ucp(period_s=1.0, history=0.0)
    for one in (agent, forgetful):
        assert _told(one, before) == [11, 1]
    assert _told(forgetful, after) == [1, 11]
    # The old curve still counts half of a curve twice as high.
    assert 1 < _told(agent, after)[0] < 6


def test_changes_have_to_pay(cache_host) -> None:
    before = cache_host(2, curves=[[2 * m for m in SENSITIVE], SENSITIVE])
    after = replace(
        cache_host(2, curves=[SENSITIVE, [2 * m for m in SENSITIVE]]), time_s=np.ones(1)
    )
    agent = Ucp(period_s=1.0, history=0.0, min_gain_frac=0.4)  # it would save 30 of 90
    told = _told(agent, before)
    assert told[0] > told[1]
    assert _told(Ucp(), after) != told
    assert _told(agent, after) == told


def test_by_stall_weighs_misses_with_their_price_and_shares(cache_host) -> None:
    # As many misses, but the second waits ten times as long for each.
    fields = {"llc_miss_rate": 30.0, "cycle_rate": 3e9, "stall_frac": [0.05, 0.5]}
    record = cache_host(2, curves=[SENSITIVE, SENSITIVE], **fields)
    assert _told(Ucp(), record) == [6, 6]
    dear = _told(Ucp(by_stall=True), record)
    assert dear[1] > dear[0]
    shares = replace(record, stall_frac=np.array([[0.3, 0.3]]), shares=np.array([[4000.0, 1000.0]]))
    weighted = _told(Ucp(by_stall=True), shares)
    assert weighted[0] > weighted[1]


def test_too_few_classes(cache_host) -> None:
    command = Ucp().act(cache_host(3, classes=2, curves=[STREAMING, SENSITIVE, STREAMING]))
    assert command.llc_class.tolist() == [[0, 1, 0]]
    assert command.llc_units.tolist() == [[1, 11, 1]]


@pytest.fixture(name="colours")
def _colours(cache_host):
    def record(curves, time_s: float = 0.0, active_bytes: float = 4096e6, **fields: Any):
        values = {"llc_miss_rate": 50.0, "cycle_rate": 3e9, "stall_frac": 0.3, **fields}
        return cache_host(
            2, recolours=1.0, time_s=time_s, curves=curves, active_bytes=active_bytes, **values
        )

    return record


def test_hot_pages_move_only_where_it_pays(colours) -> None:
    # Half of a million active pages at 5 us each are 2.5 s per VM at most.
    turned = [STREAMING, SENSITIVE]
    for dwell_s, moves in ((2.0, False), (60.0, True)):
        agent = ColourHot(dwell_s=dwell_s, history=0.0)
        assert _told(agent, colours([SENSITIVE, STREAMING])) == [11, 1]
        assert (_told(agent, colours(turned, time_s=5.0)) == [1, 11]) == moves
    free = ColourHot(dwell_s=2.0, history=0.0)
    free.act(colours([SENSITIVE, STREAMING], active_bytes=0.0))
    assert _told(free, colours(turned, time_s=5.0, active_bytes=0.0)) == [1, 11]


def test_a_shared_cache_is_left_only_where_it_pays(colours) -> None:
    record = colours([STREAMING, SENSITIVE], llc_class=0.0, llc_units_held=12.0)
    assert _told(ColourHot(dwell_s=0.1), record) == [12, 12]
    assert _told(ColourHot(dwell_s=100.0), record) == [1, 11]
