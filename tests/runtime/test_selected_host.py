"""SelectedHost: some VMs are served, the others keep what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.host import Host
from gymbal_runtime.selected_host import Promise, SelectedHost

GIB = 2.0**30
NAMES = ("db-1", "web-1", "web-2", "", "infra", "web-3")


def test_hidden_vms_are_absent_and_their_memory_is_not_there_to_divide(record, fake_host):
    host = SelectedHost(
        fake_host(record, names=NAMES), include=["web-*", "infra"], exclude=["web-2", "infra"]
    )
    seen = host.telemetry()
    assert isinstance(host, Host)
    assert host.vm_names == ("", "web-1", "", "", "", "web-3")
    np.testing.assert_array_equal(seen.present[0], [False, True, False, False, False, True])
    hidden = record.actual_bytes[0, [0, 2, 3, 4]].sum()
    assert seen.budget_bytes[0] == pytest.approx(record.budget_bytes[0] - hidden)
    np.testing.assert_array_equal(seen.actual_bytes, record.actual_bytes)


def test_promises__the_first_match_holds(record, fake_host):
    host = SelectedHost(
        fake_host(record, names=NAMES),
        promises=[
            Promise("web-2", max_bytes=0.5 * GIB),
            Promise("web-*", shares=7.0, min_bytes=0.25 * GIB),
            Promise("db-*", min_bytes=1000 * GIB),
        ],
    )
    seen = host.telemetry()
    np.testing.assert_array_equal(seen.shares[0, [1, 5]], 7)
    assert seen.shares[0, 2] == record.shares[0, 2]
    assert seen.memory_max_bytes[0, 2] == 0.5 * GIB
    assert seen.memory_min_bytes[0, 1] == 0.25 * GIB
    assert seen.memory_min_bytes[0, 0] == record.memory_max_bytes[0, 0]  # never above the ceiling
    assert (seen.memory_min_bytes <= seen.memory_max_bytes).all()
    assert not np.shares_memory(seen.shares, record.shares)


def test_fewer_names_than_slots(record, fake_host):
    host = SelectedHost(fake_host(record, names=("web-1",)), include=["web-*"])
    assert host.telemetry().present.sum() == 1


def test_the_rest_is_the_hosts_own(record, fake_host):
    inner = fake_host(record, names=NAMES)
    inner.capabilities, inner.errors = frozenset({"cpu_weight"}), ["x: y"]
    host = SelectedHost(inner)
    assert (host.name, host.capabilities, host.errors) == ("fake", {"cpu_weight"}, ["x: y"])
    host.close()
    assert inner.closed


def test_promise__floor_above_ceiling():
    with pytest.raises(ValueError, match="VMs 'a': min must not exceed max"):
        Promise("a", min_bytes=2.0, max_bytes=1.0)
