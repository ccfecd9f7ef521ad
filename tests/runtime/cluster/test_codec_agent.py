from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.cluster.codec import default_cluster_codec
from gymbal_runtime.cluster.codec_agent import ClusterCodecAgent, check_choice
from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.orders import WAIT
from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.training_range import MissingTelemetryError, range_of


def proposed(observation):
    return observation["proposed"][:, 0]


def nothing(observation):
    return np.zeros(len(observation["mask"]), dtype=np.int64)


def test_a_policy_that_follows_gives_one_of_the_heuristics_orders(random_cluster, later):
    codec = default_cluster_codec()
    agent, rule = ClusterCodecAgent(codec, proposed), make_cluster_heuristic(codec.heuristic)
    record = random_cluster(0, 6, 4, 6)
    given = 0
    for k in range(5):
        orders, base = agent.act(record), rule.act(record)
        told = orders.verb != WAIT
        assert (told.sum(axis=(1, 2)) <= 1).all()
        np.testing.assert_array_equal(orders.verb[told], base.verb[told])
        np.testing.assert_array_equal(orders.target[told], base.target[told])
        given += int(told.sum())
        record = later(record, k, 10.0)
    assert given > 5


def test_reset__makes_marked_clusters_new_and_no_other(random_cluster, later):
    seen = []

    def policy(observation):
        seen.append(observation["vms"].copy())
        return nothing(observation)

    def run(*resets):
        agent = ClusterCodecAgent(default_cluster_codec(), policy)
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
    codec = default_cluster_codec()
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


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros(2), "shape"),
        (np.array([0.5]), "whole number"),
        (np.array([np.nan]), "whole number"),
        (np.array([10**6]), "whole number"),
        (np.array([3]), "not legal"),
        (["a"], "array of numbers"),
    ],
)
def test_check_choice__refuses_what_is_no_legal_action(answer, message):
    observation = {"mask": np.array([[1, 1, 0, 0]], dtype=np.float32)}
    with pytest.raises(InvalidActionError, match=message):
        check_choice(answer, observation)
    assert check_choice(np.array([1.0]), observation)[0] == 1
