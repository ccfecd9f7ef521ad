"""Hosts by configuration: parts are found by name, and mistakes are said."""

from __future__ import annotations

import sys
import types

import pytest
from memory_parts import MemoryHypervisor, MemoryPart

from gymbal_runtime.adapters import opening
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.opening import HYPERVISORS, PARTS, open_configured
from gymbal_runtime.hosts import HostError

GIB = 2.0**30


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """A module that offers a hypervisor and parts."""
    made = []

    def keep(part):
        made.append(part)
        return part

    def unreachable():
        raise ConnectionRefusedError("nobody answers")

    module = types.ModuleType("in_memory")
    module.hypervisor = lambda held=1.0: keep(MemoryHypervisor(a=held))
    module.part = lambda: keep(MemoryPart("cache", {"llc_units": 20.0}, ["llc_units"]))
    module.unreachable, module.nothing = unreachable, object
    monkeypatch.setitem(sys.modules, "in_memory", module)
    monkeypatch.setitem(HYPERVISORS, "memory", "in_memory:hypervisor")
    for name, factory in (("cache", "part"), ("far", "unreachable"), ("odd", "nothing")):
        monkeypatch.setitem(PARTS, name, f"in_memory:{factory}")
    monkeypatch.setitem(PARTS, "gone", "no_such_module_at_all:part")
    return made


def test_open_configured__hypervisor_and_parts():
    host = open_configured(
        "memory", {"held": 2.0}, [("cache", {})], name="rack", budget_bytes=4 * GIB
    )
    assert isinstance(host, CombinedHost)
    record = host.telemetry()
    assert (host.name, host.vm_names) == ("rack", ("a",))
    assert record.actual_bytes[0, 0] == 2 * GIB
    assert record.llc_units[0] == 20
    assert host.capabilities == {"balloon_bytes", "cpu_weight", "llc_units"}


@pytest.mark.parametrize(
    ("kind", "options", "parts", "budget", "message"),
    [
        ("memory", {}, [], None, "host.budget is missing"),
        ("memory", {"size": 1}, [], GIB, "hypervisor 'memory': .*'size'; it takes held"),
        ("memory", {}, [("xyz", {})], GIB, "no part 'xyz'; there are resctrl, prometheus, cache"),
        ("memory", {}, [("far", {})], GIB, "part 'far' cannot be opened: nobody answers"),
        ("memory", {}, [("gone", {})], GIB, "part 'gone' cannot be loaded: .*no_such_module"),
        ("memory", {}, [("odd", {})], GIB, "in_memory:nothing did not return a part"),
        ("memory", {}, [], -1.0, "budget_bytes must be a positive number"),
        ("xen", {}, [], None, "no host named 'xen'"),
        ("xen", {}, [("cache", {})], None, "takes no parts, budget or max_vms"),
    ],
)
def test_open_configured__mistakes(installed, kind, options, parts, budget, message):
    with pytest.raises((HostError, ValueError), match=message):
        open_configured(kind, options, parts, budget_bytes=budget)
    assert all(part.closed for part in installed)  # nothing stays open


def test_open_configured__an_installed_host_can_be_renamed(monkeypatch, fake_host):
    monkeypatch.setattr(opening.hosts, "open_host", lambda kind, **options: fake_host(names=()))
    assert open_configured("simulated", {}, name="rack").name == "rack"
