from __future__ import annotations

import numpy as np

from gymbal_runtime.cluster.suffering import Floors, above_floors, elapsed_s, note


def _blank():
    return np.full((1, 1, 1), np.nan), np.full((1, 1, 1), np.nan)


def _feel(onset, last, time_s, above):
    now = np.array([time_s])
    return float(note(onset, last, now, np.full((1, 1, 1), above), 30.0)[0, 0, 0])


def test_an_overload_lasts_until_it_has_been_quiet_for_long_enough():
    onset, last = _blank()
    for time_s in (10.0, 20.0, 30.0):
        assert np.isnan(_feel(onset, last, time_s, True))
    assert elapsed_s(onset, np.array([30.0]))[0, 0, 0] == 20.0
    assert np.isnan(_feel(onset, last, 40.0, False))
    assert np.isnan(_feel(onset, last, 50.0, True))  # the gap was too short to end it
    assert onset[0, 0, 0] == 10.0
    assert np.isnan(_feel(onset, last, 70.0, False))
    assert _feel(onset, last, 80.0, False) == 40.0  # from 10 to 50, without the quiet
    assert elapsed_s(onset, np.array([80.0]))[0, 0, 0] == 0.0


def test_what_never_began_does_not_end():
    onset, last = _blank()
    for time_s in (0.0, 100.0, 200.0):
        assert np.isnan(_feel(onset, last, time_s, False))


def test_above_floors__by_rate_or_by_stall_and_not_where_nothing_is_measured(two_hosts, with_vm):
    record = two_hosts()
    assert not above_floors(record, Floors()).any()
    assert above_floors(with_vm(record, 0, 0, swap_in_rate=2e6), Floors())[0, 0, 0]
    assert above_floors(with_vm(record, 0, 1, psi_some_frac=0.2), Floors())[0, 0, 1]
    blind = with_vm(record, 0, 0, swap_in_rate=np.nan, psi_some_frac=np.nan)
    assert not above_floors(blind, Floors()).any()
    garbage = with_vm(record, 0, 2, swap_in_rate=1e9)  # an empty slot
    assert not above_floors(garbage, Floors()).any()
