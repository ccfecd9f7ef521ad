from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.heuristics.devices import BusiestIo, Emulated, wanted_io

MB = 1e6


def _host(one_host, io_mb, mode=0.0, *, time_s=0.0, slots=1.0, **fields):
    num_vms = len(io_mb)
    record = one_host(
        1e4,
        [800] * num_vms,
        time_s=time_s,
        io_rate_bytes_s=np.array(io_mb) * MB,
        device_mode=mode,
        active_bytes=800.0 * 2**20,
        **{"io_wait_frac": 0.0, **fields},
    )
    return replace(record, passthrough_slots=np.array([slots]))


def _modes(agent, *records) -> list[float]:
    for record in records:
        told = agent.act(record).device_mode[0]
    return told.tolist()


def test_wanted_io(one_host) -> None:
    record = _host(one_host, [10, 10, np.nan], io_wait_frac=[0.5, np.nan, 0])
    np.testing.assert_allclose(wanted_io(record) / MB, [[20, 10, np.nan]])


def test_emulated(one_host) -> None:
    told = _modes(Emulated(), _host(one_host, [500, 500, 1], [1, 0, np.nan]))
    np.testing.assert_array_equal(told, [0, 0, np.nan])


@pytest.mark.parametrize(
    ("slots", "expected"),
    [(0, [0, 0, 0, 0]), (1, [0, 1, 0, 0]), (2.9, [1, 1, 0, 0]), (4, [1, 1, 0, 1])],
)
def test_the_busiest_get_what_there_is(one_host, slots: float, expected: list[int]) -> None:
    # 10 MB/s are not worth a switch.
    assert _modes(BusiestIo(), _host(one_host, [200, 300, 10, 100], slots=slots)) == expected


def test_shares_and_waits_count(one_host) -> None:
    assert _modes(BusiestIo(), _host(one_host, [200, 300], shares=[1000, 500])) == [1, 0]
    assert _modes(BusiestIo(), _host(one_host, [200, 300], io_wait_frac=[0.5, 0])) == [1, 0]


def test_without_a_word_on_slots_or_modes_nobody_is_touched(one_host) -> None:
    assert np.isnan(_modes(BusiestIo(), _host(one_host, [200, 300], slots=np.nan))).all()
    told = _modes(BusiestIo(), _host(one_host, [200, 300], [0, np.nan]))
    np.testing.assert_array_equal(told, [1, np.nan])


def test_a_newcomer_must_be_busier_by_a_margin(one_host) -> None:
    agent = BusiestIo(margin=0.3)
    assert _modes(agent, _host(one_host, [200, 250], [1, 0])) == [1, 0]
    assert _modes(BusiestIo(margin=0.3), _host(one_host, [200, 270], [1, 0])) == [0, 1]


def test_nobody_switches_twice_within_the_dwell_time(one_host) -> None:
    agent = BusiestIo(dwell_s=60.0, smoothing_s=0.0)
    _modes(agent, _host(one_host, [200, 300], [1, 0]))  # told [0, 1]
    told = [
        _modes(agent, _host(one_host, [900, 300], [0, 1], time_s=5.0 + 5.0 * k)) for k in range(13)
    ]
    assert told == [[0, 1]] * 12 + [[1, 0]]


def test_idle_devices_are_taken_back(one_host) -> None:
    assert _modes(BusiestIo(), _host(one_host, [6, 0], [1, 0])) == [1, 0]
    assert _modes(BusiestIo(), _host(one_host, [4, 0], [1, 0])) == [0, 0]


def test_vms_that_hold_what_they_need_are_preferred(one_host) -> None:
    # Half of what the first holds is not needed: pinning it would waste it.
    working_set = np.array([400.0, 800.0]) * 2**20
    record = replace(_host(one_host, [300, 250]), active_bytes=working_set[None])
    assert _modes(BusiestIo(pin_penalty=0.5), record) == [0, 1]
    assert _modes(BusiestIo(pin_penalty=0.0), record) == [1, 0]


def test_slots_may_vanish(one_host) -> None:
    agent = BusiestIo(period_s=60.0)
    assert _modes(agent, _host(one_host, [200, 300], slots=2)) == [1, 1]
    # Also between two decisions.
    assert sum(_modes(agent, _host(one_host, [200, 300], [1, 1], slots=1, time_s=5.0))) == 1


def test_bad_parameter() -> None:
    with pytest.raises(ValueError, match=r"busiest_io: margin must lie in \[0, inf\], got -1"):
        BusiestIo(margin=-1)
