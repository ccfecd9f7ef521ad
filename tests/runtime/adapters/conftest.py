"""A machine with cache allocation, its VMs, and random things to do to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_resctrl import FakeResctrl

from gymbal_runtime.adapters.part import Vm

MakeMachine = Callable[..., tuple[FakeResctrl, list[Vm]]]


@pytest.fixture
def machine() -> MakeMachine:
    return make_machine


def make_machine(num_vms: int = 3, threads: int = 4, **hardware) -> tuple[FakeResctrl, list[Vm]]:
    """A resctrl and VMs whose processes have that many threads each, all in the default group."""
    fake = FakeResctrl(**hardware)
    vms = [Vm(name=f"vm{k}", pid=1000 * (k + 1)) for k in range(num_vms)]
    for vm in vms:
        fake.processes[vm.pid] = set(range(vm.pid, vm.pid + threads))
    return fake, vms
