"""CPU weights and caps through a real libvirt with real control groups (system mode, as root)."""

import shutil

import numpy as np
import pytest

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")

from gymbal_envs.guests.agent import Agent  # noqa: E402
from gymbal_envs.guests.image import MissingRequirementError  # noqa: E402
from gymbal_envs.guests.libvirtd import domain_xml  # noqa: E402
from gymbal_envs.guests.libvirtd_system import SystemDaemon  # noqa: E402
from gymbal_runtime.adapters.libvirt import LibvirtHypervisor  # noqa: E402

MIB = 2.0**20


@pytest.fixture
def daemon(rig):
    try:
        daemon = SystemDaemon(rig.folder / "system", 2)
    except MissingRequirementError as missing:
        pytest.skip(f"no real control groups: {missing}")
    daemon.start()
    yield daemon
    daemon.close()


@pytest.fixture
def busy(daemon, rig):
    """A guest that uses all the CPU time that it gets."""
    kernel = shutil.copy(rig.image.kernel, daemon.folder)  # the daemon does not see /var/cache
    swap = daemon.folder / "busy.swap"
    with swap.open("wb") as file:
        file.truncate(64 << 20)
    image = type(rig.image)(kernel, rig.image.initrd)
    connection = libvirt.open(daemon.uri)
    connection.createXML(domain_xml("busy", image, daemon.folder / "busy.agent", swap), 0)
    agent = Agent(daemon.folder / "busy.agent")
    agent.wait_until_ready()
    agent.work(16 * MIB, 1e9)
    yield connection.lookupByName("busy")
    agent.close()
    connection.close()


def test_a_cap_holds_and_is_taken_away(daemon, busy, eventually):
    host = LibvirtHypervisor(daemon.uri, pid_folder=daemon.pid_folder)
    assert host.obeys == {"balloon_bytes", "cpu_weight", "cpu_cap_cores"}
    vms = host.vms()
    read = host.read(vms)
    assert (read["cpu_weight"][0], read["cpu_cap_cores"][0]) == (1.0, np.inf)
    found = busy.schedulerParameters()

    def uses(low, high):
        return lambda: low < host.read(vms)["cpu_cores"][0] < high

    eventually(uses(0.4, 1.1), poll_s=1.0)
    host.apply(vms, {"cpu_weight": np.array([2.0]), "cpu_cap_cores": np.array([0.2])})
    eventually(uses(0.05, 0.25), poll_s=1.0)
    successor = LibvirtHypervisor(daemon.uri, pid_folder=daemon.pid_folder)
    for each in (host, successor):  # one that was told, and one that finds it so
        read = each.read(each.vms())
        read = each.read(each.vms())
        assert (read["cpu_weight"][0], read["cpu_cap_cores"][0]) == (2.0, 0.2)
    successor.apply(vms, {"cpu_weight": np.array([1.0]), "cpu_cap_cores": np.array([np.inf])})
    assert successor.read(vms)["cpu_cap_cores"][0] == np.inf
    eventually(uses(0.4, 1.1), poll_s=1.0)
    host.apply(vms, {"cpu_cap_cores": np.array([np.inf])})
    assert busy.schedulerParameters() == found
    host.close()
    successor.close()
