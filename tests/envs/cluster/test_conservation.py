"""Whatever is ordered and whatever breaks: memory is conserved and every VM is in one place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_runtime.cluster.orders import Orders, legal
from gymbal_runtime.command import Command

NUM_CLUSTERS, NUM_INTERVALS, TICKS = 6, 25, 3
seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="session")
def random_local():
    """Balloon targets without any sense for the VMs of every host; most are left alone."""

    def draw(engine, rng):
        most = engine.hosts.world_vm[:, host_at.MEMORY_MAX]
        told = rng.random(most.shape) < 0.15
        return Command(np.where(told, rng.uniform(0.0, 1.3, most.shape) * most, np.nan))

    return draw


@many
@given(seed=seeds)
def test_the_books_balance(
    seed, random_cluster, cluster_engine, random_orders, random_local, check_books
):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(2**32, size=NUM_CLUSTERS)
    engine = cluster_engine([random_cluster(int(s)) for s in drawn])
    check_books(engine)
    for _ in range(NUM_INTERVALS):
        engine.step(random_orders(engine, rng), random_local(engine, rng), TICKS)
        check_books(engine)
        lost = engine.hosts.outcome[:, host_at.LOST]
        assert (lost >= -1e-9).all()
        assert (lost <= TICKS + 1e-9).all()


@many
@given(seed=seeds)
def test_a_legal_order_alone_is_never_refused(
    seed, random_cluster, cluster_engine, random_orders, random_local
):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(2**32, size=NUM_CLUSTERS)
    engine = cluster_engine([random_cluster(int(s)) for s in drawn])
    for _ in range(NUM_INTERVALS):
        orders = random_orders(engine, rng, busy=1.0)
        allowed = legal(engine.telemetry()).of(orders) & (orders.verb > 0)
        single = Orders.none(*orders.verb.shape)
        illegal = rng.random(NUM_CLUSTERS) < 0.3  # those are refused, every one of them
        for c in range(NUM_CLUSTERS):
            given = orders.verb[c] > 0
            choices = np.argwhere(given & ~allowed[c] if illegal[c] else allowed[c])
            if len(choices):
                h, v = choices[rng.integers(len(choices))]
                single.verb[c, h, v] = orders.verb[c, h, v]
                single.target[c, h, v] = orders.target[c, h, v]
        asked = (single.verb > 0).any(axis=(1, 2))
        engine.step(single, random_local(engine, rng), TICKS)
        refused = engine.measured()["orders_refused"]
        np.testing.assert_array_equal(refused, (asked & illegal).astype(float))


@many
@given(seed=seeds)
def test_vms_come_and_go_only_by_clones_and_stops(
    seed, random_cluster, cluster_engine, random_orders, random_local
):
    rng = np.random.default_rng(seed)
    engine = cluster_engine([random_cluster(int(rng.integers(2**32)))])
    before = set(engine.guest[:, at.IDENTITY][engine.guest[:, at.IDENTITY] >= 0])
    for _ in range(NUM_INTERVALS):
        engine.step(random_orders(engine, rng), random_local(engine, rng), TICKS)
        now = set(engine.guest[:, at.IDENTITY][engine.guest[:, at.IDENTITY] >= 0])
        told = engine.measured()
        gone, came = len(before - now), len(now - before)
        assert came <= told["cloned"][0]
        assert gone <= told["merged"][0] + told["vms_stopped"][0]
        before = now
