"""Bundles of every kind of task: one host, clusters, sites, data centres."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.bundle import BundleError, parse_bundle, read_bundle, write_bundle
from gymbal_runtime.bundle_file import pack, unpack
from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.cluster.codec_agent import ClusterCodecAgent
from gymbal_runtime.cluster.layers.codec import LayersCodec
from gymbal_runtime.codec import default_codec
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.golden import GoldenCase, golden_case
from gymbal_runtime.inspection import description
from gymbal_runtime.manifest import make_manifest
from gymbal_runtime.placement.codec import PlacementCodec
from gymbal_runtime.policy import Chooser, InvalidActionError, OnnxPolicy, PolicyError, best_legal
from gymbal_runtime.policy_kinds import kind_of
from gymbal_runtime.signature import SCORES, PolicyCodec, Signature
from gymbal_runtime.sites.codec import SitesCodec
from gymbal_runtime.sites.codec_agent import SitesCodecAgent
from gymbal_runtime.tasks import (
    CENTRE_TASKS,
    CLUSTER,
    CLUSTER_TASKS,
    OVERLOAD,
    PLACEMENT,
    SITES,
    TASKS,
)
from gymbal_runtime.training_range import (
    FeatureRange,
    OutOfTrainingRangeError,
    RangeCheck,
    TrainingRange,
    range_of,
)

SIZES = {"hosts": 4, "vms": 5, "clusters": 3, "worlds": 3}
CHOICES = [ClusterCodec(), SitesCodec()]
Observation = dict[str, np.ndarray]


def codec_of(task: str) -> PolicyCodec:
    if task == OVERLOAD:
        return ClusterCodec()
    if task == CLUSTER:
        return LayersCodec()
    if task == PLACEMENT:
        return PlacementCodec()
    if task in CENTRE_TASKS:
        return CentreCodec()
    return SitesCodec() if task == SITES else default_codec(task)


def observed(codec: PolicyCodec, seed: int = 0) -> Observation:
    """Everybody is there, features are anywhere within their bounds."""
    rng, signature = np.random.default_rng(seed), codec.signature
    sizes = dict(SIZES)
    if hasattr(codec, "actions_of"):
        sizes["actions"] = codec.actions_of(sizes["hosts"])
    shapes = {
        name: [sizes.get(a, 3) if isinstance(a, str) else a for a in axes]
        for name, axes in signature.inputs.items()
    }
    seen = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    for name, (low, high) in codec.bounds().items():
        seen[name] = rng.uniform(low, high, shapes[name]).astype(np.float32)
    if "mask" in seen:
        mask = rng.random(shapes["mask"]) < 0.5
        mask[..., 0] = True
        liked = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1)
        seen["mask"] = mask.astype(np.float32)
        seen["proposed"] = liked.reshape(shapes["proposed"]).astype(np.float32)
    return seen


def follower(signature: Signature) -> bytes:
    """A graph that scores what is proposed 8 and everything else 0."""
    onnx = pytest.importorskip("onnx")
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    constants = [
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in (
            ("last", np.array([-1])),
            ("off_on", np.array([0.0, 8.0], np.float32)),
            ("row", np.array([1])),
        )
    ]
    one_row = len(signature.inputs["mask"]) == 2
    nodes = [
        helper.make_node("Cast", ["proposed"], ["number"], to=onnx.TensorProto.INT64),
        helper.make_node("Squeeze", ["number", "row"], ["index"])
        if one_row
        else helper.make_node("Identity", ["number"], ["index"]),
        helper.make_node("Shape", ["mask"], ["shape"]),
        helper.make_node("Gather", ["shape", "last"], ["depth"]),
        helper.make_node("OneHot", ["index", "depth", "off_on"], [signature.output], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "follower",
        [helper.make_tensor_value_info(n, real, axes) for n, axes in signature.inputs.items()],
        [helper.make_tensor_value_info(signature.output, real, signature.inputs["mask"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


def parts_of(codec: PolicyCodec) -> tuple[Any, bytes, list[GoldenCase]]:
    graph, config = follower(codec.signature), {"seed": 1}
    policy = OnnxPolicy(graph, codec, 8)
    cases = [golden_case(o := observed(codec, seed), policy(o), SCORES) for seed in range(2)]
    manifest = make_manifest(
        codec,
        largest=8,
        training_range=range_of(observed(codec, 3), codec.signature),
        training_config=config,
        seeds=[1],
        evaluation=[],
        versions={},
        created=datetime.date(2026, 1, 1),
    )
    return manifest, graph, cases


@pytest.fixture(params=CHOICES, ids=["cluster", "sites"])
def codec(request: pytest.FixtureRequest) -> PolicyCodec:
    return request.param


@pytest.fixture
def path(codec: PolicyCodec, tmp_path: Path) -> Path:
    write_bundle(tmp_path / "a.gymbal", *parts_of(codec), "card")
    return tmp_path / "a.gymbal"


@pytest.mark.parametrize("task", [*TASKS, *CLUSTER_TASKS, *CENTRE_TASKS])
def test_a_kind_makes_the_codec_of_its_spec(task: str) -> None:
    codec = codec_of(task)
    assert kind_of(task).codec(codec.spec()) == codec
    signature = codec.signature
    assert signature.widths == {name: len(low) for name, (low, _) in codec.bounds().items()}
    assert set(signature.tables) | set(filter(None, signature.tables.values())) <= set(
        signature.inputs
    )
    with pytest.raises(ValueError, match="no task"):
        kind_of("gymbal/None-v0")


def test_bundle__of_choices_holds_what_was_written(codec: PolicyCodec, path: Path) -> None:
    bundle = read_bundle(path)
    assert bundle.codec == codec
    assert bundle.policy.largest == 8
    assert f"8 {codec.signature.limited}" in description(bundle)
    assert getattr(bundle.manifest, codec.signature.limit) == 8
    kind = ClusterCodecAgent if codec.task == OVERLOAD else SitesCodecAgent
    assert isinstance(bundle.agent(checked=True), kind)
    assert bundle.fallback().name == codec.heuristic
    again = path.with_name("again.gymbal")
    members, _ = unpack(path.read_bytes(), path)
    write_bundle(
        again, bundle.manifest, members["policy.onnx"], list(bundle.golden), bundle.model_card
    )
    assert again.read_bytes() == path.read_bytes()
    observation, _ = bundle.golden[0].arrays()
    chosen = Chooser(bundle.policy, codec.signature)(observation)
    np.testing.assert_array_equal(chosen.ravel(), observation["proposed"].ravel())
    assert set(json.loads(members["golden.json"])[0]) == {*codec.signature.inputs, SCORES}


def test_bundle__of_choices_serves_up_to_its_size(codec: PolicyCodec, path: Path) -> None:
    policy, signature = read_bundle(path).policy, codec.signature
    large = {**observed(codec)}
    name, axis = signature.sized
    large[name] = np.repeat(large[name], 3, axis=axis)
    with pytest.raises(PolicyError, match=f"{signature.limited}, but the policy takes at most 8"):
        policy(large)


WRONG = {
    "limit": lambda m: m.update({"max_hosts": 8, "max_vms": 8}),
    "no limit": lambda m: [m.pop(name, None) for name in ("max_hosts", "max_vms")],
    "null limit": lambda m: m.update(max_hosts=None),
    "no table": lambda m: [m["training_range"].pop(f"vms_{end}") for end in ("low", "high")],
    "half a table": lambda m: m["training_range"].pop("vms_low"),
    "other table": lambda m: m["training_range"].update(x_low=[], x_high=[]),
    "text": lambda m: m["training_range"]["vms_low"].__setitem__(0, "0"),
    "no range": lambda m: m.update(training_range=[]),
    "host task": lambda m: m.update(task=TASKS[0]),
    "candidates": lambda m: m["codec"].update(candidates="3", history_steps=0),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_bundle__refuses_wrong_manifests(path: Path, change: Any) -> None:
    members, _ = unpack(path.read_bytes(), path)
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    raw = pack(members | {"manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(BundleError, match=r"^here: manifest\.json: "):
        parse_bundle(raw, "here")


WRONG_GOLDEN = {
    "missing": lambda c: c.pop("mask"),
    "extra": lambda c: c.update(more=[1.0]),
    "no output": lambda c: c.pop(SCORES),
    "ragged": lambda c: c["vms"][0].pop(),
    "fewer worlds": lambda c: c["vms"].pop(),
    "flat": lambda c: c.update(vms=[1.0]),
    "text": lambda c: c.update(proposed="1"),
    "null": lambda c: c["mask"].__setitem__(0, None),
    "nothing asked": lambda c: c.update(mask=np.zeros_like(c["mask"]).tolist()),
    "other scores": lambda c: c.update({SCORES: (np.asarray(c[SCORES]) + 1e-3).tolist()}),
}


@pytest.mark.parametrize("change", WRONG_GOLDEN.values(), ids=WRONG_GOLDEN.keys())
def test_bundle__refuses_wrong_golden_cases(path: Path, change: Any) -> None:
    members, _ = unpack(path.read_bytes(), path)
    golden = json.loads(members["golden.json"])
    change(golden[0])
    raw = pack(members | {"golden.json": json.dumps(golden).encode()})
    with pytest.raises(BundleError, match=r"^here: (golden\.json|policy\.onnx): "):
        parse_bundle(raw, "here")


def test_range_check__sees_a_row_with_what_it_is_part_of(codec: PolicyCodec) -> None:
    seen, signature = observed(codec), codec.signature
    known = TrainingRange(
        {n: FeatureRange(low.tolist(), high.tolist()) for n, (low, high) in codec.bounds().items()}
    )
    check = RangeCheck(known, codec)
    assert not check.share_outside(seen).any()
    coarsest, finest = list(signature.tables)[-1], next(iter(signature.tables))
    total = sum(signature.widths.values())
    seen[coarsest][1] = 1e6
    np.testing.assert_allclose(
        check.share_outside(seen), [0.0, signature.widths[coarsest] / total, 0.0]
    )
    seen[finest][1, 0] = 1e6
    seen[finest][2, 0] = 1e6
    worst = check.share_outside(seen)
    assert worst[1] == pytest.approx(worst[2] + signature.widths[coarsest] / total)
    with pytest.raises(OutOfTrainingRangeError):
        check(seen)
    seen[signature.tables[finest]][:, 0] = 0.0
    assert check.share_outside(seen)[2] == 0.0


def test_rows_outside__takes_the_worst_of_a_table_beside() -> None:
    signature = Signature(
        inputs={
            "vms": ("worlds", "vms", 4),
            "present": ("worlds", "vms"),
            "links": ("worlds", "links", 2),
        },
        tables={"vms": "present", "links": None},
        asked="present",
    )
    outside = {"vms": np.array([[0, 1, 3], [0, 0, 0]]), "links": np.array([[1, 0], [0, 2]])}
    np.testing.assert_array_equal(signature.rows_outside(outside), [[1, 2, 4], [2, 2, 2]])


def test_best_legal__first_of_equals_and_0_where_nothing_is() -> None:
    scores = np.array([[1.0, 3.0, 3.0], [np.nan, 2.0, 9.0], [5.0, 6.0, 7.0]], np.float32)
    mask = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]], np.float32)
    np.testing.assert_array_equal(best_legal(scores, mask), [1, 1, 0])


def test_chooser__refuses_scores_that_are_no_numbers(codec: PolicyCodec) -> None:
    seen = observed(codec)
    scores = np.where(seen["mask"] > 0, 1.0, np.nan)
    assert Chooser(lambda _: scores, codec.signature)(seen).max() >= 0
    scores[seen["mask"] > 0] = np.nan
    with pytest.raises(InvalidActionError, match="where `mask` asks for it"):
        Chooser(lambda _: scores, codec.signature)(seen)


def test_host_codec_agents_are_of_hosts(bundle: Any) -> None:
    assert isinstance(bundle.agent(), CodecAgent)
