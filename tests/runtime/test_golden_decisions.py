"""The golden decisions are what this runtime does, stage by stage, as docs/bundle.md says."""

from __future__ import annotations

import io
import json
import zipfile

import msgspec
import numpy as np
import onnxruntime
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.guard import guard
from gymbal_runtime.record import HostRecord, telemetry_of
from gymbal_runtime.slots import Slots


@pytest.fixture(scope="module")
def golden(fixtures) -> dict:
    return json.loads((fixtures / "golden_decisions.json").read_bytes())


def test_they_are_of_the_bundle_beside_them(golden, fixtures, bundle):
    assert (fixtures / golden["bundle"]).exists()
    assert golden["sha256"] == bundle.sha256


def test_every_stage(golden, bundle):
    codec, heuristic, slots = bundle.codec, bundle.fallback(), Slots()
    heuristic.reset(1, 2)
    history = codec.initial_history(1, 2)
    for step in golden["steps"]:
        telemetry, _ = telemetry_of(msgspec.convert(step["telemetry"], HostRecord), slots)
        base = heuristic.act(telemetry)
        np.testing.assert_allclose(base.balloon_bytes[0], step["heuristic"]["balloon_bytes"])
        observation, history = codec.encode(telemetry, base, history)
        for name, expected in step["observation"].items():
            np.testing.assert_allclose(observation[name], expected, atol=1e-6)
        action = np.array(step["action"], dtype=np.float32)
        np.testing.assert_allclose(bundle.policy(observation), action, atol=1e-5)
        command = codec.decode(action, telemetry, base)
        np.testing.assert_allclose(command.balloon_bytes[0], step["decoded"]["balloon_bytes"])
        decoded = Command(np.array([step["decoded"]["balloon_bytes"]]))
        safe, report = guard(decoded, telemetry)
        np.testing.assert_allclose(safe.balloon_bytes[0], step["guarded"]["balloon_bytes"])
        assert report.hits() == step["guard"]


def test_the_network_without_this_runtime(golden, bundle_path):
    content = bundle_path.read_bytes().split(b"\n", 2)[2]
    graph = zipfile.ZipFile(io.BytesIO(content)).read("policy.onnx")
    session = onnxruntime.InferenceSession(graph)
    for step in golden["steps"]:
        inputs = {k: np.array(v, dtype=np.float32) for k, v in step["observation"].items()}
        (action,) = session.run(["action"], inputs)
        np.testing.assert_allclose(action, step["action"], atol=1e-5)
