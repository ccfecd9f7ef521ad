"""What the QMP hypervisor says and writes, word for word; real QEMUs are in tests/real."""

import json
import math
import os

import numpy as np
import pytest
from fake_qmp import Monitor

from gymbal_runtime.adapters.part import Hypervisor, Vm
from gymbal_runtime.adapters.qmp import QmpHypervisor, open_host
from gymbal_runtime.adapters.qmp_guest import NOT_MEASURED

MIB = 2**20
UUID = "12345678-0000-4000-8000-000000000001"


class Qemu:
    """Answers as QEMU 7.2 does; what it was told stays in ``told``."""

    def __init__(self, **differences):
        self.told = []
        self.held = 512 * MIB
        self.returns = {
            "qmp_capabilities": {},
            "query-status": {"status": "running", "running": True},
            "query-uuid": {"UUID": UUID},
            "query-memory-size-summary": {"base-memory": 512 * MIB, "plugged-memory": 0},
            "query-cpus-fast": [{"thread-id": 2**22 + 1, "cpu-index": 0}],
            "qom-set": {},
            "balloon": {},
            "statistics": {"last-update": 0, "stats": {}},
            "devices": [{"name": "b0", "type": "child<virtio-balloon-pci>"}],
            **differences,
        }

    def __call__(self, message):
        command, given = message["execute"], message.get("arguments", {})
        if command in ("balloon", "qom-set"):
            self.told.append((command, given))
        if command == "qom-list":
            value = self.returns["devices"] if given["path"] == "/machine/peripheral" else []
        elif command == "qom-get":
            value = 0 if given["property"].endswith("interval") else self.returns["statistics"]
        elif command == "query-balloon":
            value = {"actual": self.held}
        else:
            value = self.returns[command]
        return json.dumps({"return": value, "id": message["id"]}).encode() + b"\n"


@pytest.fixture
def qemu(tmp_path):
    monitors = []

    def start(name="guest", **differences):
        made = Qemu(**differences)
        monitors.append(Monitor(tmp_path / f"{name}.qmp", made))
        return made

    yield start
    for monitor in monitors:
        monitor.close()


def test_a_guest_is_introduced_and_made_to_report(qemu, tmp_path):
    told = qemu().told
    hypervisor = QmpHypervisor(str(tmp_path), stats_period_s=2)
    assert isinstance(hypervisor, Hypervisor)
    (vm,) = hypervisor.vms()
    assert (vm.name, vm.uuid) == ("guest", UUID)
    assert vm.pid > 0
    where = {"path": "/machine/peripheral/b0", "property": "guest-stats-polling-interval"}
    assert told == [("qom-set", {**where, "value": 2})]
    assert hypervisor.vms() == [vm]
    assert len(told) == 1
    hypervisor.close()


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (0.0, 128 * MIB),
        (1e15, 512 * MIB),
        (300e6, int(300e6 // 4096) * 4096),
        (128 * MIB - 1.0, 128 * MIB),
    ],
)
def test_targets_are_written_in_whole_pages_within_the_limits(qemu, tmp_path, wanted, written):
    told = qemu().told
    hypervisor = QmpHypervisor(tmp_path)
    hypervisor.apply(hypervisor.vms(), {"balloon_bytes": np.array([wanted])})
    assert told[-1] == ("balloon", {"value": written})
    hypervisor.close()


def test_statistics_that_a_guest_does_not_report_are_not_measured(qemu, tmp_path):
    stats = {"stat-available-memory": 7 * MIB, "stat-swap-in": NOT_MEASURED, "stat-swap-out": -1}
    guest = qemu(statistics={"last-update": 1, "stats": stats})
    hypervisor = QmpHypervisor(tmp_path)
    vms = hypervisor.vms()
    old = hypervisor.read(vms)
    assert np.isnan(old["usable_bytes"][0])  # a report of 1970
    guest.returns["statistics"] = {"last-update": 2, "stats": stats}
    read = hypervisor.read(vms)
    assert read["usable_bytes"][0] == 7 * MIB
    assert np.isnan([read["swap_in_rate"][0], read["swap_out_rate"][0]]).all()
    assert read["actual_bytes"][0] == 512 * MIB
    guest.returns["statistics"] = {"last-update": "soon", "stats": None}
    assert np.isnan(hypervisor.read(vms)["usable_bytes"][0])
    hypervisor.close()


def test_a_guest_without_a_balloon_cannot_be_moved(qemu, tmp_path):
    qemu(devices=[])
    hypervisor = QmpHypervisor(tmp_path)
    vms = hypervisor.vms()
    read = hypervisor.read(vms)
    sizes = [read[n][0] for n in ("memory_min_bytes", "actual_bytes", "memory_max_bytes")]
    assert sizes == [512 * MIB] * 3
    with pytest.raises(OSError, match="guest: balloon_bytes: it has no balloon device"):
        hypervisor.apply(vms, {"balloon_bytes": np.array([256.0 * MIB])})
    hypervisor.close()


@pytest.mark.parametrize("state", ["inmigrate", "postmigrate", "shutdown"])
def test_a_qemu_that_runs_no_guest_is_no_vm(qemu, tmp_path, state):
    guest = qemu(**{"query-status": {"status": state}})
    hypervisor = QmpHypervisor(tmp_path)
    assert hypervisor.vms() == []
    guest.returns["query-status"] = {"status": "running"}
    assert [vm.name for vm in hypervisor.vms()] == ["guest"]
    hypervisor.close()


def test_a_qemu_that_answers_nonsense_is_no_vm_and_harms_nobody(qemu, tmp_path):
    qemu("odd", **{"query-uuid": [], "query-cpus-fast": "many"})
    qemu("sane")
    hypervisor = QmpHypervisor(tmp_path)
    assert [vm.name for vm in hypervisor.vms()] == ["sane"]
    hypervisor.close()


def test_sockets_may_be_named_one_by_one_and_guests_have_shares(qemu, tmp_path):
    qemu("a")
    hypervisor = QmpHypervisor(
        {"database": str(tmp_path / "a.qmp"), "gone": "/nowhere"},
        shares={"database": 4.0},
        floors={"database": "300MiB"},
    )
    vms = hypervisor.vms()
    assert [vm.name for vm in vms] == ["database"]
    read = hypervisor.read([*vms, Vm("gone")])
    assert read["shares"][0] == 4.0
    assert read["memory_min_bytes"][0] == 300 * MIB
    assert np.isnan(read["actual_bytes"][1])
    assert math.isfinite(read["host_cores"])
    hypervisor.close()


def test_a_guest_with_a_control_group_of_its_own_has_a_weight_and_a_cap(qemu, tmp_path):
    qemu("guest")
    pid, group = os.getpid(), tmp_path / "guests/one"  # the other end is this process
    (tmp_path / f"proc/{pid}").mkdir(parents=True)
    (tmp_path / f"proc/{pid}/cgroup").write_text("0::/guests/one\n")
    group.mkdir(parents=True)
    for name, text in (("cgroup.procs", pid), ("cpu.weight", 50), ("cpu.max", "max 100000")):
        (group / name).write_text(f"{text}\n")
    hypervisor = QmpHypervisor(tmp_path, proc=tmp_path / "proc", cgroups=tmp_path)
    assert hypervisor.obeys == {"balloon_bytes", "cpu_weight", "cpu_cap_cores"}
    vms = hypervisor.vms()
    read = hypervisor.read(vms)
    assert (read["cpu_weight"][0], read["cpu_cap_cores"][0]) == (0.5, np.inf)
    wanted = {"cpu_weight": np.array([2.0]), "cpu_cap_cores": np.array([0.75])}
    hypervisor.apply(vms, wanted)
    assert (group / "cpu.max").read_text() == "75000 100000\n"
    read = hypervisor.read(vms)
    assert (read["cpu_weight"][0], read["cpu_cap_cores"][0]) == (2.0, 0.75)
    (group / "cgroup.procs").write_text(f"{pid}\n1\n")
    with pytest.raises(OSError, match=r"guest: cpu_weight: .*; guest: cpu_cap_cores: process"):
        hypervisor.apply(vms, wanted)
    hypervisor.close()


def test_options_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="shares must be positive"):
        QmpHypervisor(tmp_path, shares={"a": 0.0})
    with pytest.raises(NotADirectoryError, match="no such folder of QMP sockets"):
        QmpHypervisor(tmp_path / "none")
    with pytest.raises(ValueError, match="budget is missing"):
        open_host(str(tmp_path))


def test_a_host_of_qmp_sockets(qemu, tmp_path):
    qemu("a")
    host = open_host(str(tmp_path), budget="1GiB", name="tested")
    telemetry = host.telemetry()
    assert host.vm_names == ("a",)
    assert (telemetry.actual_bytes[0, 0], telemetry.budget_bytes[0]) == (512 * MIB, 1024 * MIB)
    assert host.capabilities == {"balloon_bytes"}
    host.close()
