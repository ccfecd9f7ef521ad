from __future__ import annotations

from typing import Any

import pytest

from gymbal_runtime.heuristics.cache.dcat import DCat

BUSY = {"llc_reference_rate": 1e7, "instruction_rate": 1e9, "cycle_rate": 1e9, "llc_miss_rate": 5e6}


@pytest.fixture(name="course")
def _course(cache_host):
    """Tells an agent a course of readings, 5 s apart, and returns the units told each time."""

    def course(
        readings: list[dict[str, Any]], num_vms: int = 2, **options: Any
    ) -> list[list[float]]:
        agent = DCat(**options)
        return [
            agent.act(cache_host(num_vms, time_s=5.0 * k, **{**BUSY, **reading}))
            .llc_units[0]
            .tolist()
            for k, reading in enumerate(readings)
        ]

    return course


def test_a_donor_gives_and_a_receiver_takes_one_way_at_a_time(course) -> None:
    # The first misses 1 % of its references; the second's IPC rises by 10 % with each way.
    told = course(
        [{"llc_miss_rate": [1e5, 5e6], "instruction_rate": [1e9, 1e9 * 1.1**k]} for k in range(4)],
        phase_frac=9.0,
    )
    assert told == [[6, 6], [5, 7], [4, 8], [3, 9]]


def test_growth_ends_where_it_does_not_help(course) -> None:
    donor = {"llc_miss_rate": [1e5, 5e6]}
    ipc = [1.0, 1.0, 1.1, 1.1, 1.1]  # the first further way helps, the second does not
    readings = [{**donor, "instruction_rate": [1e9, 1e9 * x]} for x in ipc]
    assert [units[1] for units in course(readings, phase_frac=9.0)] == [6, 7, 8, 8, 8]


def test_a_phase_change_gives_the_baseline_back(course) -> None:
    told = course(
        [{"llc_miss_rate": [1e5, 5e6]}] * 4
        + [{"llc_miss_rate": [5e6, 5e6], "llc_reference_rate": [3e7, 1e7]}]
    )
    assert told[3][0] < 6 < told[3][1]
    assert told[4] == [6, 6]


def test_a_streaming_program_falls_to_the_minimum(course) -> None:
    donor = {"llc_miss_rate": [1e5, 1e5, 5e6]}
    told = [units[2] for units in course([donor] * 9, num_vms=3, streaming_multiple=1.5)]
    assert told == [4, 5, 6, 1, 1, 1, 1, 1, 1]


def test_unknown_readings_keep_the_baseline(course) -> None:
    assert course([{"instruction_rate": float("nan")}] * 3) == [[6, 6]] * 3


def test_bad_option() -> None:
    with pytest.raises(ValueError, match=r"dcat: miss_ratio must lie in \[0, 1\], got 2"):
        DCat(miss_ratio=2.0)
