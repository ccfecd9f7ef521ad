"""What stays with a host of the memory that its calm VMs do not use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.cluster.spare import leave_spare, thrifty
from gymbal_runtime.command import Command

GIB = 2.0**30


@pytest.fixture
def used_half(two_hosts):
    """Hosts whose VMs hold 1 GiB each, half of it used, calm."""
    hosts = two_hosts().hosts
    shape = hosts.present.shape
    return replace(
        hosts,
        actual_bytes=np.full(shape, GIB),
        usable_bytes=np.full(shape, 0.5 * GIB),
        memory_min_bytes=np.full(shape, 0.25 * GIB),
        psi_some_frac=np.zeros(shape),
    )


@pytest.mark.parametrize(("kept_frac", "left_gib"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_a_part_of_what_is_not_used_is_kept(used_half, kept_frac, left_gib):
    told = leave_spare(Command(used_half.actual_bytes), used_half, kept_frac).balloon_bytes
    np.testing.assert_allclose(told[used_half.present], left_gib * GIB)


def test_who_stalls_is_given_all(used_half):
    stalls = replace(used_half, psi_some_frac=np.full(used_half.present.shape, 0.1))
    told = leave_spare(Command(stalls.actual_bytes), stalls, 1.0).balloon_bytes
    np.testing.assert_array_equal(told[stalls.present], GIB)


def test_hosts_can_keep_different_parts(used_half):
    kept = thrifty(0.4, np.array([-1.0, 1.0]))
    told = leave_spare(Command(used_half.actual_bytes), used_half, kept).balloon_bytes
    np.testing.assert_allclose(told[0][used_half.present[0]], GIB)
    np.testing.assert_allclose(told[1][used_half.present[1]], 0.6 * GIB)


def test_thrift_spans_what_can_be_kept():
    kept = thrifty(0.8, np.array([-1.0, -0.5, 0.0, 0.5, 1.0]))
    assert kept.shape == (5, 1)
    np.testing.assert_allclose(kept[:, 0], [0.4, 0.6, 0.8, 1.0, 1.0])
    assert thrifty(0.2, np.array([-1.0])) == 0.0
