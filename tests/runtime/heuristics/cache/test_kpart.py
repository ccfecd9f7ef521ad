from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.cache.kpart import KPart
from gymbal_runtime.heuristics.cache.sharing import combined, partitioned
from gymbal_runtime.heuristics.cache.ucp import Ucp

STREAMING = [100.0] * 13
SENSITIVE = [100.0, 80, 65, 50, 40, 30, 22, 15, 10, 6, 3, 1, 0]
SMALL = [100.0, 5.0] + [0.0] * 11


def _total(curves: list[list[float]], vm_class: list[int], units: list[float]) -> float:
    """Misses predicted by an independent, finely stepped natural partition of each class."""
    total = 0.0
    knots = np.arange(13.0)
    for c in set(vm_class):
        members = [k for k, other in enumerate(vm_class) if other == c]
        size, held = units[members[0]], np.zeros(len(members))
        steps = 4000
        for _ in range(steps):
            flow = np.array([np.interp(held[j], knots, curves[k]) for j, k in enumerate(members)])
            share = flow / flow.sum() if flow.sum() > 0 else np.full(len(members), 1 / len(members))
            held += size / steps * share
        total += sum(np.interp(held[j], knots, curves[k]) for j, k in enumerate(members))
    return total


def test_combined_curve_of_equal_programs_is_stretched() -> None:
    curve = np.array([SENSITIVE])
    flow, cost = combined(curve, curve, curve, 3.0 * curve)
    halves = np.interp(np.arange(13) / 2, np.arange(13), SENSITIVE)
    np.testing.assert_allclose(flow[0], 2.0 * halves)
    np.testing.assert_allclose(cost[0], 4.0 * halves)


def test_combined_curve_is_the_natural_partition() -> None:
    a, b = np.array([SENSITIVE]), np.array([STREAMING])
    flow, _ = combined(a, b, a, b)
    fine = [_total([SENSITIVE, STREAMING], [0, 0], [size, size]) for size in (3.0, 6.0, 12.0)]
    np.testing.assert_allclose(flow[0, [3, 6, 12]], fine, atol=2.0)
    assert np.all(flow >= partitioned(a, b) - 1e-9)


def test_streaming_programs_share(cache_host) -> None:
    # Four streaming programs need nothing; with a way each they would cost the fifth three.
    record = cache_host(5, curves=[STREAMING, SENSITIVE, STREAMING, STREAMING, STREAMING])
    command = KPart().act(record)
    assert command.llc_class.tolist() == [[0, 1, 0, 0, 0]]
    assert command.llc_units.tolist() == [[1, 11, 1, 1, 1]]
    assert Ucp().act(record).llc_units.tolist() == [[1, 8, 1, 1, 1]]


def test_it_beats_parts_of_their_own_and_one_for_all(cache_host) -> None:
    curves = [STREAMING, SENSITIVE, SMALL, STREAMING, SENSITIVE]
    record = cache_host(5, curves=curves)
    told = KPart().act(record)
    mine = _total(curves, told.llc_class[0].tolist(), told.llc_units[0].tolist())
    ucp = _total(curves, list(range(5)), Ucp().act(record).llc_units[0].tolist())
    assert mine < ucp
    assert mine < _total(curves, [0] * 5, [12.0] * 5)


def test_class_limit(cache_host) -> None:
    record = cache_host(4, classes=2, curves=[SENSITIVE, STREAMING, SMALL, STREAMING])
    assert len(set(KPart().act(record).llc_class[0])) <= 2


def test_what_is_in_force_stays_unless_it_pays(cache_host) -> None:
    before = cache_host(3, curves=[STREAMING, SENSITIVE, [m * 1.1 for m in SENSITIVE]])
    after = cache_host(3, time_s=5.0, curves=[STREAMING, [m * 1.1 for m in SENSITIVE], SENSITIVE])
    told = KPart().act(before).llc_units.tolist()
    assert KPart().act(after).llc_units.tolist() != told
    agent = KPart(history=0.0, min_gain_frac=0.3)
    assert agent.act(before).llc_units.tolist() == told
    assert agent.act(after).llc_units.tolist() == told
