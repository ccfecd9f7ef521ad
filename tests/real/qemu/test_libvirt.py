"""The libvirt hypervisor against real daemons (session mode) and their guests."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")

from gymbal_envs.guests.agent import Agent  # noqa: E402
from gymbal_envs.guests.image import MissingRequirementError  # noqa: E402
from gymbal_envs.guests.libvirtd import SessionDaemon, domain_xml  # noqa: E402
from gymbal_runtime.adapters.libvirt import LibvirtHypervisor  # noqa: E402
from gymbal_runtime.adapters.libvirt_migration import LibvirtMigration  # noqa: E402
from gymbal_runtime.adapters.migration import MigrationError  # noqa: E402

MIB = 2.0**20


class Pair:
    """Two daemons side by side, on one disk."""

    def __init__(self, rig):
        rig.folder.chmod(0o755)
        rig.image.initrd.parent.parent.chmod(0o755)
        self.rig = rig
        self.folder = rig.folder
        self.daemons = [SessionDaemon(rig.folder / str(number), number) for number in (0, 1)]
        for daemon in self.daemons:
            daemon.start()
        self.agents = []

    def xml(self, name, number):
        swap = self.folder / f"{name}.swap"
        if not swap.exists():
            with swap.open("wb") as file:
                file.truncate(256 << 20)
            self.daemons[number].lend(swap)
        agent = self.daemons[number].folder / f"{name}.agent"
        return domain_xml(name, self.image, agent, swap)

    @property
    def image(self):
        """The image where user *nobody* can read it."""
        copy = self.folder / "initrd.gz"
        if not copy.exists():
            copy.write_bytes(self.rig.image.initrd.read_bytes())
        return type(self.rig.image)(self.rig.image.kernel, copy)

    def agent(self, name, number):
        self.agents.append(Agent(self.daemons[number].folder / f"{name}.agent"))
        return self.agents[-1]

    def close(self):
        for agent in self.agents:
            agent.close()
        for daemon in self.daemons:
            daemon.close()


@pytest.fixture
def pair(rig):
    try:
        pair = Pair(rig)
    except MissingRequirementError as missing:
        pytest.skip(f"no real libvirt: {missing}")
    yield pair
    pair.close()


def test_domains_are_read_moved_and_served_in_trouble(pair, eventually):
    first, second = pair.daemons
    source, destination = libvirt.open(first.uri), libvirt.open(second.uri)
    for name in ("moving", "staying"):
        source.createXML(pair.xml(name, 0), 0)
    agents = [pair.agent(name, 0) for name in ("moving", "staying")]
    for agent in agents:
        agent.wait_until_ready()
    here = LibvirtHypervisor(first.uri, pid_folder=first.pid_folder)
    there = LibvirtHypervisor(second.uri, pid_folder=second.pid_folder)

    vms = here.vms()
    assert [vm.name for vm in vms] == ["moving", "staying"]
    for vm in vms:
        assert "qemu-system" in Path(f"/proc/{vm.pid}/cmdline").read_text()
    assert here.obeys == {"balloon_bytes"}  # a session daemon has no control groups
    reads_and_squeezes(here, vms, agents[0], eventually)
    outlives_a_restarted_daemon(here, first, eventually)
    serves_others_while_one_hangs(here, eventually)

    source = libvirt.open(first.uri)
    migration = LibvirtMigration(source, "moving")
    xml = source.lookupByName("moving").XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)
    xml = xml.replace(f"{first.folder}/moving.agent", f"{second.folder}/moving.agent")
    agents[0].work(32 * MIB, 500.0)
    agents[0].close()

    def start():  # libvirt cannot know that both daemons see the same disk
        limits = {"bandwidth_bytes_s": 64 * MIB, "downtime_s": 0.3}
        migration.start(
            destination, uri="tcp:127.0.0.1", unsafe=True, destination_xml=xml, **limits
        )

    stays_where_writes_would_be_lost(source, start)
    start()
    done = migration.wait(120.0)
    assert done.status == "completed"
    assert done.transferred_bytes > 30 * MIB
    assert 0 <= done.downtime_s < done.total_s
    moved = destination.lookupByName("moving")
    if moved.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        moved.resume()
    assert [[vm.name for vm in host.vms()] for host in (here, there)] == [["staying"], ["moving"]]
    assert pair.agent("moving", 1).bad_pages() == 0
    migration.close()
    for host in (here, there):
        host.close()
    for connection in (source, destination):
        connection.close()


def stays_where_writes_would_be_lost(source, start):
    if source.getVersion() >= 9_000_000:
        return
    with pytest.raises(MigrationError, match="loses writes of a running guest"):
        start()
    source.lookupByName("moving").suspend()


def reads_and_squeezes(here, vms, agent, eventually):
    agent.work(64 * MIB, 2000.0)
    eventually(lambda: agent.report().anonymous_kib > 30e3)
    here.read(vms)
    here.apply(vms, {"balloon_bytes": np.array([84 * MIB, np.nan])})
    read = {}

    def swaps():
        read.update(here.read(vms))
        rates = [read[name][0] for name in ("swap_in_rate", "swap_out_rate", "major_fault_rate")]
        return abs(read["actual_bytes"][0] - 84 * MIB) < MIB and min(rates) > 0

    eventually(swaps, poll_s=0.5)
    assert (read["cpu_cores"] > 0).all()
    assert (read["steal_frac"] >= 0).all()
    assert read["usable_bytes"][0] < read["usable_bytes"][1]
    assert read["swap_in_rate"][1] == 0


def outlives_a_restarted_daemon(here, daemon, eventually):
    daemon.stop()
    with pytest.raises(OSError, match=r"connect|socket"):
        here.vms()
    daemon.start()
    eventually(lambda: [vm.name for vm in here.vms()] == ["moving", "staying"])
    vms = here.vms()
    here.read(vms)
    here.apply(vms, {"balloon_bytes": np.array([np.nan, 150 * MIB])})
    eventually(lambda: abs(here.read(vms)["actual_bytes"][1] - 150 * MIB) < MIB, poll_s=0.3)


def serves_others_while_one_hangs(here, eventually):
    vms = here.vms()
    os.kill(vms[0].pid, signal.SIGSTOP)
    try:
        read = here.read(vms)
        assert np.isnan(read["usable_bytes"][0])  # libvirt knows what it held
        assert read["usable_bytes"][1] > 20 * MIB
        with pytest.raises(OSError, match="moving: balloon_bytes"):
            here.apply(vms, {"balloon_bytes": np.array([90 * MIB, 160 * MIB])})
        eventually(lambda: abs(here.read(vms)["actual_bytes"][1] - 160 * MIB) < MIB, poll_s=0.3)
    finally:
        os.kill(vms[0].pid, signal.SIGCONT)
    eventually(lambda: bool(here.read(vms)["usable_bytes"][0] > 0), poll_s=0.3)
