"""Networks that choose, as bundles: the graph is the network, for clusters of any size."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from gymbal_agents.export import (
    LARGEST,
    ExportError,
    check_graph,
    golden_cases,
    random_action,
    to_onnx,
)
from gymbal_agents.masked_policy import make_network
from gymbal_agents.set_network import SetNetwork
from gymbal_agents.torch_policy import Network, TorchPolicy
from gymbal_runtime.bundle import golden_error, read_bundle, write_bundle
from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.manifest import make_manifest
from gymbal_runtime.policy import Chooser, OnnxPolicy
from gymbal_runtime.signature import PolicyCodec
from gymbal_runtime.sites.codec import SitesCodec
from gymbal_runtime.training_range import range_of

Seen = dict[str, np.ndarray]


def observed(codec: PolicyCodec, size: int, worlds: int = 6) -> Seen:
    """Worlds of this size with every feature anywhere within its bounds."""
    rng, signature = np.random.default_rng(size), codec.signature
    sizes = {"hosts": size, "vms": size, "clusters": worlds, "worlds": worlds}
    if hasattr(codec, "actions_of"):
        sizes["actions"] = codec.actions_of(size)
    shapes = {
        name: [sizes[a] if isinstance(a, str) else a for a in axes]
        for name, axes in signature.inputs.items()
    }
    seen = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    for table, presence in signature.tables.items():
        low, high = codec.bounds()[table]
        seen[table] = rng.uniform(low, high, shapes[table]).astype(np.float32)
        if presence is not None:
            seen[presence] = (rng.random(shapes[presence]) < 0.8).astype(np.float32)
    mask = rng.random(shapes["mask"]) < 0.3
    mask[..., 0] = True
    liked = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1)
    seen["mask"] = mask.astype(np.float32)
    seen["proposed"] = liked.reshape(shapes["proposed"]).astype(np.float32)
    return seen


@pytest.fixture(params=[ClusterCodec(), SitesCodec()], ids=["cluster", "sites"])
def codec(request: pytest.FixtureRequest) -> PolicyCodec:
    return request.param


def action_space(seen: Seen) -> spaces.Space[Any]:
    _, *rows, choices = seen["mask"].shape
    return spaces.MultiDiscrete([choices] * rows[0]) if rows else spaces.Discrete(choices)


@pytest.fixture
def network(codec: PolicyCodec) -> Network:
    """As if it had learned something: weights of a size at which answers differ."""
    seen = observed(codec, 4)
    space = spaces.Dict({k: spaces.Box(-1, 1, v.shape[1:]) for k, v in seen.items()})
    th.manual_seed(0)
    made = make_network(space, action_space(seen), 16)
    for weight in made.parameters():
        th.nn.init.normal_(weight, 0.0, 0.3)
    return made


def test_the_graph_is_the_network_in_worlds_of_any_size(codec: Any, network: Any) -> None:
    graph = to_onnx(network, observed(codec, 4), codec.signature)
    policy, torch = OnnxPolicy(graph, codec, 32), TorchPolicy(network)
    chosen = Chooser(policy, codec.signature)
    for size in (1, 2, 7, 32):
        seen = observed(codec, size, worlds=3)
        np.testing.assert_allclose(policy(seen), torch(seen), atol=1e-4, rtol=1e-5)
        best = chosen(seen)
        assert np.take_along_axis(seen["mask"], best[..., None], axis=-1).all()
    assert (best != seen["proposed"].reshape(best.shape)).any()


def test_what_is_exported_is_read_back(codec: Any, network: Any, tmp_path: Path) -> None:
    observations = [observed(codec, size) for size in (4, 4, 4, 4)]
    signature = codec.signature
    graph = to_onnx(network, observations[0], signature)
    golden = golden_cases(network, observations, signature)
    check_graph(graph, golden, codec)
    stacked = {k: np.concatenate([o[k] for o in observations]) for k in signature.inputs}
    manifest = make_manifest(
        codec,
        largest=LARGEST[signature.limit],
        training_range=range_of(stacked, signature),
        training_config={},
        seeds=[0],
        evaluation=[],
        versions={},
        created=datetime.date(2026, 1, 1),
    )
    write_bundle(tmp_path / "policy.gymbal", manifest, graph, golden, "card")
    bundle = read_bundle(tmp_path / "policy.gymbal")
    assert all(golden_error(bundle.policy, case) < 1e-5 for case in bundle.golden)
    network.head_start.data.add_(1e-3)
    with pytest.raises(ExportError, match="differs from torch"):
        check_graph(to_onnx(network, observations[0], signature), golden, codec)


def test_a_network_for_other_inputs_is_refused(codec: Any) -> None:
    other = SetNetwork(codec.num_vm_features, codec.num_host_features)
    with pytest.raises(ExportError, match="the network takes"):
        to_onnx(other, observed(codec, 2), codec.signature)


def test_random_actions_are_legal_and_mostly_the_heuristics(codec: Any) -> None:
    seen, rng = observed(codec, 4, worlds=500), np.random.default_rng(0)
    actions = random_action(action_space(seen), seen, rng)
    assert np.take_along_axis(seen["mask"], actions[..., None], axis=-1).all()
    followed = (actions == seen["proposed"].reshape(actions.shape)).mean()
    assert 0.6 < followed < 0.9
