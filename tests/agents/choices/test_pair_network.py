from __future__ import annotations

import math

import pytest
import torch as th

from gymbal_agents.masked import HEAD_START, ILLEGAL
from gymbal_agents.pair_network import NUM_VERBS, PairNetwork

F, G, J = 7, 5, 3
Batch = dict[str, th.Tensor]


def batch(hosts: int, candidates: int = 3, size: int = 4, everyone: bool = False) -> Batch:
    draw = th.Generator().manual_seed(100 * hosts + candidates)
    host_present = (th.rand(size, hosts, generator=draw) < 0.8).float()
    host_present[:, 0] = 1.0
    vm_present = (th.rand(size, hosts, candidates, generator=draw) < 0.7).float()
    if everyone:
        host_present, vm_present = th.ones_like(host_present), th.ones_like(vm_present)
    vm_present = vm_present * host_present.unsqueeze(2)
    actions = 1 + hosts * candidates * (NUM_VERBS + hosts)
    mask = (th.rand(size, actions, generator=draw) < 0.4).float()
    blocks(mask, hosts, candidates)[..., NUM_VERBS:] *= 1.0 - th.eye(hosts)[:, None, :]
    mask[:, 0] = 1.0
    legal = mask * th.rand(mask.shape, generator=draw)
    vms = th.randn(size, hosts, candidates, F, generator=draw)
    rows = th.randn(size, hosts, G, generator=draw)
    return {
        "vms": vms * vm_present.unsqueeze(3),
        "vm_present": vm_present,
        "hosts": rows * host_present.unsqueeze(2),
        "host_present": host_present,
        "cluster": th.randn(size, J, generator=draw),
        "proposed": legal.argmax(1, keepdim=True).float(),
        "mask": mask,
    }


def trained() -> PairNetwork:
    """As if it had learned something: nothing is zero."""
    th.manual_seed(0)
    network = PairNetwork(F, G, J, width=16)
    for last in (network.verbs, network.pair, network.wait):
        th.nn.init.normal_(last.weight)
    return network


def run(network: PairNetwork, seen: Batch) -> tuple[th.Tensor, th.Tensor]:
    with th.no_grad():
        scores, value = network(*(seen[name] for name in PairNetwork.inputs))
    return scores, value


def blocks(scores: th.Tensor, hosts: int, candidates: int) -> th.Tensor:
    """A view of the scores without the first, (B, H, K, verbs + H)."""
    return scores[:, 1:].view(len(scores), hosts, candidates, NUM_VERBS + hosts)


@pytest.mark.parametrize(("hosts", "candidates"), [(1, 1), (2, 3), (5, 2), (16, 3)])
def test_it_starts_as_the_heuristic(hosts: int, candidates: int) -> None:
    seen = batch(hosts, candidates)
    scores, value = run(PairNetwork(F, G, J), seen)
    assert scores.shape == seen["mask"].shape
    assert value.shape == (4,)
    assert th.equal(scores.argmax(1), seen["proposed"].long().squeeze(1))
    share = scores.softmax(1).gather(1, seen["proposed"].long())
    others = seen["mask"].sum(1, keepdim=True) - 1.0
    th.testing.assert_close(share, 1.0 / (1.0 + others * math.exp(-HEAD_START)))


def test_what_is_illegal_is_far_below() -> None:
    seen = batch(4)
    scores, _ = run(trained(), seen)
    legal = seen["mask"] > 0
    assert (scores[~legal] == ILLEGAL).all()
    assert (scores[legal].abs() < 1e3).sum() > 0.5 * int(legal.sum())
    seen["mask"] = th.zeros_like(seen["mask"])
    scores, value = run(trained(), seen)
    assert scores.isfinite().all()
    assert value.isfinite().all()


def test_nobody_moves_to_where_he_is() -> None:
    seen = batch(4) | {"mask": th.ones_like(batch(4)["mask"])}
    scores, _ = run(trained(), seen)
    moves = blocks(scores, 4, 3)[..., NUM_VERBS:]
    itself = th.eye(4, dtype=th.bool)[:, None, :].expand(4, 3, 4)
    assert (moves[:, itself] < ILLEGAL / 2).all()
    assert (moves[:, ~itself] > ILLEGAL / 2).all()


def shuffled(
    seen: Batch, hosts: int, candidates: int, order: th.Tensor, places: th.Tensor
) -> Batch:
    """The same clusters with hosts in another order, and their candidates, too."""
    number = th.arange(1, 1 + hosts * candidates * (NUM_VERBS + hosts)).unsqueeze(0)
    old = blocks(th.cat([th.zeros(1, 1, dtype=th.long), number], 1), hosts, candidates)
    columns = th.cat([th.arange(NUM_VERBS), NUM_VERBS + order])
    old = old[:, order][:, :, places][..., columns]
    index = th.cat([th.zeros(1, dtype=th.long), old.flatten()])  # new place -> old place
    where = index.argsort()  # old place -> new place
    return {
        "vms": seen["vms"][:, order][:, :, places],
        "vm_present": seen["vm_present"][:, order][:, :, places],
        "hosts": seen["hosts"][:, order],
        "host_present": seen["host_present"][:, order],
        "cluster": seen["cluster"],
        "proposed": where[seen["proposed"].long()].float(),
        "mask": seen["mask"][:, index],
        "index": index,
    }


@pytest.mark.parametrize(("hosts", "candidates"), [(2, 1), (3, 3), (8, 2), (16, 3)])
def test_permuting_hosts_and_vms_permutes_the_scores(hosts: int, candidates: int) -> None:
    network, seen = trained(), batch(hosts, candidates)
    draw = th.Generator().manual_seed(hosts)
    order = th.randperm(hosts, generator=draw)
    places = th.randperm(candidates, generator=draw)
    other = shuffled(seen, hosts, candidates, order, places)
    scores, value = run(network, seen)
    moved, same = run(network, other)
    th.testing.assert_close(moved, scores[:, other["index"]], atol=1e-4, rtol=1e-4)
    th.testing.assert_close(same, value, atol=1e-4, rtol=1e-4)
    assert scores[:, 1:].std() > 0.1  # there is something to permute


def test_absent_hosts_and_candidates_do_not_matter() -> None:
    network, hosts, candidates = trained(), 3, 2
    seen = batch(hosts, candidates, everyone=True)
    seen |= {"mask": th.ones_like(seen["mask"]), "proposed": th.zeros(4, 1)}
    more = {name: values for name, values in seen.items()}
    pad = th.nn.functional.pad
    more["vms"] = pad(seen["vms"], (0, 0, 0, 1, 0, 2))
    more["vm_present"] = pad(seen["vm_present"], (0, 1, 0, 2))
    more["hosts"] = pad(seen["hosts"], (0, 0, 0, 2))
    more["host_present"] = pad(seen["host_present"], (0, 2))
    more["mask"] = th.ones(4, 1 + 5 * 3 * (NUM_VERBS + 5))
    scores, value = run(network, seen)
    wider, same = run(network, more)
    th.testing.assert_close(wider[:, 0], scores[:, 0])
    th.testing.assert_close(same, value)
    inner = blocks(wider, 5, 3)[:, :hosts, :candidates, : NUM_VERBS + hosts]
    th.testing.assert_close(inner, blocks(scores, hosts, candidates))


def test_a_move_depends_on_both_ends() -> None:
    network, seen = trained(), batch(4, everyone=True)
    seen |= {"mask": th.ones_like(seen["mask"]), "proposed": th.zeros(4, 1)}
    moves = blocks(run(network, seen)[0], 4, 3)[..., NUM_VERBS:]
    seen["hosts"] = seen["hosts"].clone()
    seen["hosts"][:, 2] += 1.0
    other = blocks(run(network, seen)[0], 4, 3)[..., NUM_VERBS:]
    changed = (moves - other).abs()
    assert (changed[:, 0, :, 2] > changed[:, 0, :, 1]).float().mean() > 0.5


def test_everything_but_the_target_learns() -> None:
    network, seen = PairNetwork(F, G, J, width=16), batch(4, size=32)
    for last in (network.verbs, network.pair, network.wait):
        th.nn.init.normal_(last.weight)
    scores, value = network(*(seen[name] for name in PairNetwork.inputs))
    (th.log_softmax(scores, 1)[:, :10].mean() + value.mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if name not in ("pair.bias",):
            assert parameter.grad.any(), name
