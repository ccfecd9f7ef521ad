"""CombinedHost: a part that fails costs its own fields, a VM keeps its slot."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from memory_parts import MemoryHypervisor, MemoryPart

from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.command import Command
from gymbal_runtime.host import Host
from gymbal_runtime.plausibility import plausible_hosts

GIB = 2.0**30


def combined(hypervisor, *parts, **options) -> CombinedHost:
    return CombinedHost(
        hypervisor, parts, **{"name": "rack", "budget_bytes": 8 * GIB, "timeout_s": 5.0, **options}
    )


def test_telemetry__merges_what_the_parts_measure():
    hypervisor = MemoryHypervisor(a=1, b=2)
    hypervisor.values["cpu_cores"] = {"a": 0.5, "b": 1.5}
    hypervisor.values["age_s"] = 3.0
    curve = np.arange(16.0).reshape(2, 8)
    cache = MemoryPart("cache", {"llc_units": 20.0, "llc_class": {"a": 0, "b": 1}})
    guests = MemoryPart("guests", {"cpu_cores": {"a": np.nan, "b": 9}, "lru_hit_rate": curve})
    host = combined(hypervisor, cache, guests)
    record = host.telemetry()
    assert isinstance(host, Host)
    assert host.errors == []
    assert host.vm_names == ("a", "b")
    assert plausible_hosts(record).all()
    np.testing.assert_array_equal(record.actual_bytes[0] / GIB, [1, 2])
    np.testing.assert_array_equal(record.cpu_cores[0], [0.5, 9])  # the later, where it measured
    np.testing.assert_array_equal(record.llc_class[0], [0, 1])
    np.testing.assert_array_equal(record.lru_hit_rate[0], curve)
    assert record.llc_units[0] == 20
    assert record.age_s[0] == 3
    assert record.budget_bytes[0] == 8 * GIB
    assert np.isnan(record.usable_bytes).all()


def test_telemetry__vms_keep_their_slots():
    hypervisor = MemoryHypervisor(a=1, b=1.5, c=2)
    host = combined(hypervisor)
    host.telemetry()
    hypervisor.stop("a")
    record = host.telemetry()
    assert host.vm_names == ("", "b", "c")
    np.testing.assert_array_equal(record.present[0], [False, True, True])
    hypervisor.start("d", 0.5)
    hypervisor.start("e", 0.25)
    record = host.telemetry()
    assert host.vm_names == ("d", "b", "c", "e")
    np.testing.assert_array_equal(record.actual_bytes[0] / GIB, [0.5, 1.5, 2, 0.25])
    for name in "bce":
        hypervisor.stop(name)
    assert host.telemetry().num_vms == 1
    hypervisor.stop("d")
    assert host.telemetry().num_vms == 0


@pytest.mark.parametrize("failure", [OSError("gone"), RuntimeError("a bug"), KeyError("x")])
def test_telemetry__a_part_that_fails_costs_its_own_fields(failure):
    broken = MemoryPart("exporter", {"usable_bytes": {"a": GIB}})
    host = combined(MemoryHypervisor(a=2), broken)
    assert host.telemetry().usable_bytes[0, 0] == GIB
    broken.failure = failure
    record = host.telemetry()
    assert np.isnan(record.usable_bytes).all()
    assert record.actual_bytes[0, 0] == 2 * GIB
    (error,) = host.errors
    assert error.startswith("exporter: ")
    broken.failure = None
    assert host.telemetry().usable_bytes[0, 0] == GIB
    assert host.errors == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speed": {"a": 1.0}}, "no telemetry field 'speed'"),
        ({"usable_bytes": np.zeros(3)}, r"usable_bytes has shape \(3,\), expected \(1,\)"),
        ({"llc_units": "many"}, "llc_units is not numbers"),
        ({"age_s": 31.0}, "its values are 31 s old"),
        ({"age_s": np.nan}, "its values are nan s old"),
    ],
)
def test_telemetry__nonsense_of_a_part_is_said(values, message):
    part = MemoryPart("odd", {"psi_some_frac": {"a": 0.5}, **values})
    host = combined(MemoryHypervisor(a=2), part)
    record = host.telemetry()
    (error,) = host.errors
    assert re.search(message, error)
    assert np.isnan(record.psi_some_frac[0, 0]) == ("age_s" in values)


def test_telemetry__without_the_hypervisor_there_is_no_record():
    hypervisor = MemoryHypervisor(a=2)
    hypervisor.failure = ConnectionError("libvirtd restarted")
    with pytest.raises(OSError, match="hypervisor: libvirtd restarted"):
        combined(hypervisor).telemetry()


def test_telemetry__an_unreadable_vm_keeps_its_memory():
    hypervisor = MemoryHypervisor(a=2, b=1)
    host = combined(hypervisor)
    host.telemetry()
    hypervisor.values["actual_bytes"]["a"] = np.nan
    record = host.telemetry()
    np.testing.assert_array_equal(record.present[0], [False, True])
    assert host.vm_names == ("a", "b")  # it is still there: nobody forgets it
    assert record.budget_bytes[0] == 6 * GIB
    assert host.errors == ["hypervisor: cannot read the memory of a"]
    hypervisor.stop("b")
    hypervisor.start("never-seen", np.nan)
    assert host.telemetry().budget_bytes[0] == (8 - 2 - 4) * GIB


def test_telemetry__a_silent_vm_may_still_grow_to_what_it_was_told():
    hypervisor = MemoryHypervisor(a=2, b=1)
    host = combined(hypervisor)
    host.telemetry()
    host.apply(Command(np.array([[3.0, 1.0]]) * GIB))
    hypervisor.values["actual_bytes"]["a"] = np.nan
    assert host.telemetry().budget_bytes[0] == 5 * GIB
    host.apply(Command(np.array([[np.nan, 2.0]]) * GIB))
    assert host.telemetry().budget_bytes[0] == 5 * GIB
    hypervisor.values["actual_bytes"]["a"] = 2.5 * GIB
    assert host.telemetry().budget_bytes[0] == 8 * GIB


def test_telemetry__no_slot_left():
    host = combined(MemoryHypervisor(a=1, b=2, c=3), max_vms=2)
    record = host.telemetry()
    assert host.vm_names == ("a", "b")
    assert record.budget_bytes[0] == 5 * GIB
    assert host.errors == ["slots: none is left for c"]


def test_telemetry__a_part_that_hangs_is_left_behind():
    release = threading.Event()
    slow = MemoryPart("slow", {"usable_bytes": {"a": GIB}}, ["llc_units"])
    quick = slow.read
    slow.read = lambda vms: release.wait(10) and quick(vms)
    host = combined(MemoryHypervisor(a=2), slow, timeout_s=0.5)
    assert np.isnan(host.telemetry().usable_bytes[0, 0])
    assert "slow did not answer within" in host.errors[0]
    assert host.telemetry().actual_bytes[0, 0] == 2 * GIB
    assert "slow has not answered for" in host.errors[0]
    with pytest.raises(OSError, match="slow has not answered for"):
        host.apply(Command(np.array([[GIB]]), llc_units=np.array([[3.0]])))
    release.set()
    host._workers[1]._pending.result(10)  # its late answer, which goes nowhere
    assert host.telemetry().usable_bytes[0, 0] == GIB
    assert host.errors == []


def test_apply__gives_each_part_what_it_obeys():
    hypervisor = MemoryHypervisor(a=1, b=2, c=3)
    cache = MemoryPart("cache", obeys=["llc_class", "llc_units"])
    weights = MemoryPart("weights", obeys=["cpu_weight"])
    host = combined(hypervisor, cache, weights)
    assert host.capabilities == {"balloon_bytes", "cpu_weight", "llc_class", "llc_units"}
    host.telemetry()
    hypervisor.stop("a")
    hypervisor.here.reverse()
    host.telemetry()
    row = np.array([[np.nan, 5.0, 6.0]])
    host.apply(Command(row * GIB, llc_units=row, cpu_weight=np.full((1, 3), np.nan)))
    ((names, settings),) = hypervisor.told
    assert names == ["c", "b"]
    assert list(settings) == ["balloon_bytes"]
    np.testing.assert_array_equal(settings["balloon_bytes"] / GIB, [6, 5])
    ((_, settings),) = cache.told
    np.testing.assert_array_equal(settings["llc_units"], [6, 5])
    assert weights.told == []  # nothing was said about weights


def test_apply__failures_are_collected_after_all_were_tried():
    hypervisor = MemoryHypervisor(a=1)
    broken = MemoryPart("cache", obeys=["llc_units"])
    weights = MemoryPart("weights", obeys=["cpu_weight"])
    host = combined(hypervisor, broken, weights)
    host.telemetry()
    one = np.ones((1, 1))
    broken.failure = OSError("read only")
    command = Command(one, llc_units=one, cpu_weight=one, device_mode=one)
    with pytest.raises(OSError, match="no part of the host obeys device_mode; cache: read only"):
        host.apply(command)
    assert hypervisor.told
    assert weights.told


def test_close__closes_all_parts():
    hypervisor, part = MemoryHypervisor(a=1), MemoryPart("cache")
    combined(hypervisor, part).close()
    assert hypervisor.closed
    assert part.closed


def test_combined_host__needs_a_budget():
    with pytest.raises(ValueError, match="budget_bytes must be a positive number"):
        combined(MemoryHypervisor(), budget_bytes=float("nan"))
