"""The QMP hypervisor against real QEMUs: balloons, statistics, and guests in trouble."""

import os
import signal

import numpy as np
import pytest

from gymbal_runtime.adapters.qmp import QmpHypervisor

MIB = 2.0**20
PAGE = 4096.0


@pytest.fixture
def hypervisor(rig):
    hypervisor = QmpHypervisor(rig.folder, timeout_s=5.0)
    yield hypervisor
    hypervisor.close()


def named(hypervisor):
    return [vm.name for vm in hypervisor.vms()]


def test_a_squeezed_guest_swaps_and_its_statistics_say_so(rig, hypervisor, eventually):
    squeezed, calm = rig.restored("squeezed"), rig.restored("calm")
    vms = hypervisor.vms()
    assert [(vm.name, vm.pid) for vm in vms] == [
        ("calm", calm.process.pid),
        ("squeezed", squeezed.process.pid),
    ]
    squeezed.agent.work(64 * MIB, 2000.0)
    eventually(lambda: squeezed.agent.report().anonymous_kib > 30e3)
    hypervisor.apply(vms, {"balloon_bytes": np.array([np.nan, 80 * MIB])})

    read = {}

    def swaps():
        read.update(hypervisor.read(hypervisor.vms()))
        rates = np.stack([read[name][1] for name in ("swap_in_rate", "swap_out_rate")])
        return bool(abs(read["actual_bytes"][1] - 80 * MIB) < MIB and (rates > PAGE).all())

    eventually(swaps, poll_s=0.5)
    assert read["major_fault_rate"][1] > 1
    assert read["swap_in_rate"][0] == 0
    assert read["actual_bytes"][0] == read["memory_max_bytes"][0]
    assert read["usable_bytes"][1] < 20 * MIB < read["usable_bytes"][0]
    assert (read["cpu_cores"] > 0).all()
    assert (read["steal_frac"] >= 0).all()
    assert read["age_s"] < 10
    assert squeezed.agent.report().oom_kills == 0
    assert squeezed.agent.bad_pages() == 0


def test_rates_are_those_that_the_guest_counts(rig, hypervisor, eventually):
    guest = rig.restored("guest")
    vms = hypervisor.vms()
    guest.agent.work(64 * MIB, 2000.0)
    hypervisor.apply(vms, {"balloon_bytes": np.array([84 * MIB])})
    eventually(lambda: hypervisor.read(vms)["swap_in_rate"][0] > 0, poll_s=0.5)
    before, rates = guest.agent.report(), []

    def measured():
        rates.append(hypervisor.read(vms)["swap_in_rate"][0])
        return len(rates) >= 8

    eventually(measured, poll_s=1.0)
    after = guest.agent.report()
    counted = (after.swapped_in_pages - before.swapped_in_pages) * PAGE
    counted /= after.time_s - before.time_s
    # Samples and reports are not of the same moments, and swapping comes in bursts.
    assert np.mean(rates) == pytest.approx(counted, rel=0.3)


def test_no_target_is_written_below_the_floor_or_above_the_ceiling(rig, hypervisor, eventually):
    rig.restored("guest")
    vms = hypervisor.vms()
    read = hypervisor.read(vms)
    floor, ceiling = read["memory_min_bytes"][0], read["memory_max_bytes"][0]
    assert floor == pytest.approx(0.25 * ceiling, abs=PAGE)
    written = []
    for wanted in (0.0, 1.0, floor - 1, 2 * ceiling):
        hypervisor.apply(vms, {"balloon_bytes": np.array([wanted])})
        written.append(rig.guests[0].control.execute("query-balloon")["actual"])
    hypervisor.apply(vms, {"balloon_bytes": np.array([ceiling])})
    eventually(lambda: hypervisor.read(vms)["actual_bytes"][0] == ceiling)
    assert min(written) >= floor


def test_a_guest_that_hangs_costs_its_own_row_and_comes_back(rig, hypervisor, eventually):
    frozen = rig.restored("frozen")
    rig.restored("lively")
    hypervisor = QmpHypervisor(rig.folder, timeout_s=2.0)
    assert named(hypervisor) == ["frozen", "lively"]
    os.kill(frozen.process.pid, signal.SIGSTOP)
    try:
        vms = hypervisor.vms()
        read = hypervisor.read(vms)
        assert np.isnan(read["actual_bytes"][0])
        assert read["actual_bytes"][1] == read["memory_max_bytes"][1] == read["memory_max_bytes"][0]
        wanted = np.array([100 * MIB, 150 * MIB])
        with pytest.raises(OSError, match="frozen: balloon_bytes: no answer"):
            hypervisor.apply(vms, {"balloon_bytes": wanted})
    finally:
        os.kill(frozen.process.pid, signal.SIGCONT)
    eventually(lambda: abs(hypervisor.read(vms)["actual_bytes"][1] - 150 * MIB) < MIB)
    eventually(lambda: bool(hypervisor.read(vms)["actual_bytes"][0] > 0))
    hypervisor.close()


def test_a_guest_that_shuts_down_or_restarts_is_followed(rig, hypervisor, eventually):
    leaving = rig.restored("leaving")
    rig.restored("staying")
    vms = hypervisor.vms()
    leaving.agent.power_off()
    leaving.process.wait(60)
    assert np.isnan(hypervisor.read(vms)["actual_bytes"][0])
    assert named(hypervisor) == ["staying"]
    with pytest.raises(OSError, match="leaving: balloon_bytes: it is gone"):
        hypervisor.apply(vms, {"balloon_bytes": np.array([100 * MIB, 100 * MIB])})
    again = rig.restored("leaving")
    vms = hypervisor.vms()
    assert [vm.pid for vm in vms if vm.name == "leaving"] == [again.process.pid]
    eventually(lambda: bool((hypervisor.read(vms)["usable_bytes"] > 0).all()))
