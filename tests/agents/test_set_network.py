from __future__ import annotations

import torch as th

from gymbal_agents.set_network import SetNetwork
from gymbal_runtime.observation import NUM_HOST_FEATURES, NUM_VM_FEATURES


def batch(vms: int) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    generator = th.Generator().manual_seed(vms)
    rows = th.randn(3, vms, NUM_VM_FEATURES, generator=generator)
    host = th.randn(3, NUM_HOST_FEATURES, generator=generator)
    present = (th.rand(3, vms, generator=generator) < 0.7).float()
    present[:, 0] = 1.0
    return rows * present.unsqueeze(-1), host, present


def trained() -> SetNetwork:
    th.manual_seed(0)
    network = SetNetwork(NUM_VM_FEATURES, NUM_HOST_FEATURES, width=16)
    th.nn.init.normal_(network.head_out.weight)
    return network


def test_it_starts_as_the_heuristic() -> None:
    network = SetNetwork(NUM_VM_FEATURES, NUM_HOST_FEATURES)
    action, _ = network(*batch(8))
    assert th.equal(action, th.zeros(3, 8))


def test_permuting_vms_permutes_the_action_and_not_the_value() -> None:
    network = trained()
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
