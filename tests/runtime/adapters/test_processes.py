"""What the host's kernel says about the processes that guests are."""

import math
import os
import threading
import time

import pytest

from gymbal_runtime.adapters.cgroup import CpuGroups
from gymbal_runtime.adapters.vcpu_time import VcpuTime, steal_frac


def test_a_busy_thread_uses_cores_and_may_wait_for_them():
    ready, done = threading.Event(), threading.Event()
    ids = []

    def spin():
        ids.append(threading.get_native_id())
        ready.set()
        while not done.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert ready.wait(10)
        used = VcpuTime(os.getpid(), [*ids, *ids])
        assert all(math.isnan(value) for value in used.read(time.monotonic()))
        time.sleep(0.3)
        cores, steal = used.read(time.monotonic())
    finally:
        done.set()
        thread.join()
    assert 0.01 < cores < 1.1
    assert 0.0 <= steal < 1.0


def test_threads_that_are_gone_or_unknown_are_not_measured():
    assert all(math.isnan(value) for value in VcpuTime(1, []).read(0.0))
    assert all(math.isnan(value) for value in VcpuTime(2**30, [2**30]).read(0.0))
    assert math.isnan(steal_frac(0.0, 0.0))
    assert steal_frac(1.0, 3.0) == 0.75


@pytest.fixture
def groups(tmp_path):
    """Trees shaped like the kernel's; a machine may have cgroup v1 only."""
    for pid, group in ((7, "guests/seven"), (8, "shared"), (9, "shared")):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/cgroup").write_text(f"3:cpu:/old\n0::/{group}\n")
    for group, members in (("guests/seven", "7\n"), ("shared", "8\n9\n")):
        (tmp_path / group).mkdir(parents=True)
        (tmp_path / group / "cgroup.procs").write_text(members)
        (tmp_path / group / "cpu.weight").write_text("100\n")
        (tmp_path / group / "cpu.max").write_text("max 100000\n")
    return CpuGroups(tmp_path, tmp_path / "proc"), tmp_path / "guests/seven"


def test_a_weight_of_one_is_the_kernels_default(groups):
    cpu, group = groups
    file = group / "cpu.weight"
    assert cpu.writable(7) == {"cpu_weight", "cpu_cap_cores"}
    assert cpu.weight(7) == 1.0
    cpu.write(7, "cpu_weight", 2.5)
    assert (cpu.weight(7), file.read_text()) == (2.5, "250\n")
    cpu.write(7, "cpu_weight", 1e6)
    assert file.read_text() == "10000\n"


@pytest.mark.parametrize(
    ("before", "cap", "after"),
    [
        ("max 100000\n", 2.5, "250000 100000\n"),
        ("250000 50000\n", 0.3, "15000 50000\n"),
        ("250000 50000\n", math.inf, "max 50000\n"),
        ("max 1000\n", 0.5, "50000 100000\n"),  # the kernel takes no quota under 1 ms
        ("max 100000\n", 1e-9, "1000 100000\n"),
        ("max 100000\n", 1e300, "max 100000\n"),
    ],
)
def test_a_cap_is_a_quota_in_the_period_that_is_found(groups, before, cap, after):
    cpu, group = groups
    (group / "cpu.max").write_text(before)
    cpu.write(7, "cpu_cap_cores", cap)
    assert (group / "cpu.max").read_text() == after


@pytest.mark.parametrize(
    ("said", "cap"),
    [("max 100000\n", math.inf), ("150000 100000\n", 1.5), ("\n", math.nan), ("a b\n", math.nan)],
)
def test_a_cap_is_read_in_cores(groups, said, cap):
    cpu, group = groups
    (group / "cpu.max").write_text(said)
    assert cpu.cap_cores(7) == pytest.approx(cap, nan_ok=True)


def test_without_the_cpu_controller_there_is_nothing_to_set(groups):
    cpu, group = groups
    (group / "cpu.max").unlink()
    assert cpu.writable(7) == {"cpu_weight"}
    assert math.isnan(cpu.cap_cores(7))
    with pytest.raises(OSError, match="No such file"):
        cpu.write(7, "cpu_cap_cores", 1.0)


@pytest.mark.parametrize("pid", [8, 10])
def test_a_group_that_is_shared_or_unknown_is_left_alone(groups, pid):
    cpu, _ = groups
    assert not cpu.writable(pid)
    assert math.isnan(cpu.weight(pid))
    assert math.isnan(cpu.cap_cores(pid))
    for field in ("cpu_weight", "cpu_cap_cores"):
        with pytest.raises(PermissionError, match=f"process {pid} has no control group of its own"):
            cpu.write(pid, field, 2.0)
