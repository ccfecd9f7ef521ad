"""Working-set estimates on cases that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gymbal_runtime.telemetry import NUM_LRU_SLICES, Telemetry, empty_telemetry
from gymbal_runtime.workingset import estimated_working_set, histogram_working_set

GIB = 2.0**30


def one_vm(hits: list[float] | None = None, **values: float) -> Telemetry:
    record = empty_telemetry(1, 1)
    filled = {name: np.array([[value]]) for name, value in values.items()}
    if hits is not None:
        filled["lru_hit_rate"] = np.array([[hits]], dtype=np.float64)
    filled.setdefault("actual_bytes", np.array([[8 * GIB]]))
    return replace(record, present=np.ones((1, 1), dtype=np.bool_), **filled)


@pytest.mark.parametrize(
    ("hits", "slices"),
    [
        pytest.param([100, 0, 0, 0, 0, 0, 0, 0], 0.95, id="all-in-the-first"),
        pytest.param([100] * 8, 7.6, id="even"),
        pytest.param([90, 10, 0, 0, 0, 0, 0, 0], 1.5, id="inside-a-slice"),
        pytest.param([95, 5, 0, 0, 0, 0, 0, 0], 1.0, id="at-a-boundary"),
        pytest.param([0, 0, 0, 0, 0, 0, 0, 100], 7.95, id="loop-over-everything"),
        pytest.param([0] * 8, 0.0, id="idle"),
    ],
)
def test_histogram_working_set__by_hand(hits, slices):
    size = histogram_working_set(one_vm(hits), delta=0.05)
    assert size[0, 0] == pytest.approx(slices / NUM_LRU_SLICES * 8 * GIB)


def test_histogram_working_set__stricter_is_larger_and_bounded():
    rng = np.random.default_rng(0)
    record = replace(
        empty_telemetry(50, 4),
        actual_bytes=rng.uniform(1, 8, (50, 4)) * GIB,
        lru_hit_rate=rng.exponential(10, (50, 4, NUM_LRU_SLICES)),
    )
    sizes = [histogram_working_set(record, delta) for delta in (0.2, 0.1, 0.05, 0.01, 0.0)]
    for looser, stricter in pairwise(sizes):
        assert (looser <= stricter).all()
    assert (sizes[-1] <= record.actual_bytes).all()


def test_estimated_working_set__takes_the_best_there_is():
    hits = [100.0, 0, 0, 0, 0, 0, 0, 0]
    assert estimated_working_set(one_vm(hits, active_bytes=3 * GIB))[0, 0] < GIB
    sampled = one_vm(active_bytes=3 * GIB, usable_bytes=2 * GIB)
    assert estimated_working_set(sampled)[0, 0] == 3 * GIB
    assert estimated_working_set(one_vm(usable_bytes=2 * GIB))[0, 0] == 6 * GIB
    assert estimated_working_set(one_vm())[0, 0] == 8 * GIB
