"""Whatever is told, only a partition that exists is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_runtime.command import Command
from gymbal_runtime.guard_llc import guard_llc
from gymbal_runtime.llc import check_llc_command
from gymbal_runtime.telemetry import Telemetry, empty_telemetry

NAN = np.nan


def _hosts(num_hosts: int, num_vms: int = 3) -> Telemetry:
    return replace(
        empty_telemetry(num_hosts, num_vms),
        present=np.ones((num_hosts, num_vms), dtype=np.bool_),
        llc_units=np.full(num_hosts, 12.0),
        llc_classes=np.full(num_hosts, 3.0),
        llc_min_units=np.ones(num_hosts),
    )


def _command(classes: object, units: object) -> Command:
    balloons = np.full((1, 1), NAN)
    return Command(balloon_bytes=balloons, llc_class=classes, llc_units=units)  # type: ignore[arg-type]


def test_what_is_possible_passes_and_the_rest_is_left_alone() -> None:
    hosts = _hosts(4)
    hosts.present[3, 2] = False
    classes = np.array([[0, 1, 2], [0, 1, 2], [NAN, 1, 2], [0, 1, 5]], dtype=float)
    units = np.array([[4, 4, 4], [4, 4, 5], [4, 4, 4], [6, 6, 99]], dtype=float)
    told, refused = guard_llc(_command(classes, units), hosts, hosts.present)
    np.testing.assert_array_equal(told["llc_class"], [[0, 1, 2], [NAN] * 3, [NAN] * 3, [0, 1, NAN]])
    np.testing.assert_array_equal(told["llc_units"], [[4, 4, 4], [NAN] * 3, [NAN] * 3, [6, 6, NAN]])
    assert refused.tolist() == [0, 3, 3, 0]


def test_a_host_with_a_vm_that_must_not_be_told_is_left_alone() -> None:
    hosts = _hosts(2)
    decidable = np.array([[True, True, False], [True, True, True]])
    whole = _command(np.zeros((2, 3)), np.full((2, 3), 12.0))
    told, refused = guard_llc(whole, hosts, decidable)
    np.testing.assert_array_equal(np.isnan(told["llc_units"]), [[True] * 3, [False] * 3])
    assert refused.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("classes", "units"),
    [
        (np.zeros((2, 2)), np.zeros((2, 2))),
        (np.zeros((2, 3)), None),
        ([[0, 0]], [[1], [2, 3]]),
        ("none", np.zeros((2, 3))),
        (np.zeros((2, 3)), 5.0),
    ],
)
def test_odd_shapes_are_refused(classes: object, units: object) -> None:
    hosts = _hosts(2)
    told, refused = guard_llc(_command(classes, units), hosts, hosts.present)
    assert all(np.isnan(values).all() and values.shape == (2, 3) for values in told.values())
    assert refused.tolist() == [3, 3]


values = st.sampled_from([NAN, np.inf, -np.inf, -1.0, 0.0, 1.0, 2.0, 2.5, 4.0, 12.0, 1e300])


@given(st.lists(values, min_size=24, max_size=24), st.lists(values, min_size=12, max_size=12))
@settings(max_examples=200, deadline=None)
def test_only_feasible_commands_pass(numbers, limits) -> None:
    table = np.array(numbers).reshape(2, 4, 3)
    host = np.array(limits).reshape(3, 4)
    hosts = replace(_hosts(4), llc_units=host[0], llc_classes=host[1], llc_min_units=host[2])
    told, refused = guard_llc(_command(table[0], table[1]), hosts, hosts.present)
    assert check_llc_command(told["llc_class"], told["llc_units"], hosts) == []
    again, none = guard_llc(
        _command(**{"classes": told["llc_class"], "units": told["llc_units"]}), hosts, hosts.present
    )
    np.testing.assert_array_equal(again["llc_units"], told["llc_units"])
    assert not none.any()
    assert np.all(np.isnan(told["llc_units"][refused > 0]))
