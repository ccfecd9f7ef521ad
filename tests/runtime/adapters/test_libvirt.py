"""The libvirt hypervisor against libvirt's own test driver; real daemons are in tests/real."""

import numpy as np
import pytest

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")

from gymbal_runtime.adapters.libvirt import LibvirtHypervisor, open_host  # noqa: E402
from gymbal_runtime.adapters.libvirt_domain import LibvirtDomain  # noqa: E402
from gymbal_runtime.adapters.libvirt_migration import LibvirtMigration  # noqa: E402
from gymbal_runtime.adapters.libvirt_scheduler import DomainScheduler, default_shares  # noqa: E402
from gymbal_runtime.adapters.migration import MigrationError  # noqa: E402
from gymbal_runtime.adapters.part import Vm  # noqa: E402

GIB = 2.0**30
URI = "test:///default"


@pytest.fixture
def hypervisor():
    hypervisor = LibvirtHypervisor(URI, floors={"test": "1GiB"})
    yield hypervisor
    hypervisor.close()


def test_the_domain_of_the_test_driver_is_read(hypervisor):
    vms = hypervisor.vms()
    assert [vm.name for vm in vms] == ["test"]
    assert vms[0].uuid
    read = hypervisor.read(vms)
    assert set(read) <= hypervisor.measures
    assert (read["memory_max_bytes"][0], read["actual_bytes"][0]) == (8 * GIB, 2 * GIB)
    assert read["memory_min_bytes"][0] == GIB
    assert np.isnan(read["usable_bytes"][0])  # its statistics bear the date of 1989


def test_targets_are_kept_between_floor_and_ceiling(hypervisor):
    vms = hypervisor.vms()
    hypervisor.read(vms)
    held = []
    for wanted in (3 * GIB + 5, 0.0, 99 * GIB, np.nan):
        hypervisor.apply(vms, {"balloon_bytes": np.array([wanted])})
        held.append(hypervisor.read(vms)["actual_bytes"][0])
    assert held == [3 * GIB, GIB, 8 * GIB, 8 * GIB]


def test_what_fails_is_named(hypervisor):
    vms = hypervisor.vms()
    with pytest.raises(OSError, match="test: balloon_bytes: its memory is not known yet"):
        hypervisor.apply(vms, {"balloon_bytes": np.array([GIB])})
    with pytest.raises(OSError, match="other: balloon_bytes: it is gone"):
        hypervisor.apply([Vm("other")], {"balloon_bytes": np.array([GIB])})


def test_a_domain_that_ends_disappears(hypervisor):
    vms = hypervisor.vms()
    hypervisor._libvirt.call(lambda connection: connection.lookupByName("test").destroy())
    assert hypervisor.vms() == []
    assert np.isnan(hypervisor.read(vms)["actual_bytes"][0])


def test_abilities_are_those_of_the_connection(hypervisor):
    assert hypervisor.obeys == {"balloon_bytes"}  # the driver's weight is not the QEMU driver's
    read = hypervisor.read(hypervisor.vms())
    assert np.isnan([read["cpu_weight"][0], read["cpu_cap_cores"][0]]).all()
    observer = LibvirtHypervisor(URI, read_only=True)
    assert observer.obeys == frozenset()
    observer.close()


def test_a_daemon_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match=r"Failed to connect|No such file"):
        LibvirtHypervisor(f"qemu+unix:///session?socket={tmp_path}/none")


def test_a_host_of_libvirt_needs_a_budget():
    with pytest.raises(ValueError, match="budget is missing"):
        open_host(URI)
    host = open_host(URI, budget="4GiB", name="tested")
    telemetry = host.telemetry()
    assert host.vm_names == ("test",)
    assert telemetry.budget_bytes[0] == 4 * GIB
    assert host.capabilities == {"balloon_bytes"}
    host.close()


def test_rates_of_a_bulk_record():
    domain = LibvirtDomain(Vm("a"), DomainScheduler(1024))
    stats = {
        "balloon.current": 1024, "balloon.maximum": 4096, "balloon.usable": 512,
        "balloon.swap_in": 100, "balloon.swap_out": 0, "balloon.major_fault": 7,
        "balloon.last-update": 1000, "vcpu.maximum": 3, "vcpu.0.time": 10**9,
        "vcpu.0.delay": 0, "vcpu.2.time": 10**9, "vcpu.2.delay": 10**9,
    }  # fmt: skip
    first = domain.row(stats, 1000.0, 50.0)
    assert (first["actual_bytes"], domain.ceiling_bytes) == (2**20, 2**22)
    assert np.isnan(first["swap_in_rate"])
    later = stats | {
        "balloon.swap_in": 1100, "balloon.last-update": 1004, "vcpu.0.time": 3 * 10**9,
        "vcpu.2.delay": 3 * 10**9,
    }  # fmt: skip
    row = domain.row(later, 1004.0, 54.0)
    assert row["swap_in_rate"] == 250 * 1024
    assert row["major_fault_rate"] == 0
    assert (row["cpu_cores"], row["steal_frac"]) == (0.5, 0.5)
    missing = domain.row({}, 1005.0, 55.0)
    assert all(np.isnan(missing[name]) for name in ("actual_bytes", "usable_bytes", "cpu_cores"))


def test_default_shares_are_those_of_the_kernels_control_groups(tmp_path):
    assert default_shares(tmp_path) == 1024
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    assert default_shares(tmp_path) == 100


# As libvirt 9.0 says them with cgroup v1; with v2, no quota is 2^44 - 1.
UNCAPPED = {
    "cpu_shares": 1024, "vcpu_period": 100000, "vcpu_quota": -1, "emulator_period": 100000,
    "emulator_quota": -1, "global_period": 100000, "global_quota": -1, "iothread_period": 100000,
    "iothread_quota": -1,
}  # fmt: skip
NO_QUOTA = 2**44 - 1


def test_a_scheduler_can_do_what_the_daemon_has_parameters_for():
    assert DomainScheduler(1024, UNCAPPED).settable == {"cpu_weight", "cpu_cap_cores"}
    assert DomainScheduler(1024, {"cpu_shares": 512}).settable == {"cpu_weight"}
    nothing = DomainScheduler(1024)
    assert nothing.settable == set()
    assert np.isnan([nothing.weight, nothing.cap_cores(2)]).all()


@pytest.mark.parametrize("no_quota", [-1, NO_QUOTA])
def test_a_cap_is_a_quota_of_the_whole_domain_and_can_be_taken_away(no_quota):
    scheduler = DomainScheduler(1024, {**UNCAPPED, "global_quota": no_quota})
    assert (scheduler.weight, scheduler.cap_cores(2)) == (1.0, np.inf)
    told = scheduler.parameters("cpu_cap_cores", 1.25, 2)
    assert told == {"global_quota": 125000}
    scheduler.told(told)
    assert scheduler.cap_cores(2) == 1.25
    assert scheduler.parameters("cpu_cap_cores", np.inf, 2) == {"global_quota": no_quota}
    assert scheduler.parameters("cpu_weight", 2.0, 2) == {"cpu_shares": 2048}


def test_a_period_is_kept_unless_the_quota_would_be_too_small():
    scheduler = DomainScheduler(100, {**UNCAPPED, "global_quota": 4000, "global_period": 2000})
    assert scheduler.cap_cores(4) == 2.0
    assert scheduler.parameters("cpu_cap_cores", 1.0, 4) == {"global_quota": 2000}
    told = scheduler.parameters("cpu_cap_cores", 0.25, 4)
    assert list(told.items()) == [("global_period", 100000), ("global_quota", 25000)]
    scheduler.told(told)
    assert scheduler.cap_cores(4) == 0.25
    # Found with a cap, nobody has said how this daemon writes none: the largest quota.
    assert scheduler.parameters("cpu_cap_cores", np.inf, 4) == {"global_quota": NO_QUOTA}


def test_the_quota_that_an_owner_gave_each_vcpu_counts_and_stays():
    owned = {**UNCAPPED, "vcpu_quota": 20000, "vcpu_period": 50000}
    scheduler = DomainScheduler(1024, owned)
    assert (scheduler.cap_cores(2), scheduler.cap_cores(3)) == (0.8, pytest.approx(1.2))
    assert np.isnan(scheduler.cap_cores(np.nan))
    told = scheduler.parameters("cpu_cap_cores", 0.5, 2)
    assert told == {"global_quota": 50000}
    scheduler.told(told)
    assert scheduler.cap_cores(2) == 0.5
    # Back to how it was found: the owner's quota is cap enough.
    assert scheduler.parameters("cpu_cap_cores", 0.8, 2) == {"global_quota": -1}


def test_a_migration_that_the_driver_refuses_fails():
    source = libvirt.open(URI)
    with pytest.raises(MigrationError, match="nobody"):
        LibvirtMigration(source, "nobody")
    migration = LibvirtMigration(source, "test")
    assert migration.progress().status == "none"
    with pytest.raises(MigrationError, match="not been started"):
        migration.wait(1.0)
    migration.start(source)
    with pytest.raises(MigrationError, match="the migration failed"):
        migration.wait(10.0)
    migration.close()
