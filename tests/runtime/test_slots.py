"""Slots: who is there stays where it is."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.slots import Slots


def test_settle__whoever_stays_keeps_its_slot():
    rng = np.random.default_rng(0)
    slots, before = Slots(), {}
    for _ in range(300):
        keys = [f"vm{k}" for k in rng.permutation(12) if rng.random() < 0.5]
        given = dict(zip(keys, slots.settle(keys), strict=True))
        assert len(set(given.values())) == len(keys)
        assert {key: slot for key, slot in before.items() if key in given}.items() <= given.items()
        assert {slots.keys[slot]: slot for slot in given.values()} == given
        assert len(slots.keys) <= 12
        before = given


def test_settle__the_first_come_get_the_last_slots():
    slots = Slots(2)
    assert slots.settle(["a", "b", "c"]) == [0, 1, None]
    assert slots.settle(["b", "c"]) == [1, 0]


@pytest.mark.parametrize("keys", [["a", "a"], ["a", ""]])
def test_settle__refuses_who_cannot_be_told_apart(keys):
    with pytest.raises(ValueError, match="cannot be told apart"):
        Slots().settle(keys)
