from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.cluster.codec_agent import ClusterCodecAgent
from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.orders import WAIT
from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.training_range import MissingTelemetryError, range_of


def proposed(observation):
    return observation["proposed"][:, 0]


def nothing(observation):
    return np.zeros(len(observation["mask"]), dtype=np.int64)


def test_a_policy_that_follows_gives_the_heuristics_orders(random_cluster, later):
    codec = ClusterCodec()
    agent = ClusterCodecAgent(codec, proposed)
    rule = make_cluster_heuristic(codec.heuristic, **codec.options)
    record = random_cluster(0, 6, 4, 6)
    given = 0
    for k in range(5):
        orders, base = agent.act(record), rule.act(record)
        told = orders.verb != WAIT
        np.testing.assert_array_equal(orders.verb, base.verb)
        np.testing.assert_array_equal(orders.target, base.target)
        given += int(told.sum())
        record = later(record, k, 10.0)
    assert given > 5


def test_reset__makes_marked_clusters_new_and_no_other(random_cluster, later):
    seen = []

    def policy(observation):
        seen.append(observation["vms"].copy())
        return nothing(observation)

    def run(*resets):
        agent = ClusterCodecAgent(ClusterCodec(), policy)
        agent.reset(3, 5)
        record = random_cluster(1)
        agent.act(record)
        for worlds in resets:
            agent.reset(3, 5, worlds)
        agent.act(later(record, 5, 10.0))
        return seen[-1]

    kept, partly, fresh = run(), run(np.array([True, False, False])), run(None)
    np.testing.assert_array_equal(partly[0], fresh[0])
    np.testing.assert_array_equal(partly[1:], kept[1:])
    assert (fresh != kept).any()


def test_a_record_unlike_training_is_refused_where_the_range_is_known(random_cluster):
    codec = ClusterCodec()
    record = random_cluster(2, 8, 4, 6)
    rule = make_cluster_heuristic(codec.heuristic)
    seen, _ = codec.encode(record, rule.act(record), codec.initial_history(*record.shape))
    known = range_of(seen, codec.signature, ["psi_some_frac"])
    ClusterCodecAgent(codec, nothing, known=known).act(record)
    blind = np.where(record.hosts.present, np.nan, record.hosts.psi_some_frac)
    record = replace(record, hosts=replace(record.hosts, psi_some_frac=blind))
    with pytest.raises(MissingTelemetryError):
        ClusterCodecAgent(codec, nothing, known=known).act(record)
    ClusterCodecAgent(codec, nothing).act(record)


def test_an_illegal_choice_is_refused(random_cluster):
    agent = ClusterCodecAgent(ClusterCodec(), lambda observation: nothing(observation) - 1)
    with pytest.raises(InvalidActionError, match="whole number in 0"):
        agent.act(random_cluster(3))


def test_a_record_of_another_shape_starts_a_new_history(random_cluster):
    seen = []

    def policy(observation):
        seen.append(observation["vms"].copy())
        return nothing(observation)

    agent, fresh = (ClusterCodecAgent(ClusterCodec(), policy) for _ in range(2))
    agent.act(random_cluster(4, 3, 3, 5))
    agent.act(random_cluster(5, 3, 4, 5))
    fresh.act(random_cluster(5, 3, 4, 5))
    np.testing.assert_array_equal(seen[1], seen[2])
