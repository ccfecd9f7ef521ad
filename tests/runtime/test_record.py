"""Records as JSON: there and back, and nothing else gets in."""

from __future__ import annotations

from dataclasses import fields

import msgspec
import numpy as np
import pytest

from gymbal_runtime.record import HostRecord, record_of, telemetry_of
from gymbal_runtime.slots import Slots
from gymbal_runtime.telemetry import Telemetry

SMALL = {"name": "a", "memory_max_bytes": 2, "actual_bytes": 1}


def decode(record: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(record), type=HostRecord)


def test_there_and_back(make_whole_record):
    record = make_whole_record(np.random.default_rng(0), 1, 5)
    record.usable_bytes[0, 2] = np.nan
    record.cpu_cap_cores[0] = [np.inf, 0.5, np.nan, 2.0, 0.0]
    record.llc_miss_curve[0, 1] = np.nan
    record.lru_hit_rate[0, 1, 3] = np.nan
    names = ("a", "b", "c", "d", "e")
    there = decode(record_of(record, names))
    back, kept = telemetry_of(there, Slots())
    assert kept == names
    for field in fields(Telemetry):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(record, field.name))


def test_absent_vms_are_left_out_and_slots_are_kept(make_record):
    record = make_record(np.random.default_rng(0), 1, 3)
    slots = Slots()
    telemetry_of(decode(record_of(record, ("a", "b", "c"))), slots)
    record.present[0, 1] = False
    written = record_of(record, ("a", "b", "c"))
    assert [vm.name for vm in written.vms] == ["a", "c"]
    back, names = telemetry_of(decode(written), slots)
    assert names == ("a", "", "c")
    np.testing.assert_array_equal(back.present, record.present)


def test_infinite_and_nan_are_not_measured(make_record):
    record = make_record(np.random.default_rng(0), 1, 2)
    record.swap_in_rate[0] = [np.inf, np.nan]
    assert b"swap_in_rate" not in msgspec.json.encode(record_of(record, ("a", "b")))


def test_no_cap_is_said_and_may_be_said(make_record):
    record = make_record(np.random.default_rng(0), 1, 3)
    record.cpu_cap_cores[0] = [np.inf, 1.5, -np.inf]
    written = msgspec.json.decode(msgspec.json.encode(record_of(record, ("a", "b", "c"))))
    assert [vm.get("cpu_cap_cores") for vm in written["vms"]] == ["inf", 1.5, None]


def test_a_vm_that_nobody_can_decide_on_is_left_out(make_record):
    record = make_record(np.random.default_rng(0), 1, 3)
    record.actual_bytes[0, 1] = np.nan
    record.shares[0, 2] = np.inf
    assert [vm.name for vm in record_of(record, ("a", "b", "c")).vms] == ["a"]


def test_broken_records_can_be_written(fuzz_record):
    batch = fuzz_record(np.random.default_rng(0), 300)
    for k in range(300):
        written = record_of(batch.take_hosts(np.array([k])), tuple("abcdef"))
        assert msgspec.json.decode(msgspec.json.encode(written))


def test_least_record():
    back, names = telemetry_of(decode({"time_s": 1, "budget_bytes": 4, "vms": [SMALL]}), Slots())
    assert names == ("a",)
    assert back.shares[0, 0] == 1
    assert back.memory_min_bytes[0, 0] == 0
    assert np.isnan(back.usable_bytes[0, 0])


@pytest.mark.parametrize(
    ("vms", "message"),
    [
        ([{**SMALL, "speed": 1}], "unknown field `speed`"),
        ([{"name": "a"}], "missing required field"),
        ([{**SMALL, "name": ""}], "length >= 1"),
        ([{**SMALL, "usable_bytes": "3"}], "Expected `float | null`"),
        ([{**SMALL, "usable_bytes": "inf"}], "Expected `float | null`"),
        ([{**SMALL, "cpu_cap_cores": "none"}], "Invalid enum value 'none'"),
        ([SMALL, SMALL], "cannot be told apart"),
        ([{**SMALL, "lru_hit_rate": [1.0]}], "lru_hit_rate has 1 values, expected 8"),
        ([{**SMALL, "name": str(k)} for k in range(5000)], "length <= 4096"),
    ],
)
def test_nonsense_is_refused(vms, message):
    with pytest.raises((msgspec.ValidationError, ValueError), match=message.replace("|", r"\|")):
        telemetry_of(decode({"time_s": 1, "budget_bytes": 4, "vms": vms}), Slots())
