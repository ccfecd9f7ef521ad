"""OnnxPolicy: loads only graphs that fit, answers only with numbers that can be used."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.policy import (
    InvalidActionError,
    OnnxPolicy,
    Policy,
    PolicyError,
    check_action,
    check_choice,
)
from gymbal_runtime.tasks import BALLOON

CODEC = Codec(BALLOON, "senpai")


def make_observation(num_hosts: int, num_vms: int, seed: int = 0) -> Observation:
    rng = np.random.default_rng(seed)
    return Observation(
        vms=rng.random((num_hosts, num_vms, CODEC.num_vm_features), dtype=np.float32),
        host=rng.random((num_hosts, CODEC.num_host_features), dtype=np.float32),
        present=np.ones((num_hosts, num_vms), dtype=np.float32),
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 40), (2, 256)])
def test_onnx_policy__any_number_of_hosts_and_vms(bundle, shape):
    action = bundle.policy(make_observation(*shape))
    assert action.shape == shape
    assert action.dtype == np.float32
    assert np.abs(action).max() <= 1


def test_onnx_policy__batch_does_not_matter(bundle):
    together = make_observation(4, 7)
    alone = Observation(**{name: values[2:3] for name, values in together.items()})
    np.testing.assert_allclose(bundle.policy(alone)[0], bundle.policy(together)[2], atol=1e-6)


def test_onnx_policy__permuting_vms_permutes_actions(bundle):
    observation = make_observation(1, 9)
    order = np.random.default_rng(1).permutation(9)
    shuffled = Observation(
        vms=observation["vms"][:, order],
        host=observation["host"],
        present=observation["present"][:, order],
    )
    expected = bundle.policy(observation)[:, order]
    np.testing.assert_allclose(bundle.policy(shuffled), expected, atol=1e-5)


def test_onnx_policy__refuses_too_many_vms(bundle):
    with pytest.raises(PolicyError, match="257 VM slots, but the policy takes at most 256"):
        bundle.policy(make_observation(1, 257))


@pytest.mark.parametrize("name", ["vms", "host"])
def test_onnx_policy__refuses_wrong_width(bundle, name):
    observation = make_observation(1, 3)
    observation[name] = observation[name][..., :-1]
    with pytest.raises(PolicyError, match="the graph failed"):
        bundle.policy(observation)


@pytest.mark.parametrize("graph", [b"", b"not a graph", b"\x00" * 1000])
def test_onnx_policy__refuses_what_is_not_a_graph(graph):
    with pytest.raises(PolicyError):
        OnnxPolicy(graph, CODEC, 8)


def test_onnx_policy__satisfies_protocol(bundle):
    assert isinstance(bundle.policy, Policy)


def test_check_action__nan_only_where_no_vm_is():
    observation = make_observation(1, 3)
    observation["present"][0, 1] = 0
    action = check_action(np.array([[0.5, np.nan, -0.5]]), observation)
    assert action.dtype == np.float32
    with pytest.raises(InvalidActionError, match="NaN or infinite"):
        check_action(np.array([[np.nan, 0.0, 0.0]]), observation)


@pytest.mark.parametrize("action", [None, "x", np.zeros(3), np.zeros((1, 2)), [[1, 2], [3]], 0.0])
def test_check_action__refuses_wrong_shapes_and_types(action):
    with pytest.raises(InvalidActionError):
        check_action(action, make_observation(1, 3))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros(2), r"has shape \(2,\), expected \(1,\)"),
        (np.array([0.5]), r"whole number in 0\.\.3"),
        (np.array([np.nan]), "whole number"),
        (np.array([10**6]), "whole number"),
        (np.array([3]), "not legal"),
        (["a"], "not an array of numbers"),
    ],
)
def test_check_choice__refuses_what_is_no_legal_choice(answer, message):
    with pytest.raises(InvalidActionError, match=message):
        check_choice(answer, np.array([[1, 1, 0, 0]], dtype=np.float32))


def test_check_choice__is_made_over_the_last_axis():
    mask = np.zeros((2, 3, 4), dtype=np.float32)
    mask[0, :, 1] = mask[1, :, 2] = 1
    choice = check_choice([[1.0] * 3, [2.0] * 3], mask)
    assert choice.dtype == np.int64
    assert choice.tolist() == [[1] * 3, [2] * 3]
    with pytest.raises(InvalidActionError, match="not legal"):
        check_choice(choice[::-1], mask)
