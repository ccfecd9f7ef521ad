from __future__ import annotations

import pytest
import torch as th

from gymbal_agents.set_network import SetNetwork
from gymbal_runtime.codec import default_codec

NUM_VM_FEATURES = default_codec().num_vm_features
NUM_HOST_FEATURES = default_codec().num_host_features


def batch(vms: int) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    generator = th.Generator().manual_seed(vms)
    rows = th.randn(3, vms, NUM_VM_FEATURES, generator=generator)
    host = th.randn(3, NUM_HOST_FEATURES, generator=generator)
    present = (th.rand(3, vms, generator=generator) < 0.7).float()
    present[:, 0] = 1.0
    return rows * present.unsqueeze(-1), host, present


def trained(num_actions: int = 1) -> SetNetwork:
    th.manual_seed(0)
    network = SetNetwork(NUM_VM_FEATURES, NUM_HOST_FEATURES, 16, num_actions)
    th.nn.init.normal_(network.head_out.weight)
    return network


def test_it_starts_as_the_heuristic() -> None:
    network = SetNetwork(NUM_VM_FEATURES, NUM_HOST_FEATURES)
    action, _ = network(*batch(8))
    assert th.equal(action, th.zeros(3, 8))


def test_several_actions_of_a_vm_have_an_axis_of_their_own() -> None:
    rows, host, present = batch(8)
    action, value = trained(3)(rows, host, present)
    assert action.shape == (3, 8, 3)
    assert value.shape == (3,)
    assert not action[present == 0].any()
    assert (action[present > 0].std(0) > 0).all()
    first = SetNetwork(NUM_VM_FEATURES, NUM_HOST_FEATURES, num_actions=3)
    assert not first(rows, host, present)[0].any()


@pytest.mark.parametrize("num_actions", [1, 3])
def test_permuting_vms_permutes_the_action_and_not_the_value(num_actions: int) -> None:
    network = trained(num_actions)
    for vms in (2, 5, 40):
        rows, host, present = batch(vms)
        order = th.randperm(vms, generator=th.Generator().manual_seed(1))
        action, value = network(rows, host, present)
        moved, same = network(rows[:, order], host, present[:, order])
        assert th.allclose(moved, action[:, order], atol=1e-5)
        assert th.allclose(same, value, atol=1e-5)


def test_empty_slots_do_not_matter() -> None:
    network = trained()
    rows, host, present = batch(6)
    action, value = network(rows, host, present)
    wider = th.nn.functional.pad(rows, (0, 0, 0, 3))
    more, same = network(wider, host, th.nn.functional.pad(present, (0, 3)))
    assert th.allclose(more[:, :6], action, atol=1e-6)
    assert th.equal(more[:, 6:], th.zeros(3, 3))
    assert th.allclose(same, value, atol=1e-6)
