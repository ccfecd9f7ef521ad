"""Live migrations between two real QEMUs; the guest itself says whether any page was lost."""

import pytest

from gymbal_envs.guests.qemu import Guest, Machine
from gymbal_runtime.adapters.migration import MigrationError
from gymbal_runtime.adapters.qmp_migration import QmpMigration, allow_postcopy

MIB = 2.0**20


@pytest.fixture
def moving(rig, eventually):
    """A guest at work, and a QEMU that waits for it on the same disk."""
    guest = rig.restored("source")
    guest.agent.work(32 * MIB, 500.0)
    eventually(lambda: guest.agent.report().touched > 1000)
    uri = f"unix:{rig.folder}/migration"
    return guest, rig.waiting("destination", uri, guest.machine), uri


def check_arrived(source, destination, eventually):
    assert source.control.execute("query-status")["status"] == "postmigrate"
    before = destination.agent.report()
    assert before.worker_kills == 0
    assert destination.agent.bad_pages() == 0
    eventually(lambda: destination.agent.report().touched > before.touched)


def test_precopy_keeps_to_bandwidth_and_loses_nothing(moving, eventually):
    source, destination, uri = moving
    migration = QmpMigration(source.control)
    eventually(lambda: migration.dirty_rate() > 0)  # coarse: few pages are sampled
    migration.start(uri, bandwidth_bytes_s=48 * MIB, downtime_s=0.3)
    done = migration.wait(120.0)
    assert done.transferred_bytes > 40 * MIB
    assert done.transferred_bytes / done.total_s < 1.3 * 48 * MIB
    assert done.rounds >= 2
    assert 0 < done.downtime_s < done.total_s
    check_arrived(source, destination, eventually)


def test_postcopy_moves_the_guest_first(moving, eventually):
    source, destination, uri = moving
    if not allow_postcopy(destination.control):
        pytest.skip("this QEMU may not use userfaultfd, which post-copy needs")
    migration = QmpMigration(source.control)
    migration.start(uri, bandwidth_bytes_s=16 * MIB, postcopy=True)
    eventually(lambda: migration.progress().status == "active", poll_s=0.01)
    migration.switch_to_postcopy()
    migration.wait(120.0)
    check_arrived(source, destination, eventually)


def test_a_migration_that_does_not_converge_is_cancelled_and_made_up_for(rig, moving, eventually):
    source, destination, uri = moving
    source.agent.work(32 * MIB, 20000.0)
    migration = QmpMigration(source.control)
    migration.start(uri, bandwidth_bytes_s=4 * MIB, downtime_s=0.03)
    eventually(lambda: migration.progress().transferred_bytes > 2 * MIB, poll_s=0.05)
    migration.cancel()
    with pytest.raises(MigrationError, match="the migration cancelled"):
        migration.wait(30.0)
    destination.process.wait(30)  # it had been started for this one guest
    assert source.control.execute("query-status")["status"] == "running"
    source.agent.work(32 * MIB, 500.0)
    again = rig.waiting("again", uri, source.machine)
    migration.start(uri)
    migration.wait(120.0)
    check_arrived(source, again, eventually)


def test_a_migration_that_would_lose_pages_is_refused(rig):
    qemu = Guest("even", rig.folder, rig.image, Machine(memory_kib=192 * 1024))
    rig.guests.append(qemu)
    if qemu.control.execute("query-version")["qemu"]["major"] >= 9:
        pytest.skip("this QEMU loses none")
    with pytest.raises(MigrationError, match="loses writes of a running guest"):
        QmpMigration(qemu.control).start("unix:/nowhere")


def test_a_failure_is_told(rig):
    guest = rig.restored("guest")
    migration = QmpMigration(guest.control)
    migration.start(f"unix:{rig.folder}/nobody")
    with pytest.raises(MigrationError, match="the migration failed"):
        migration.wait(30.0)
    assert guest.control.execute("query-status")["status"] == "running"
