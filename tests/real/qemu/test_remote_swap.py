"""Swap over the network: what a slow remote swap device costs a real guest."""

import subprocess
import time

import pytest

from gymbal_envs.guests.image import MissingRequirementError, require
from gymbal_envs.guests.qemu import Machine
from gymbal_envs.guests.reports import GuestReports
from gymbal_runtime.adapters.qmp import QmpHypervisor

MIB = 2.0**20
DELAY_S = 0.005


@pytest.fixture
def remote_swap(rig):
    """A swap disk of memory elsewhere, each of whose requests takes 5 ms."""
    try:
        require("nbdkit")
    except MissingRequirementError as missing:
        pytest.skip(f"no remote swap: {missing}")
    path = rig.folder / "nbd"
    delays = [f"rdelay={round(DELAY_S * 1e3)}ms", f"wdelay={round(DELAY_S * 1e3)}ms"]
    command = ["nbdkit", "-f", "-U", str(path), "--filter=delay", "memory", "256M", *delays]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        deadline_s = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < deadline_s, "nbdkit does not start"
            time.sleep(0.02)
        yield Machine(swap=f"file=nbd+unix:///?socket={path},format=raw")
        rig.close()
        server.terminate()


def test_faults_take_as_long_as_the_remote_side_does(rig, remote_swap, eventually):
    guest = rig.restored("guest", remote_swap)
    hypervisor = QmpHypervisor(rig.folder, timeout_s=5.0)
    reports = GuestReports({"guest": guest.agent}, reserved_bytes=38 * MIB)
    vms = hypervisor.vms()
    guest.agent.work(64 * MIB, 1000.0)
    eventually(lambda: guest.agent.report().anonymous_kib > 40e3)
    guest.control.execute("balloon", {"value": int(84 * MIB)})
    reports.read(vms)
    read = {}

    def swaps():
        read.update(hypervisor.read(vms) | reports.read(vms))
        return bool(read["swap_in_rate"][0] > 1e5 and read["swap_latency_s"] > 0)

    eventually(swaps, poll_s=1.0)
    assert read["swap_latency_s"] > 0.9 * DELAY_S
    assert 0 <= read["psi_some_frac"][0] <= 1  # Linux 6.1 counts few swap-ins as stalls
    assert read["swap_used_bytes"][0] > MIB
    assert read["major_fault_rate"][0] < 1.1 / DELAY_S * 2  # one program, one page at a time
    reports.close()
    hypervisor.close()
