"""CPU time: weighted max-min fair, by its definition and not by the algorithm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cpu import share_cpu


def share(wanted, shares, cores, present=None):
    num_vms = len(wanted)
    world_vm = np.zeros((at.NUM_WORLD_VM, num_vms))
    world_vm[at.PRESENT] = 1.0 if present is None else present
    world_vm[at.SHARES] = shares
    host = np.zeros(at.NUM_WORLD_HOST)
    host[at.CPU_CAPACITY] = cores
    vm = np.zeros((at.NUM_VM, num_vms))
    vm[at.WANTED_CORES] = wanted
    share_cpu(world_vm, host, vm)
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
