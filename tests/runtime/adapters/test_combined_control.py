"""A controller on a combined host, while things happen to it."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from memory_parts import MemoryHypervisor, MemoryPart

from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.command import Command
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.heuristics import make_heuristic

GIB = 2.0**30


def rack(hypervisor, *parts, **options) -> CombinedHost:
    return CombinedHost(hypervisor, parts, name="rack", budget_bytes=8 * GIB, **options)


class Halving:
    """Tells every VM to hold half and to weigh 2."""

    name = "halving"

    def reset(self, num_hosts, num_vms, hosts=None) -> None:
        pass

    def act(self, telemetry) -> Command:
        held = np.where(telemetry.present, telemetry.actual_bytes / 2, np.nan)
        return Command(held, cpu_weight=np.where(telemetry.present, 2.0, np.nan))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_command_does_not_halve_it(control, number):
    hypervisor = MemoryHypervisor(a=2, b=3)
    weights = MemoryPart("weights", obeys=["cpu_weight"])
    obey = hypervisor.apply

    def interrupted(vms, settings) -> None:
        os.kill(os.getpid(), number)
        obey(vms, settings)

    hypervisor.apply = interrupted
    controller = control(rack(hypervisor, weights), None, Halving())
    assert controller.run(None, 60.0) == 1
    ((_, balloons),) = hypervisor.told
    np.testing.assert_array_equal(balloons["balloon_bytes"] / GIB, [1, 1.5])
    ((_, settings),) = weights.told
    np.testing.assert_array_equal(settings["cpu_weight"], [2, 2])


def test_a_hypervisor_that_restarts_and_guests_that_come_and_go(control):
    hypervisor = MemoryHypervisor(a=2, b=3)
    controller = control(rack(hypervisor), None, make_heuristic("meb"))
    assert controller.step().source == "fallback"
    hypervisor.failure = ConnectionError("libvirtd restarted")
    decision = controller.step()
    assert (decision.source, decision.reason) == ("none", "no_telemetry")
    assert "libvirtd restarted" in decision.errors[0]
    hypervisor.failure = None
    hypervisor.stop("a")
    decision = controller.step()
    assert list(decision.targets) == ["b"]
    assert decision.errors == []
    hypervisor.start("c", 1)
    assert list(controller.step().targets) == ["c", "b"]


def test_a_guest_that_cannot_be_read_or_told_does_not_cost_the_others(control):
    hypervisor = MemoryHypervisor(a=2, b=3)

    def shut_down(vms, settings) -> None:
        hypervisor.told.append(([vm.name for vm in vms], dict(settings)))
        raise OSError("a: domain is not running")

    hypervisor.apply = shut_down
    controller = control(rack(hypervisor), None, Halving(), limits=GuardLimits(dead_band_frac=0.0))
    decision = controller.step()
    assert not decision.applied
    assert decision.errors == ["apply: OSError: hypervisor: a: domain is not running"]
    hypervisor.values["actual_bytes"]["a"] = np.nan
    decision = controller.step()
    assert decision.targets == {"b": round(1.5 * GIB)}
    assert decision.telemetry["budget_bytes"] == 6 * GIB
    assert decision.errors[0] == "part: hypervisor: cannot read the memory of a"
