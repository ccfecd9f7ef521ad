"""Natural partitions: against an exact LRU simulation, and where curves are extreme."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cache import (
    CURVE,
    LEAST_MISSES,
    LINE_BYTES,
    LONGEST_S,
    SETTLED,
    characteristic_time,
    fill_instructions,
    filled_bytes,
    misses_per_instruction,
    natural_partition,
    segment_of,
)
from gymbal_envs.simulator.params import MIB
from gymbal_envs.simulator.whole_host import NUM_ACTIVE

G = at.NUM_LLC_SEGMENTS
LLC = 20 * MIB
SEGMENT = LLC / G


def fills(curves, segment_bytes=SEGMENT):
    fill = np.zeros((len(curves), G + 1))
    for row, curve in zip(fill, curves, strict=True):
        fill_instructions(np.asarray(curve, dtype=float), segment_bytes, row)
    return fill


def divide(curves, rates, capacity=LLC, guess_s=1e-3):
    held = np.zeros(len(curves))
    age = natural_partition(np.array(rates), fills(curves), SEGMENT, capacity, guess_s, held)
    return held, age


def test_filling_a_flat_curve_takes_a_line_per_miss():
    fill = fills([np.full(G + 1, 0.01)])[0]
    np.testing.assert_allclose(np.diff(fill), SEGMENT / LINE_BYTES / 0.01)


def test_filling_is_the_integral_over_one_by_the_misses():
    curve = np.linspace(0.02, 0.001, G + 1)
    sizes = np.linspace(0, LLC, 200_001)
    misses = np.interp((sizes[1:] + sizes[:-1]) / 2, np.linspace(0, LLC, G + 1), curve)
    expected = (np.diff(sizes) / LINE_BYTES / misses).sum()
    assert fills([curve])[0, -1] == pytest.approx(expected, rel=1e-6)


def test_what_never_misses_fills_very_slowly_but_does():
    fill = fills([np.zeros(G + 1)])[0]
    np.testing.assert_allclose(np.diff(fill), SEGMENT / LINE_BYTES / LEAST_MISSES)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.floats(1e-3, 1e9), min_size=G, max_size=G),
    part=st.floats(0, 1.2),
    guess=st.integers(0, G - 1),
)
def test_the_segment_is_found_from_any_guess(steps, part, guess):
    fill = np.concatenate([[0.0], np.cumsum(steps)])
    instructions = part * fill[-1]
    found = segment_of(fill, instructions, guess)
    assert found == min(np.searchsorted(fill, instructions, side="right") - 1, G - 1)


def test_who_fills_faster_holds_more_and_all_is_held():
    flat = np.full(G + 1, 0.01)
    held, age = divide([flat, flat], [3e9, 1e9])
    np.testing.assert_allclose(held, [0.75 * LLC, 0.25 * LLC], rtol=2 * SETTLED)
    assert age == pytest.approx(LLC / LINE_BYTES / 0.01 / 4e9, rel=2 * SETTLED)


def test_who_executes_nothing_holds_nothing():
    flat = np.full(G + 1, 0.01)
    assert divide([flat, flat], [1e9, 0.0])[0][1] == 0.0
    held, age = divide([flat, flat], [0.0, 0.0])
    assert held.tolist() == [0.0, 0.0]
    assert age == LONGEST_S


@st.composite
def programs(draw):
    """Flat, falling by decades, falling off a cliff, or never missing; some stand still."""
    curves, rates = [], []
    for _ in range(draw(st.integers(1, 16))):
        kind = draw(st.sampled_from(["flat", "decades", "cliff", "none"]))
        height = 10 ** draw(st.floats(-5, -1))
        curve = np.full(G + 1, height)
        if kind == "decades":
            curve = height * np.logspace(0, -draw(st.floats(0, 8)), G + 1)
        elif kind == "cliff":
            curve = np.where(np.arange(G + 1) < draw(st.integers(1, G)), height, 0.0)
        elif kind == "none":
            curve = np.zeros(G + 1)
        curves.append(curve)
        rates.append(draw(st.one_of(st.just(0.0), st.floats(1e6, 1e11))))
    return curves, rates


@settings(max_examples=300, deadline=None)
@given(programs=programs(), part=st.floats(0.05, 1.0), guess=st.floats(-6, 3), held=st.floats(0, 1))
def test_the_search_ends_at_the_answer_from_anywhere(programs, part, guess, held):
    curves, rates = programs
    rates, fill = np.array(rates), fills(curves)
    holds = np.full(len(curves), held * LLC)
    members = np.arange(len(curves))
    age = characteristic_time(
        rates, fill, members, len(curves), SEGMENT, part * LLC, 10.0**guess, holds
    )
    alone = [filled_bytes(f, SEGMENT, r * age) for f, r in zip(fill, rates, strict=True)]
    np.testing.assert_allclose(holds, alone, rtol=1e-12)
    assert 0 < age <= LONGEST_S
    assert holds.sum() <= part * LLC * (1 + SETTLED)
    if age < LONGEST_S:
        assert holds.sum() >= part * LLC * (1 - SETTLED)


def simulated_lru(popularity, rates, lines, accesses, rng):
    """Mean lines held and misses per access of programs that share an exact LRU cache."""
    cache: OrderedDict[tuple[int, int], None] = OrderedDict()
    owner = rng.choice(len(rates), size=accesses, p=np.array(rates) / sum(rates))
    blocks = [rng.choice(p.size, size=accesses, p=p) for p in popularity]
    held, sums, misses = np.zeros(len(rates)), np.zeros(len(rates)), np.zeros(len(rates))
    for k, i in enumerate(owner):
        key = (int(i), int(blocks[i][k]))
        if key in cache:
            cache.move_to_end(key)
        else:
            misses[i] += k >= accesses // 2
            cache[key] = None
            held[i] += 1
            if len(cache) > lines:
                held[cache.popitem(last=False)[0][0]] -= 1
        if k >= accesses // 2:
            sums += held
    half = accesses - accesses // 2
    return sums / half, misses / np.bincount(owner[accesses // 2 :])


def test_an_exact_lru_cache_is_shared_the_same_way():
    """Zipf programs: within 2 % of the cache, and 0.01 in the ratio of misses."""
    lines, rates = 10 * G, [3.0, 1.0]
    popularity = [np.arange(1, 2001) ** -0.8, np.arange(1, 601) ** -0.4]
    popularity = [p / p.sum() for p in popularity]
    curves = []
    for p in popularity:  # the miss ratio alone, by Che's approximation
        times = np.logspace(-1, 6, 4000)
        reach = np.array([(1 - np.exp(-p * t)).sum() for t in times])
        misses = np.array([(p * np.exp(-p * t)).sum() for t in times])
        grid = np.interp(np.linspace(0, lines, G + 1), np.r_[0, reach], np.r_[1.0, misses])
        curves.append(grid)
    segment = lines * LINE_BYTES / G
    held = np.zeros(2)
    fill = fills(curves, segment)
    natural_partition(np.array(rates), fill, segment, lines * LINE_BYTES, 1.0, held)
    measured, ratio = simulated_lru(popularity, rates, lines, 60_000, np.random.default_rng(0))
    np.testing.assert_allclose(held / LINE_BYTES, measured, atol=0.02 * lines)
    expected = [
        np.interp(h, np.arange(G + 1) * segment, c) for h, c in zip(held, curves, strict=True)
    ]
    np.testing.assert_allclose(ratio, expected, atol=0.01)


def test_misses_fall_linearly_between_segments_and_no_further_than_the_last():
    row = np.zeros(NUM_ACTIVE)
    row[CURVE : CURVE + G + 1] = np.linspace(0.02, 0.004, G + 1)
    for held, expected in [(0, 0.02), (0.5, 0.012), (1.0, 0.004), (1.0 + 1e-12, 0.004)]:
        assert misses_per_instruction(row, SEGMENT, held * LLC) == pytest.approx(expected)
