"""The engine of clusters: the same bytes however clusters are batched, threaded or compiled."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.params import TIERS
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, RECALL, WAIT, Orders
from gymbal_runtime.command import Command

NUM_CLUSTERS, NUM_HOSTS, SLOTS, NUM_STEPS, TICKS = 24, 3, 5, 8, 5
OF_HOSTS = ("world_vm", "vm", "host", "pending", "visible", "outcome", "streams", "demand")
OWN = ("cluster", "member", "guest", "slot", "pages", "link")


@pytest.fixture(scope="module")
def scenarios(random_cluster):
    return [random_cluster(seed) for seed in range(NUM_CLUSTERS)]


@pytest.fixture(scope="module")
def told():
    """Verbs, targets and balloon targets (as parts of the ceiling), drawn per cluster."""
    rng = np.random.default_rng(0)
    shape = (NUM_STEPS, NUM_CLUSTERS, NUM_HOSTS, SLOTS)
    verb = np.where(rng.random(shape) < 0.3, rng.integers(0, 8, shape), WAIT)
    target = rng.integers(0, NUM_HOSTS, shape)
    balloons = np.where(rng.random(shape) < 0.3, rng.uniform(0.2, 1.2, shape), np.nan)
    pools = np.where(rng.random(shape[:3]) < 0.2, rng.uniform(0, 1e9, shape[:3]), np.nan)
    return verb.astype(np.int8), target.astype(np.int16), balloons, pools


def play(engine, told, which, ticks=TICKS):
    """What the clusters ``which`` are told, to the clusters 0, 1, ... of an engine."""
    verb, target, balloons, pools = (part[:, which] for part in told)
    for k in range(NUM_STEPS):
        most = engine.hosts.world_vm[:, host_at.MEMORY_MAX]
        local = Command(balloons[k].reshape(most.shape) * most)
        calm = np.ones(len(which), dtype=bool)
        engine.step(Orders(verb[k], target[k], calm, pools[k]), local, ticks)
    return engine


def state(engine, c):
    rows = engine.span(c)
    tables = [getattr(engine.hosts, name)[rows] for name in OF_HOSTS]
    tables += [getattr(engine, name)[rows] for name in ("member", "guest", "slot")]
    return [t.tobytes() for t in tables] + [
        getattr(engine, name)[c].tobytes() for name in ("cluster", "pages", "link")
    ]


@pytest.fixture(scope="module")
def together(scenarios, told, cluster_engine):
    engine = play(cluster_engine(scenarios), told, np.arange(NUM_CLUSTERS))
    sums = engine.guest[:, at.DOWN_S :].sum(axis=(0, 2))
    assert engine.member[:, at.LENT].sum() > 0, "the test should test something"
    assert sums[at.REFUSED - at.DOWN_S] > 0
    return engine


@pytest.mark.parametrize("cluster", [0, 7, NUM_CLUSTERS - 1])
def test_a_cluster_alone_gives_the_same_bytes(scenarios, told, together, cluster_engine, cluster):
    alone = play(cluster_engine([scenarios[cluster]]), told, [cluster])
    assert state(alone, 0) == state(together, cluster)


def test_another_order_and_two_threads_give_the_same_bytes(scenarios, told, cluster_engine):
    order = np.tile(np.random.default_rng(0).permutation(NUM_CLUSTERS), 2)
    shuffled = cluster_engine([scenarios[c] for c in order], num_threads=2)
    assert shuffled.work.num_threads == 2
    play(shuffled, told, order)
    reference = play(cluster_engine([scenarios[c] for c in order]), told, order)
    for c in range(len(order)):
        assert state(shuffled, c) == state(reference, c)


def test_a_used_cluster_starts_anew_like_a_fresh_one(scenarios, told, together, cluster_engine):
    used = play(cluster_engine(scenarios[:2]), told, [0, 1])
    used.load([1], [scenarios[5]])
    fresh = cluster_engine([scenarios[5]])
    assert state(used, 1) == state(fresh, 0)
    play(used, told, [0, 5])
    play(fresh, told, [5])
    assert state(used, 1) == state(fresh, 0)


def test_a_twin_lives_the_same_life(scenarios, told, together):
    origin = np.array([3, 3, 17])
    twins = ClusterEngine(3, NUM_HOSTS, SLOTS, together.hosts.num_knots)
    twins.copy_clusters(together, origin)
    before = [state(together, c) for c in range(NUM_CLUSTERS)]
    for i, c in enumerate(origin):
        assert state(twins, i) == before[c]
    assert_same_telemetry(twins, together, origin)
    play(twins, told, origin)
    assert state(twins, 0) == state(twins, 1)
    assert [state(together, c) for c in range(NUM_CLUSTERS)] == before
    again = ClusterEngine(1, NUM_HOSTS, SLOTS, together.hosts.num_knots)
    again.copy_clusters(together, origin[2:])
    assert state(play(again, told, origin[2:]), 0) == state(twins, 2)


def assert_same_telemetry(twins, engine, origin):
    mine, theirs = twins.telemetry(), engine.telemetry().take_clusters(origin)
    for name in ("far_bytes", "room_bytes", "lendable_bytes", "move_phase", "sent_bytes_s"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)
    np.testing.assert_array_equal(mine.hosts.actual_bytes, theirs.hosts.actual_bytes)


def test_a_smaller_cluster_plays_the_same_in_a_larger_engine(plain_host, cluster_engine, tell):
    hosts = [plain_host(2, seed=3), plain_host(1, seed=4)]
    cluster = _cluster(hosts)
    small = cluster_engine([cluster])
    large = cluster_engine([cluster], num_hosts=4, num_vms=7)
    for engine in (small, large):
        for order in ((0, 1, MIGRATE, 1), (0, 0, BORROW), (0, 0, RECALL)):
            tell(engine, order, ticks=15)
    assert small.guest[1, at.FINISHED, 1] == large.guest[1, at.FINISHED, 1]
    for row in (host_at.ACTUAL, host_at.HOT, host_at.COLD, host_at.FOOTPRINT):
        np.testing.assert_array_equal(small.hosts.vm[:2, row], large.hosts.vm[:2, row, :4])
    telemetry = large.telemetry()
    assert telemetry.exists.tolist() == [[True, True, False, False]]
    assert (telemetry.room_bytes[0, 2:] == 0).all()
    assert (telemetry.hosts.time_s == 45.0).all()


def _cluster(hosts, **changes):
    from gymbal_envs.scenarios.cluster_scenario import cluster_of
    from gymbal_envs.simulator.cluster.migration_rules import RULES

    return cluster_of("plain", tuple(hosts), RULES["qemu"], **changes)


def test_what_does_not_fit_is_refused(plain_host, cluster_engine):
    with pytest.raises(ScenarioError, match="do not fit"):
        cluster_engine([_cluster([plain_host()] * 3)], num_hosts=2)
    with pytest.raises(ScenarioError, match="zswap"):
        cluster_engine([_cluster([plain_host(tier=TIERS["zswap"])] * 2)])


def test_a_cluster_without_orders_is_so_many_single_hosts(
    random_cluster, cluster_engine, engine_of, tell
):
    cluster = random_cluster(11, vm_stops_s=np.full((NUM_HOSTS, SLOTS), np.inf))
    engine = cluster_engine([cluster])
    hosts = [host for host in cluster.hosts if host is not None]
    single = engine_of(hosts)
    tell(engine, ticks=40)
    single.step(Command.no_change(len(hosts), SLOTS), 40)
    for table in ("vm", "host", "visible", "outcome", "streams"):
        there = [n for n, host in enumerate(cluster.hosts) if host is not None]
        mine = getattr(engine.hosts, table)[there]
        assert mine.tobytes() == getattr(single, table).tobytes(), table


PURE_PYTHON = """
import pickle, sys
import numpy as np
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.cluster.transition import advance_clusters
from gymbal_envs.simulator import layout as host_at
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.command import Command
assert not hasattr(advance_clusters, "py_func"), "compiled after all"
with open(sys.argv[1], "rb") as file:
    scenarios, (verb, target, balloons, pools), ticks, of_hosts, own = pickle.load(file)
engine = ClusterEngine(len(scenarios), *verb.shape[2:], scenarios[0].num_knots)
engine.load(range(len(scenarios)), scenarios)
for k in range(len(verb)):
    most = engine.hosts.world_vm[:, host_at.MEMORY_MAX]
    local = Command(balloons[k].reshape(most.shape) * most)
    calm = np.ones(len(scenarios), dtype=bool)
    engine.step(Orders(verb[k], target[k], calm, pools[k]), local, ticks)
tables = {name: getattr(engine.hosts, name) for name in of_hosts}
np.savez(sys.argv[2], **tables, **{name: getattr(engine, name) for name in own})
"""


def test_every_kernel_equals_its_python_form_to_the_last_bit(scenarios, told, together, tmp_path):
    """Clusters run in the interpreter (no kernel is compiled) and end in the same bytes."""
    few, packed, result = 6, tmp_path / "clusters.pkl", tmp_path / "state.npz"
    parts = tuple(part[:, :few] for part in told)
    packed.write_bytes(pickle.dumps((scenarios[:few], parts, TICKS, OF_HOSTS, OWN)))
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PURE_PYTHON, str(packed), str(result)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=True,
    )
    interpreted = np.load(result)
    for name in (*OF_HOSTS, *OWN):
        compiled = getattr(together if name in OWN else together.hosts, name)
        np.testing.assert_array_equal(
            interpreted[name], compiled[: len(interpreted[name])], err_msg=name
        )
