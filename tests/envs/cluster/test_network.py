import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gymbal_envs.simulator.cluster.network import (
    BUSIEST,
    CUT_WAIT_S,
    NO_LINK,
    link_wait,
    share_links,
)

MOST_FLOWS, MOST_LINKS = 12, 6


def shares(wanted, links, capacity):
    """(F,) granted and (L,) used for flows over the links in (F, 3)."""
    wanted, capacity = np.asarray(wanted, float), np.asarray(capacity, float)
    links = np.asarray(links, dtype=np.int64).reshape(-1, 3)
    granted, used = np.full(wanted.size, np.nan), np.full(capacity.size, np.nan)
    first, second, third = (np.ascontiguousarray(links[:, i]) for i in range(3))
    scratch = np.full(capacity.size, np.nan)
    share_links(wanted, first, second, third, capacity, granted, used, scratch)
    return granted, used


def slow_reference(wanted, links, capacity):
    """All rates rise at once to the next event: a demand met or a link full."""
    uses = np.array([[link in row for link in range(len(capacity))] for row in links])
    uses = uses.reshape(len(wanted), len(capacity)).astype(float)
    rates = np.zeros(len(wanted))
    rising = np.ones(len(wanted), dtype=bool)
    while rising.any():
        room = np.asarray(capacity) - rates @ uses
        count = rising @ uses
        steps = np.append(np.asarray(wanted)[rising] - rates[rising], np.inf)
        per_link = np.where(count > 0, np.maximum(room, 0) / np.maximum(count, 1), np.inf)
        step = min(steps.min(), per_link.min(initial=np.inf))
        rates[rising] += step
        full = (per_link <= step * (1 + 1e-12) + 1e-12) & (count > 0)
        met = rates >= np.asarray(wanted) * (1 - 1e-12)
        rising &= ~met & ~(uses @ full > 0)
    return rates


@st.composite
def networks(draw):
    num_flows = draw(st.integers(1, MOST_FLOWS))
    num_links = draw(st.integers(1, MOST_LINKS))
    amounts = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))
    wanted = draw(arrays.arrays(float, num_flows, elements=amounts))
    capacity = draw(arrays.arrays(float, num_links, elements=amounts))
    rows = []
    for _ in range(num_flows):
        row = draw(st.lists(st.integers(0, num_links - 1), max_size=3, unique=True))
        row = row + [NO_LINK] * (3 - len(row))
        rows.append(draw(st.permutations(row)))
    return wanted, np.array(rows), capacity


@settings(max_examples=200, deadline=None)
@given(networks())
def test_share_links_is_what_filling_step_by_step_gives(network):
    granted, used = shares(*network)
    np.testing.assert_allclose(granted, slow_reference(*network), rtol=1e-9, atol=1e-9)
    uses = np.array([[link in row for link in range(used.size)] for row in network[1]])
    np.testing.assert_allclose(used, granted @ uses, rtol=1e-9, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(networks())
def test_nobody_gets_more_without_one_that_has_less_losing(network):
    wanted, links, capacity = network
    granted, used = shares(*network)
    assert np.all(granted >= 0)
    assert np.all(granted <= wanted)
    assert np.all(used <= capacity * (1 + 1e-9))
    for flow in np.flatnonzero(granted < wanted * (1 - 1e-9)):
        own = [link for link in links[flow] if link != NO_LINK]
        full = [link for link in own if used[link] >= capacity[link] * (1 - 1e-9)]
        # its bottleneck: a full link on which nobody is faster
        assert any(
            granted[flow] >= granted[(links == link).any(axis=1)].max() * (1 - 1e-9)
            for link in full
        )


@settings(max_examples=100, deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_the_order_of_flows_does_not_matter(network, random):
    wanted, links, capacity = network
    order = list(range(wanted.size))
    random.shuffle(order)
    granted, used = shares(*network)
    again, used_again = shares(wanted[order], links[order], capacity)
    np.testing.assert_allclose(again, granted[order], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(used_again, used, rtol=1e-9, atol=1e-9)


def test_a_flow_that_is_stuck_elsewhere_leaves_room():
    # two flows into host 1; one of them comes from a host with a slow port
    granted, used = shares(
        [np.inf, np.inf, 2.0], [[0, 2, -1], [1, 2, -1], [1, -1, -1]], [1.0, 20.0, 10.0]
    )
    np.testing.assert_allclose(granted, [1.0, 9.0, 2.0])
    np.testing.assert_allclose(used, [1.0, 11.0, 10.0])


def test_the_third_link_binds():
    # two moves between two sites over a thin wan, and one inside a site
    granted, _ = shares(
        [10.0, 10.0, 10.0], [[0, 2, 4], [1, 3, 4], [0, 3, -1]], [10.0, 10.0, 10.0, 10.0, 3.0]
    )
    np.testing.assert_allclose(granted, [1.5, 1.5, 8.5])


def test_cut_links_carry_nothing_and_flows_without_links_are_free():
    granted, used = shares([5.0, 5.0, 0.0], [[0, 1, -1], [-1, -1, -1], [1, -1, -1]], [0.0, 8.0])
    np.testing.assert_array_equal(granted, [0.0, 5.0, 0.0])
    np.testing.assert_array_equal(used, [0.0, 0.0])


def test_same_input_same_bits():
    rng = np.random.default_rng(3)
    wanted, capacity = rng.uniform(0, 9, 400), rng.uniform(0, 90, 64)
    links = np.array([rng.choice(64, 3, replace=False) for _ in range(400)])
    first, second = shares(wanted, links, capacity), shares(wanted, links, capacity)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_no_flow_no_use():
    granted, used = shares([], np.zeros((0, 3)), [1.0, 2.0])
    assert granted.size == 0
    np.testing.assert_array_equal(used, [0.0, 0.0])


def test_waiting_grows_with_use_and_stays_finite():
    idle = link_wait(60e-6, 4096.0, 1.25e9, 0.0)
    half = link_wait(60e-6, 4096.0, 1.25e9, 0.625e9)
    assert idle == 60e-6
    assert half == pytest.approx(60e-6 + 4096 / 1.25e9)
    full = link_wait(60e-6, 4096.0, 1.25e9, 2e9)
    assert full == pytest.approx(60e-6 + 4096 / 1.25e9 * BUSIEST / (1 - BUSIEST))
    assert link_wait(60e-6, 4096.0, 0.0, 0.0) == CUT_WAIT_S
