"""Rules of cache partitioning, and way masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gymbal_runtime.llc import (
    check_llc_command,
    check_way_mask,
    classes_from_masks,
    llc_violations,
    way_masks,
)
from gymbal_runtime.telemetry import Telemetry, empty_telemetry


def _hosts(units: float = 12.0, classes: float = 4.0, least: float = 1.0) -> Telemetry:
    """One host with three VMs in slots 0..2 and an empty slot 3."""
    return replace(
        empty_telemetry(1, 4),
        present=np.array([[True, True, True, False]]),
        llc_units=np.array([units]),
        llc_classes=np.array([classes]),
        llc_min_units=np.array([least]),
    )


NAN = np.nan


@pytest.mark.parametrize(
    ("classes", "units", "message"),
    [
        ([0, 1, 2, NAN], [4, 4, 4, NAN], None),
        ([0, 0, 0, 7.5], [12, 12, 12, -3], None),  # an empty slot may say anything
        ([0, 1, 1, NAN], [2, 10, 10, NAN], None),
        ([NAN] * 4, [NAN] * 4, None),
        ([0, 1, 2, NAN], [5, 4, 4, NAN], r"llc_units of host 0: .*add up to more.*\(12\).*5, 4, 4"),
        ([0, 1, 1, NAN], [4, 4, 5, NAN], "llc_units of host 0: VMs of one class must be told"),
        ([0, 1, 2, NAN], [4.5, 4, 3, NAN], "llc_units of host 0: units must be whole numbers"),
        ([0, 1, 2, NAN], [np.inf, 4, 3, NAN], "llc_units of host 0: units must be whole numbers"),
        ([0, 1, 2, NAN], [0, 4, 3, NAN], r"fewer units than the minimum \(1\)"),
        ([0, 1, -1, NAN], [4, 4, 4, NAN], "llc_class of host 0: class ids must be whole numbers"),
        ([0, 1, 4, NAN], [4, 4, 4, NAN], "llc_class of host 0: class ids must be whole numbers"),
        ([0, 1.5, 2, NAN], [4, 4, 4, NAN], "llc_class of host 0: class ids must be whole numbers"),
        ([0, NAN, 2, NAN], [4, 4, 4, NAN], "given for all VMs of a host or for none"),
        ([0, NAN, 2, NAN], [4, NAN, 4, NAN], "given for all VMs of a host or for none"),
    ],
)
def test_rules(classes: list[float], units: list[float], message: str | None) -> None:
    found = check_llc_command(np.array([classes]), np.array([units]), _hosts())
    if message is None:
        assert found == []
    else:
        with pytest.raises(AssertionError, match=message):
            assert not found, "\n".join(found)


def test_hardware_limits() -> None:
    classes, units = np.array([[0, 1, 2, NAN]]), np.array([[4.0, 4, 4, NAN]])
    few = check_llc_command(classes, units, _hosts(classes=2.0))
    assert few == ["llc_class of host 0: more classes than the hardware has (2), got [0, 1, 2]"]
    wide = check_llc_command(classes, units, _hosts(least=5.0))
    assert wide == [
        "llc_units of host 0: a class has fewer units than the minimum (5), got [4, 4, 4]"
    ]
    none = check_llc_command(classes, units, _hosts(units=NAN))
    assert none == ["llc_units of host 0: the host has no cache that can be divided, got [4, 4, 4]"]
    assert (
        "must have one value per VM slot (1, 4), got (1, 3), (1, 4)"
        in (check_llc_command(classes[:, :3], units, _hosts())[0])
    )
    assert check_llc_command(None, None, _hosts()) == []
    assert check_llc_command(classes, None, _hosts()) != []


values = st.floats() | st.integers(-2, 14).map(float)


@given(st.lists(values, min_size=8, max_size=8), values, values, values)
def test_violations_never_raise(numbers, units, classes, least) -> None:
    table = np.array(numbers).reshape(2, 1, 4)
    found = llc_violations(table[0], table[1], _hosts(units, classes, least))
    lines = check_llc_command(table[0], table[1], _hosts(units, classes, least))
    assert bool(lines) == any(rule.any() for rule in found.values())


def test_masks_lie_side_by_side() -> None:
    masks = way_masks(np.array([[1, 0, 1, NAN]]), np.array([[3, 2, 3, NAN]]))
    assert masks == [[0b11100, 0b00011, 0b11100, 0]]
    for mask in masks[0][:3]:
        check_way_mask(mask, 5)
    vm_class, units = classes_from_masks(masks)
    np.testing.assert_array_equal(vm_class, [[0, 1, 0, NAN]])
    np.testing.assert_array_equal(units, [[3, 2, 3, NAN]])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=8))
def test_masks_and_classes_are_inverse(rows) -> None:
    width = dict(rows)
    vm_class = np.array([[float(c) for c, _ in rows]])
    units = np.array([[float(width[c]) for c, _ in rows]])
    masks = way_masks(vm_class, units)
    again, same = classes_from_masks(masks)
    np.testing.assert_array_equal(same, units)
    np.testing.assert_array_equal(
        again[0, :, None] == again[0], vm_class[0, :, None] == vm_class[0]
    )
    total = sum(width.values())
    for mask in masks[0]:
        check_way_mask(mask, total)


@pytest.mark.parametrize(
    ("mask", "least", "message"),
    [
        (0, 1, "schemata must have at least one bit set, got 0x0"),
        (-4, 1, "schemata must have at least one bit set, got -0x4"),
        (0b1011, 1, "schemata must be contiguous 1-bits, got 0b1011"),
        (0b100, 2, "schemata must have at least 2 bits, got 0b100"),
        (0b1110000, 1, "schemata must lie within the 6 ways of the cache, got 0b1110000"),
    ],
)
def test_bad_masks(mask: int, least: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_way_mask(mask, 6, least, field="schemata")


def test_partial_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="way masks of host 1: 0b111 and 0b1100 overlap in part"):
        classes_from_masks([[0b1, 0b10], [0b111, 0b1100]])
    assert classes_from_masks([])[0].shape == (0, 0)
