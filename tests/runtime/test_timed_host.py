"""TimedHost: a host that hangs costs decisions and not the controller."""

from __future__ import annotations

import threading

import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.timed_host import TimedHost


@pytest.fixture
def hanging(record, fake_host):
    host = fake_host(record)
    host.release = threading.Event()
    quick = host.telemetry
    host.telemetry = lambda: host.release.wait(20) and quick()
    yield host
    host.release.set()


def test_step__a_host_that_hangs_is_said_and_comes_back(control, bundle, hanging):
    host = TimedHost(hanging, 0.05)
    controller = control(host, bundle.agent(), deadline_s=60.0)
    decision = controller.step()
    assert (decision.source, decision.reason) == ("none", "no_telemetry")
    assert decision.errors == ["read: TimeoutError: host fake did not answer within 0.05 s"]
    assert "has not answered for" in controller.step().errors[0]
    hanging.release.set()
    host._worker._pending.result(10)  # its late answer, which goes nowhere
    host._timeout_s = 10
    decision = controller.step()
    assert decision.source == "policy"
    assert decision.applied
    controller.host.close()
    assert hanging.closed


def test_apply__hangs(control, bundle, record, fake_host):
    host, release = fake_host(record), threading.Event()
    host.apply = lambda command: release.wait(20)
    controller = control(TimedHost(host, 0.5), bundle.agent(), deadline_s=60.0)
    decision = controller.step()
    assert not decision.applied
    assert decision.errors == ["apply: TimeoutError: host fake did not answer within 0.5 s"]
    assert controller.step().reason == "no_telemetry"  # one call at a time
    release.set()


def test_it_passes_on_what_the_host_says(record, fake_host):
    inner = fake_host(record, OSError("gone"))
    inner.capabilities, inner.errors = frozenset({"cpu_weight"}), ["x: y"]
    host = TimedHost(inner, 5.0)
    assert host.telemetry() is record
    assert (host.vm_names, host.errors) == (inner.vm_names, ["x: y"])
    assert host.capabilities == {"cpu_weight"}
    host.apply(Command.no_change(1, 6))
    assert len(inner.commands) == 1
    with pytest.raises(OSError, match="gone"):
        host.telemetry()
    host.close()


def test_close__of_a_host_that_hangs(hanging):
    host = TimedHost(hanging, 0.05)
    with pytest.raises(TimeoutError):
        host.telemetry()
    host.close()
    assert not hanging.closed
