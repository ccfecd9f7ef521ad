"""Heracles and PARTIES: worked courses of slack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gymbal_runtime.heuristics.cache.heracles import Heracles
from gymbal_runtime.heuristics.cache.parties import Parties

# One latency-critical VM and two others; the target is 0.25 of the cycles.
SHARES = [4000.0, 1000.0, 1000.0]


@pytest.fixture(name="course")
def _course(cache_host):
    """Units told to each VM for a course of stalls of the first ones, ``step_s`` apart."""

    def course(
        agent: Any, stalls: list[Any], step_s: float = 5.0, **fields: Any
    ) -> list[list[float]]:
        told = []
        for k, stall in enumerate(stalls):
            values = {"shares": SHARES, **fields}
            num_vms = len(values["shares"])
            row = np.full(num_vms, np.nan)
            row[: np.size(stall)] = stall
            record = cache_host(num_vms, units=20, time_s=step_s * k, stall_frac=row, **values)
            told.append(agent.act(record).llc_units[0].tolist())
        return told

    return course


def test_heracles_grows_best_effort_while_there_is_slack(course) -> None:
    told = course(Heracles(), [0.1] * 4)
    assert told == [[18, 2, 2], [17, 3, 3], [16, 4, 4], [15, 5, 5]]


def test_heracles_holds_shrinks_and_switches_off(course) -> None:
    # Slack 60 %, 60 %, 8 % (hold), 4 % (shrink), then -20 %: off at the next poll, at 15 s.
    told = course(Heracles(), [0.1, 0.1, 0.23, 0.24, 0.3, 0.3, 0.3, 0.1, 0.1])
    assert [units[1] for units in told] == [2, 3, 3, 2, 1, 1, 1, 1, 1]
    # After the cool-down it starts to grow again.
    told = course(Heracles(cooldown_s=15.0), [0.3, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert [units[1] for units in told] == [1, 1, 1, 2, 3, 4]


def test_heracles_load_and_bandwidth(course) -> None:
    busy = course(Heracles(), [0.1] * 3, cpu_cores=[14.0, 0.0, 0.0])
    assert [units[1] for units in busy] == [1, 1, 1]
    full = course(Heracles(), [0.1] * 3, memory_bandwidth_bytes_s=[2e10, 1e10, 1e10])
    assert [units[1] for units in full] == [2, 2, 2]


def test_heracles_without_two_kinds_shares(course) -> None:
    assert course(Heracles(), [0.1], shares=[1.0, 1.0, 1.0]) == [[20, 20, 20]]
    assert course(Heracles(), [0.1], classes=1) == [[20, 20, 20]]


def test_parties_moves_one_unit_at_a_time(course) -> None:
    # Equal parts are 7 and 13. Slack -20 % rising with each unit, then comfortable.
    told = course(Parties(), [0.3, 0.28, 0.26, 0.22, 0.22])
    assert told == [[8, 12, 12], [9, 11, 11], [10, 10, 10], [10, 10, 10], [10, 10, 10]]
    assert course(Parties(), [0.1, 0.1]) == [[6, 14, 14], [5, 15, 15]]


def test_parties_takes_back_what_hurts(course) -> None:
    # A unit is given away at slack 60 %; then slack is 0: it comes back and stays for 30 s.
    told = course(Parties(), [0.1, 0.25, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert [units[0] for units in told] == [6, 7, 7, 7, 7, 7, 7, 6]


def test_parties_takes_back_what_does_not_help(course) -> None:
    told = course(Parties(), [0.4, 0.4, 0.4])
    assert [units[0] for units in told] == [8, 7, 7]


def test_parties_among_critical_vms(course) -> None:
    # Equal shares: all are critical. The one with slack gives to the one that lacks it.
    told = course(Parties(), [[0.05, 0.3]], shares=[1.0, 1.0])
    assert told == [[9, 11]]
    assert course(Parties(), [[0.24, 0.3]], shares=[1.0, 1.0]) == [[10, 10]]


def test_bad_option() -> None:
    with pytest.raises(ValueError, match=r"parties: stall_target must lie in \[0.001, 1\], got 0"):
        Parties(stall_target=0.0)
