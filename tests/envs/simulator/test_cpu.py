"""CPU time: weighted max-min fair, by its definition and not by the algorithm; and waiting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cpu import share_cpu, wait_for_cores


def share(wanted, weights, cores, present=None, caps=None, tax=0.0):
    num_vms = len(wanted)
    world_vm = np.zeros((at.NUM_WORLD_VM, num_vms))
    world_vm[at.PRESENT] = 1.0 if present is None else present
    world_vm[at.CAP] = np.inf if caps is None else caps
    world_host = np.zeros(at.NUM_WORLD_HOST)
    world_host[at.CPU_CAPACITY] = cores
    vm, host = np.zeros((at.NUM_VM, num_vms)), np.zeros(at.NUM_HOST)
    vm[at.WANTED_CORES], vm[at.WEIGHT] = wanted, weights
    host[at.IO_TAX] = tax
    share_cpu(world_vm, world_host, vm, host, np.zeros((3, num_vms)))
    return vm[at.GRANTED_CORES]


@st.composite
def hosts(draw):
    num_vms = draw(st.integers(1, 12))
    wanted = draw(st.lists(st.floats(0.01, 16), min_size=num_vms, max_size=num_vms))
    shares = draw(st.lists(st.floats(1, 1e4), min_size=num_vms, max_size=num_vms))
    return np.array(wanted), np.array(shares), draw(st.floats(0.1, 64))


@settings(max_examples=300, deadline=None)
@given(host=hosts())
def test_cpu_is_work_conserving(host):
    wanted, shares, cores = host
    granted = share(wanted, shares, cores)
    assert np.all(granted >= 0)
    assert np.all(granted <= wanted * (1 + 1e-12))
    assert granted.sum() == pytest.approx(min(cores, wanted.sum()), rel=1e-9)


@settings(max_examples=300, deadline=None)
@given(host=hosts())
def test_nobody_could_get_more_but_from_somebody_with_less_per_share(host):
    """Max-min: who was cut has the largest grant per share of all (the others are satisfied)."""
    wanted, shares, cores = host
    granted = share(wanted, shares, cores)
    per_share = granted / shares
    cut = granted < wanted * (1 - 1e-9)
    if cut.any():
        assert per_share[cut].min() >= per_share.max() * (1 - 1e-9)


def test_worked_cases():
    # 4 cores: the first takes 1 of its 2, the other two divide 3 as 1 : 2
    assert share([1.0, 9.0, 9.0], [2, 1, 2], 4.0).tolist() == [1.0, 1.0, 2.0]
    assert share([1.0, 1.0], [1, 1], 4.0).tolist() == [1.0, 1.0]
    assert share([8.0, 8.0], [3, 1], 4.0).tolist() == [3.0, 1.0]


def test_empty_slots_get_nothing_and_take_nothing():
    granted = share([8.0, 0.0, 8.0], [1, 0, 1], 4.0, present=[1, 0, 1])
    assert granted.tolist() == [2.0, 0.0, 2.0]


def test_a_cap_holds_even_where_cores_are_idle_and_leaves_the_rest_to_others():
    assert share([8.0, 8.0], [1, 1], 16.0, caps=[2.0, 9.0]).tolist() == [2.0, 8.0]
    assert share([8.0, 8.0], [1, 1], 8.0, caps=[2.0, 9.0]).tolist() == [2.0, 6.0]


def test_what_emulating_devices_takes_nobody_gets():
    assert share([4.0, 4.0], [3, 1], 5.0, tax=1.0).tolist() == [3.0, 1.0]
    assert share([4.0, 4.0], [3, 1], 5.0, tax=6.0).tolist() == [0.0, 0.0]


def wait(wanted, granted, wakeups, cores=4.0, tax=0.0, time_slice=0.03):
    num_vms = len(wanted)
    world_vm = np.zeros((at.NUM_WORLD_VM, num_vms))
    world_vm[at.PRESENT], world_vm[at.WAKEUPS] = 1.0, wakeups
    world_host = np.zeros(at.NUM_WORLD_HOST)
    world_host[at.CPU_CAPACITY], world_host[at.CPU_SLICE] = cores, time_slice
    vm, host = np.zeros((at.NUM_VM, num_vms)), np.zeros(at.NUM_HOST)
    vm[at.WANTED_CORES], vm[at.GRANTED_CORES], vm[at.WAKE_SPEED] = wanted, granted, 1.0
    host[at.IO_TAX] = tax
    wait_for_cores(world_vm, world_host, vm, host, 1.0)
    return vm[at.WAKE_SPEED].tolist(), vm[at.SUM_WAKE].tolist()


def test_who_gets_less_than_it_wants_waits_a_slice_of_each_vm_queued_per_core():
    # 8 cores wanted of 4: one VM is queued before each core
    speed, delay = wait([1.0, 3.0, 4.0], [1.0, 1.5, 1.5], [0.5, 0.5, 0.0])
    assert speed == [1.0, 1 / 1.5, 1.0]  # boosted, waiting, and one that waiting does not hurt
    assert delay == pytest.approx([0.0, 0.03, 0.03])
    assert wait([2.0, 2.0], [2.0, 2.0], [0.5, 0.5])[0] == [1.0, 1.0]


def test_emulation_lengthens_the_queue():
    speed, _ = wait([4.0, 4.0], [1.5, 1.5], [0.5, 0.5], tax=1.0)
    assert speed == pytest.approx([1 / (1 + 0.5 * (8 / 3 - 1))] * 2)


def test_without_a_slice_waiting_is_not_simulated():
    assert wait([4.0, 4.0], [2.0, 2.0], [9.0, 9.0], time_slice=0.0) == ([1.0, 1.0], [0.0, 0.0])


def test_a_host_that_emulation_eats_up_still_has_a_finite_queue():
    speed, delay = wait([4.0], [0.0], [0.5], tax=9.0)
    assert np.isfinite([*speed, *delay]).all()
    assert 0 < speed[0] < 1e-6
