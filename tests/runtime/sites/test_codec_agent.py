import numpy as np
import pytest

from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.sites.codec import SitesCodec
from gymbal_runtime.sites.codec_agent import SitesCodecAgent
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.sites.orders import REPLICATE

CODEC = SitesCodec()


def follow(observation):
    return observation["proposed"].astype(int)


def agent_of(policy, record):
    agent = SitesCodecAgent(CODEC, policy)
    agent.reset(*record.present.shape)
    return agent


def test_a_policy_that_follows_is_the_heuristic(wild):
    record = wild(0)
    orders = agent_of(follow, record).act(record)
    base = make_sites_heuristic(CODEC.heuristic).act(record)
    np.testing.assert_array_equal(orders.verb, base.verb)
    np.testing.assert_array_equal(orders.stop_rule, base.stop_rule)


def test_it_remembers_and_forgets(wild):
    seen = []

    def watch(observation):
        seen.append(observation["vms"].copy())
        return follow(observation)

    first, second = wild(1), wild(2)
    agent = agent_of(watch, first)
    agent.act(first)
    agent.act(second)
    agent.reset(5, 6, np.array([True, False, False, False, False]))
    agent.act(first)
    agent.reset(5, 6)
    agent.act(first)
    np.testing.assert_array_equal(seen[0], seen[3])
    np.testing.assert_array_equal(seen[0][0], seen[2][0])
    assert not np.array_equal(seen[0][1:], seen[2][1:])


def test_a_record_of_another_shape_is_refused(wild):
    agent = agent_of(follow, wild(3))
    with pytest.raises(ValueError, match="reset announced"):
        agent.act(wild(3, 2, 6))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("nothing", "not an array"),
        ([[0.0]], "has shape"),
        ([[0.5, 0.0]], "whole number"),
        ([[np.nan, 0.0]], "whole number"),
        ([[9.0, 0.0]], "whole number"),
        ([[4.0, 0.0]], "not legal"),
    ],
)
def test_answers_that_cannot_be_carried_out_are_refused(plain, answer, message):
    record = plain(1, 2)
    with pytest.raises(InvalidActionError, match=message):
        agent_of(lambda observation: answer, record).act(record)


def test_legal_answers_pass(plain):
    record = plain(1, 2)
    orders = agent_of(lambda observation: [[REPLICATE, 0]], record).act(record)
    assert orders.verb.tolist() == [[REPLICATE, 0]]
