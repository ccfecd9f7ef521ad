"""Training, validation and test share neither VMs nor time."""

import itertools

import numpy as np
import pytest

from gymbal_envs.demand.trace import Trace, TraceError
from gymbal_envs.scenarios.split import TIME_FRACTIONS, VM_FRACTIONS, split_trace

NAMES = ("train", "validation", "test")


def trace_of(num_vms=100, num_samples=1000):
    activity = np.full((num_vms, num_samples), 0.1, dtype=np.float32)
    return Trace(
        name="flat",
        start_s=0.0,
        step_s=300.0,
        vm_id=np.arange(num_vms),
        cores=np.ones(num_vms),
        memory_bytes=np.full(num_vms, 4 * 2.0**30),
        cpu_frac=activity,
        active_frac=activity,
    )


@pytest.mark.parametrize(("num_vms", "num_samples", "window"), [(100, 1000, 7), (12, 90, 4)])
def test_no_vm_and_no_window_is_shared(num_vms, num_samples, window):
    trace = trace_of(num_vms, num_samples)
    parts = [split_trace(trace, name, window) for name in NAMES]
    for one, other in itertools.combinations(parts, 2):
        assert not set(one.vms) & set(other.vms)
        # A window that starts at the last start of one part ends before the other part begins.
        assert one.last <= other.first
    assert all(part.last <= num_samples for part in parts)
    assert parts[1].first >= parts[0].last + window  # a gap of one window between the parts
    assert parts[2].first >= parts[1].last + window


def test_every_vm_belongs_to_one_part():
    parts = [split_trace(trace_of(), name, 7) for name in NAMES]
    assert sorted(np.concatenate([part.vms for part in parts])) == list(range(100))
    assert [part.vms.size for part in parts] == [60, 15, 25]
    assert sum(VM_FRACTIONS.values()) == sum(TIME_FRACTIONS.values()) == 1.0


def test_the_split_is_a_property_of_the_trace():
    one, other = (split_trace(trace_of(), "train", 7) for _ in range(2))
    assert one.vms.tolist() == other.vms.tolist()
    assert not np.array_equal(one.vms, np.arange(60))  # neighbours in a file are often alike


def test_a_trace_that_is_too_small_is_refused_with_what_is_missing():
    with pytest.raises(TraceError, match=r"6 VMs x 1000 samples are too few.*validation"):
        split_trace(trace_of(num_vms=6), "validation", 7)
    with pytest.raises(TraceError, match=r"needs 2 VMs and 60 samples"):
        split_trace(trace_of(num_samples=100), "test", 60)


def test_there_are_three_parts():
    with pytest.raises(TraceError, match=r"train.*validation.*test.*not 'dev'"):
        split_trace(trace_of(), "dev", 7)
