"""The cache is divided as told, measured, and left as configured."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from fake_resctrl import FakeResctrl

from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.part import HostPart, Vm
from gymbal_runtime.adapters.resctrl import Resctrl
from gymbal_runtime.command import Command

NAN = np.nan


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def divide(classes: list[float], units: list[float]) -> dict[str, np.ndarray]:
    return {"llc_class": np.array(classes, float), "llc_units": np.array(units, float)}


def masks_of(fake: FakeResctrl, vms: list[Vm]) -> list[int]:
    """The mask that every thread of each VM has."""
    masks = []
    for vm in vms:
        groups = {fake.place(thread)[0] for thread in fake.processes[vm.pid]}
        assert len(groups) == 1
        tables = fake.groups[groups.pop()].masks.values()
        held = {mask for table in tables for mask in table.values()}
        assert len(held) == 1
        masks.append(held.pop())
    return masks


def test_it_is_a_part_of_a_host(machine) -> None:
    fake, vms = machine()
    part = Resctrl(files=fake)
    assert isinstance(part, HostPart)
    assert part.obeys == {"llc_class", "llc_units"}
    read = part.read(vms)
    assert read.keys() <= part.measures
    assert read["llc_bytes"] == pytest.approx(16777200)
    assert (read["llc_units"], read["llc_classes"], read["llc_min_units"]) == (20, 3, 2)
    assert read["llc_recolours"] == 0
    # Nothing was divided yet: one class with the whole cache.
    np.testing.assert_array_equal(read["llc_class"], [0, 0, 0])
    np.testing.assert_array_equal(read["llc_units_held"], [20, 20, 20])


def test_classes_lie_side_by_side_and_all_threads_are_in_them(machine) -> None:
    fake, vms = machine()
    part = Resctrl(files=fake)
    part.apply(vms, divide([0, 1, 1], [4, 16, 16]))
    assert masks_of(fake, vms) == [0xF, 0xFFFF0, 0xFFFF0]
    read = part.read(vms)
    np.testing.assert_array_equal(read["llc_class"], [0, 1, 1])
    np.testing.assert_array_equal(read["llc_units_held"], [4, 16, 16])
    assert not fake.refused


def test_what_is_so_already_is_not_written(machine) -> None:
    fake, vms = machine()
    part = Resctrl(files=fake)
    part.apply(vms, divide([0, 1, 1], [4, 16, 16]))
    part.read(vms)
    writes = len(fake.writes)
    part.apply(vms, divide([2, 0, 0], [4, 16, 16]))  # other names, other places
    assert sorted(fake.groups) == ["", "gymbal-0", "gymbal-1"]
    assert len(fake.writes) == writes + 2  # both masks and no thread
    part.apply(vms, divide([2, 0, 0], [4, 16, 16]))
    part.read(vms)
    assert len(fake.writes) == writes + 2


def test_vms_that_are_told_nothing_stay(machine) -> None:
    fake, vms = machine()
    part = Resctrl(files=fake)
    part.apply(vms, divide([NAN, NAN, NAN], [NAN, NAN, NAN]))
    assert not fake.writes
    part.apply(vms, divide([1, 0, NAN], [3, 5, NAN]))
    assert masks_of(fake, vms) == [0xE0, 0x1F, 0xFFFFF]


def test_a_thread_that_starts_is_found(machine) -> None:
    fake, vms = machine(1, closids=2)
    part = Resctrl(files=fake)
    accept, born = fake.write, iter(range(1500, 1503))

    def write(path: str, text: str) -> None:
        accept(path, text)
        if (new := next(born, None)) is not None:
            fake.processes[1000].add(new)

    fake.write = write
    part.apply(vms, divide([0], [20]))
    assert {fake.place(t)[0] for t in fake.processes[1000]} == {"gymbal-0"}
    fake.processes[1000].add(1600)  # started elsewhere, moved by somebody else...
    part.apply(vms, divide([0], [20]))
    assert fake.place(1600)[0] == "gymbal-0"


def test_a_process_that_starts_threads_for_ever_is_given_up(machine) -> None:
    fake, vms = machine(2)
    part = Resctrl(files=fake)
    threads, fresh = fake.threads, iter(range(10**6, 2 * 10**6))

    def listed(pid: int) -> set[int]:
        if pid == 1000:
            fake.processes[pid].add(next(fresh))
        return threads(pid)

    fake.threads = listed
    with pytest.raises(OSError, match="VM vm0: EAGAIN process 1000 keeps starting threads"):
        part.apply(vms, divide([0, 1], [10, 10]))
    assert {fake.place(t)[0] for t in fake.processes[2000]} == {"gymbal-1"}


def test_a_thread_that_ends_meanwhile_is_no_failure(machine) -> None:
    fake, vms = machine(1)
    part = Resctrl(files=fake)
    threads = fake.threads
    fake.threads = lambda pid: threads(pid) | {1999}
    part.apply(vms, divide([0], [20]))
    assert fake.refused == [("write", "gymbal-0/tasks", "1999\n", errno.ESRCH)]


@pytest.mark.parametrize(
    ("classes", "units", "message"),
    [
        ([0, 1, 2], [10, 10, 10], "add up to more units"),
        ([0, 1, 2], [10, 1, 2], "fewer units than the minimum"),
        ([0, 0, 1], [10, 5, 5], "VMs of one class must be told the same"),
        ([0.5, 0, 1], [5, 5, 5], "class ids must be whole"),
        ([0, 1, 2], [5, np.inf, 5], "units must be whole"),
        ([0, NAN, 2], [5, 5, 5], "for all VMs of a host or for none"),
    ],
)
def test_what_the_kernel_would_refuse_is_not_written(machine, classes, units, message) -> None:
    fake, vms = machine()
    part = Resctrl(files=fake)
    with pytest.raises(OSError, match=message):
        part.apply(vms, divide(classes, units))
    assert not fake.writes
    assert not fake.refused


def test_more_classes_than_there_are_numbers(machine) -> None:
    fake, vms = machine(4)
    fake.mkdir("theirs")
    part = Resctrl(files=fake)
    assert part.read(vms)["llc_classes"] == 2
    with pytest.raises(OSError, match=r"more classes than the hardware has \(2\)"):
        part.apply(vms, divide([0, 1, 2, 2], [5, 5, 5, 5]))


def test_a_vm_that_cannot_be_served_does_not_keep_the_others_from_it(machine) -> None:
    fake, vms = machine(3)
    fake.mkdir("theirs")
    for thread in fake.processes[1000]:
        fake.write("theirs/tasks", str(thread))
    part = Resctrl(files=fake)
    unknown = Vm("unknown", pid=0)
    gone = Vm("gone", pid=5)
    everyone = [*vms, unknown, gone]
    message = "VM vm0: is in group theirs.*VM unknown: no process; VM gone: no process 5"
    with pytest.raises(OSError, match=message):
        part.apply(everyone, divide([0, 1, 1, 0, 0], [5, 6, 6, 5, 5]))
    assert masks_of(fake, vms) == [0xFFFFF, 0x7E0, 0x7E0]
    read = part.read(everyone)
    np.testing.assert_array_equal(read["llc_class"], [0, 1, 1, NAN, NAN])
    np.testing.assert_array_equal(read["llc_units_held"], [20, 6, 6, NAN, NAN])
    assert np.isnan(read["llc_occupancy_bytes"][0])  # theirs to monitor
    assert ("gymbal-0/tasks", "0\n") not in fake.writes  # that would have been ourselves


def test_ways_that_others_have_alone_are_not_divided(machine) -> None:
    fake, vms = machine(2, shareable=0)
    fake.mkdir("theirs")
    fake.write("schemata", "L3:0=fff00\n")
    fake.write("theirs/schemata", "L3:0=f0\n")
    fake.write("theirs/mode", "exclusive\n")
    part = Resctrl(files=fake)
    read = part.read(vms)
    assert read["llc_units"] == 12
    assert read["llc_bytes"] == pytest.approx(12 * 16777216 // 20, rel=1e-3)
    np.testing.assert_array_equal(read["llc_units_held"], [12, 12])
    part.apply(vms, divide([0, 1], [2, 10]))
    assert masks_of(fake, vms) == [0x300, 0xFFC00]
    assert not fake.refused


def test_no_group_is_made_where_the_kernel_would_refuse(machine) -> None:
    fake, vms = machine(1, shareable=0)
    fake.mkdir("theirs")
    fake.write("schemata", "L3:0=ffff0\n")
    fake.write("theirs/schemata", "L3:0=e\n")  # way 0 alone is too narrow for the kernel's choice
    fake.write("theirs/mode", "exclusive\n")
    part = Resctrl(files=fake)
    with pytest.raises(OSError, match="group gymbal-0: groups of others leave no ways"):
        part.apply(vms, divide([0], [8]))
    assert not fake.refused


def test_everything_is_somebody_elses(machine) -> None:
    fake, vms = machine(1, shareable=0)
    fake.write("mode", "exclusive\n")
    part = Resctrl(files=fake)
    assert np.isnan(part.read(vms)["llc_units"])
    with pytest.raises(OSError, match="no cache that can be divided"):
        part.apply(vms, divide([0], [8]))


def test_groups_that_are_found_are_gone_on_with(machine) -> None:
    fake, vms = machine()
    Resctrl(files=fake).apply(vms, divide([0, 1, 2], [4, 6, 10]))
    fake.write("gymbal-0/mode", "shareable\n")
    writes = len(fake.writes)
    part = Resctrl(files=fake)
    np.testing.assert_array_equal(part.read(vms)["llc_units_held"], [4, 6, 10])
    part.apply(vms, divide([0, 1, 2], [4, 6, 10]))
    assert not [path for path, _ in fake.writes[writes:] if path.endswith("schemata")]


def test_a_group_of_ours_that_was_made_exclusive(machine) -> None:
    fake, vms = machine(2, shareable=0)
    part = Resctrl(files=fake)
    part.apply(vms, divide([0, 1], [4, 16]))
    fake.write("schemata", "L3:0=ff000\n")
    fake.write("gymbal-1/schemata", "L3:0=ff0\n")
    fake.write("gymbal-1/mode", "exclusive\n")
    part.apply(vms, divide([0, 1], [12, 8]))
    assert masks_of(fake, vms) == [0xFFF, 0xFF000]
    assert not fake.refused


@pytest.mark.parametrize("on_close", ["keep", "remove"])
def test_closing(machine, on_close) -> None:
    fake, vms = machine()
    fake.mkdir("theirs")
    part = Resctrl(files=fake, on_close=on_close)
    part.apply(vms, divide([0, 1, 1], [4, 16, 16]))
    part.read(vms)
    part.close()
    left = {"", "theirs"} | ({"gymbal-0", "gymbal-1"} if on_close == "keep" else set())
    assert set(fake.groups) == left
    if on_close == "remove":
        assert masks_of(fake, vms) == [0xFFFFF] * 3
        assert not any(group.monitors for group in fake.groups.values())


def test_several_caches_have_the_same_masks(machine) -> None:
    fake, vms = machine(2, domains=(0, 1), cdp=True, min_bits=1)
    part = Resctrl(files=fake)
    assert part.read(vms)["llc_bytes"] == pytest.approx(2 * 16777200)
    part.apply(vms, divide([0, 1], [1, 19]))
    assert masks_of(fake, vms) == [1, 0xFFFFE]
    fake.write("gymbal-0/schemata", "L3DATA:1=3\n")  # somebody's hand
    part.apply(vms, divide([0, 1], [1, 19]))
    assert masks_of(fake, vms) == [1, 0xFFFFE]


def test_where_masks_may_be_sparse_or_empty(machine) -> None:
    fake, vms = machine(2, sparse=True, min_bits=0, ways=16, shareable=0, closids=16)
    fake.mkdir("theirs")
    fake.write("theirs/schemata", "L3:0=0\n")
    fake.write("schemata", "L3:0=a5a5\n")
    part = Resctrl(files=fake)
    read = part.read(vms)
    assert (read["llc_units"], read["llc_min_units"], read["llc_classes"]) == (16, 1, 14)
    part.apply(vms, divide([0, 1], [1, 15]))
    assert masks_of(fake, vms) == [0x1, 0xFFFE]


def test_occupancy_and_traffic(machine) -> None:
    clock = Clock()
    fake, vms = machine(2, domains=(0, 1))
    part = Resctrl(files=fake, clock=clock)
    first = part.read(vms)
    np.testing.assert_array_equal(first["llc_occupancy_bytes"], [0, 0])
    assert np.isnan(first["memory_bandwidth_bytes_s"]).all()
    own = "mon_groups/gymbal-1000"
    assert fake.group_at(own)
    assert {fake.place(t) for t in fake.processes[1000]} == {("", "gymbal-1000")}
    clock.now += 5.0
    fake.counters |= {(own, "llc_occupancy"): 3 << 20, (own, "mbm_total_bytes"): 10**9}
    second = part.read(vms)
    np.testing.assert_array_equal(second["llc_occupancy_bytes"], [6 << 20, 0])
    np.testing.assert_array_equal(second["memory_bandwidth_bytes_s"], [4e8, 0])
    for unreadable in ("Unavailable", "Error", "Unassigned", ""):
        fake.counters |= {(own, "llc_occupancy"): unreadable, (own, "mbm_total_bytes"): unreadable}
        third = part.read(vms)
        assert np.isnan([third[name][0] for name in ("llc_occupancy_bytes",)]).all()
        assert np.isnan(third["memory_bandwidth_bytes_s"][0])


def test_a_monitor_follows_its_vm(machine) -> None:
    fake, vms = machine(2)
    part = Resctrl(files=fake)
    part.read(vms)
    part.apply(vms, divide([0, 1], [10, 10]))
    part.read(vms)
    assert fake.groups[""].monitors == []
    assert fake.groups["gymbal-0"].monitors == ["gymbal-1000"]
    assert {fake.place(t) for t in fake.processes[2000]} == {("gymbal-1", "gymbal-2000")}
    del fake.processes[2000]
    read = part.read(vms)
    assert fake.groups["gymbal-1"].monitors == []
    assert np.isnan(read["llc_class"][1])
    assert not fake.refused


def test_monitors_leave_numbers_for_control_groups(machine) -> None:
    fake, vms = machine(4, rmids=5)
    part = Resctrl(files=fake)
    read = part.read(vms)
    assert np.isfinite(read["llc_occupancy_bytes"]).sum() == 1  # 5 less the default group, less 3
    part.apply(vms, divide([0, 1, 2, 2], [5, 5, 5, 5]))
    assert np.isfinite(part.read(vms)["llc_occupancy_bytes"]).sum() == 1
    assert not fake.refused
    fake.limbo = 5  # what the hardware has not yet forgotten: nobody can know before asking
    part.apply(vms, divide([0, 0, 0, 0], [20, 20, 20, 20]))
    part.read(vms)
    assert all(number == errno.EBUSY for *_, number in fake.refused)


def test_without_monitoring_nothing_is_made(machine) -> None:
    fake, vms = machine(2)
    part = Resctrl(files=fake, monitor=False, bandwidth_limit_bytes_s=2e10)
    read = part.read(vms)
    assert read["bandwidth_limit_bytes_s"] == 2e10
    assert not fake.writes
    assert "llc_occupancy_bytes" not in read
    fake, vms = machine(2, rmids=0)
    part = Resctrl(files=fake)
    assert "llc_occupancy_bytes" not in part.measures
    part.apply(vms, divide([0, 1], [10, 10]))
    assert masks_of(fake, vms) == [0x3FF, 0xFFC00]


def test_a_refusal_is_told_with_the_kernels_words(machine) -> None:
    fake, vms = machine(1)
    part = Resctrl(files=fake)
    fake.closids = 1  # another program was faster, and did not ask for the lock
    real, fake.read = fake.read, lambda path: "4\n" if path.endswith("closids") else real(path)
    message = r"group gymbal-0: ENOSPC ENOSPC \(last status: Out of CLOSIDs\)"
    with pytest.raises(OSError, match=message):
        part.apply(vms, divide([0], [10]))


@pytest.mark.parametrize(
    "options",
    [{"prefix": ""}, {"prefix": "a/b"}, {"on_close": "drop"}, {"bandwidth_limit_bytes_s": -1.0}],
)
def test_options_are_checked(machine, options) -> None:
    fake, _ = machine()
    with pytest.raises(ValueError, match=next(iter(options))):
        Resctrl(files=fake, **options)


def test_no_resctrl(tmp_path) -> None:
    with pytest.raises(OSError, match="mount -t resctrl"):
        Resctrl(str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="mount -t resctrl"):
        Resctrl(str(tmp_path))


class Memory:
    """A hypervisor that knows its VMs and nothing else about the cache."""

    name, obeys = "memory", frozenset({"balloon_bytes"})
    measures = frozenset({"actual_bytes", "memory_max_bytes"})

    def __init__(self, vms: list[Vm]) -> None:
        self._vms = vms

    def vms(self) -> list[Vm]:
        return self._vms

    def read(self, vms: list[Vm]) -> dict[str, np.ndarray]:
        return {field: np.full(len(vms), 2.0**30) for field in self.measures}

    def apply(self, vms: list[Vm], settings: object) -> None:
        pass

    def close(self) -> None:
        pass


def test_in_a_host(machine) -> None:
    fake, vms = machine(3)
    host = CombinedHost(Memory(vms), [Resctrl(files=fake)], name="host", budget_bytes=2.0**33)
    record = host.telemetry()
    assert host.errors == []
    assert record.llc_units.tolist() == [20]
    command = Command(
        balloon_bytes=np.full((1, 3), NAN),
        llc_class=np.array([[1.0, 1.0, 0.0]]),
        llc_units=np.array([[7.0, 7.0, 13.0]]),
    )
    host.apply(command)
    assert masks_of(fake, vms) == [0xFE000, 0xFE000, 0x1FFF]
    assert host.telemetry().llc_units_held.tolist() == [[7, 7, 13]]
    host.close()
