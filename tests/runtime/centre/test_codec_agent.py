import numpy as np
import pytest

from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.centre.codec_agent import CentreCodecAgent
from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.policy import InvalidActionError

CODEC = CentreCodec()


def nothing(observation):
    return np.zeros((*observation["present"].shape, 3), np.float32)


def agent_of(policy, record):
    agent = CentreCodecAgent(CODEC, policy)
    agent.reset(*record.present.shape)
    return agent


def test_a_policy_that_corrects_nothing_is_the_rule(random_centres):
    record = random_centres(0)
    orders = agent_of(nothing, record).act(record)
    base = make_centre_heuristic(CODEC.heuristic).act(record)
    np.testing.assert_array_equal(orders.target, base.target)
    np.testing.assert_array_equal(orders.power, base.power)


def test_corrections_reach_the_rule(random_centres):
    record = random_centres(2, 4, 9, 20)
    action = np.random.default_rng(0).uniform(-1, 1, (4, 9, 3))
    orders = agent_of(lambda observation: action, record).act(record)
    expected = CODEC.decode(action.astype(np.float32), record)
    np.testing.assert_array_equal(orders.target, expected.target)
    np.testing.assert_array_equal(orders.power, expected.power)


def test_it_remembers_and_forgets(random_centres):
    seen = []

    def watch(observation):
        seen.append(observation["hosts"].copy())
        return nothing(observation)

    first, second = random_centres(1), random_centres(2)
    agent = agent_of(watch, first)
    agent.act(first)
    agent.act(second)
    agent.reset(3, 9, np.array([True, False, False]))
    agent.act(first)
    agent.reset(3, 9)
    agent.act(first)
    np.testing.assert_array_equal(seen[0], seen[3])
    np.testing.assert_array_equal(seen[0][0], seen[2][0])
    assert not np.array_equal(seen[0][1:], seen[2][1:])


def test_a_record_of_another_shape_is_refused(random_centres):
    agent = agent_of(nothing, random_centres(3))
    with pytest.raises(ValueError, match="reset announced"):
        agent.act(random_centres(3, 2, 5, 9))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("nothing", "not an array"),
        ([[0.0]], "has shape"),
        ([[[np.nan, 0.0, 0.0]]], "NaN or infinite"),
    ],
)
def test_answers_that_cannot_be_carried_out_are_refused(centre, answer, message):
    record = centre([[0.2]])
    with pytest.raises(InvalidActionError, match=message):
        agent_of(lambda observation: answer, record).act(record)
