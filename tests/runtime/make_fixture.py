"""Write tests/runtime/fixtures: a tiny policy bundle, the default codec's fingerprint, and golden
decisions: every stage from telemetry to command, for those who write a codec in another language.

    python tests/runtime/make_fixture.py

Needs ``onnx`` (the dev environment). The thin environment's tests only read what this wrote, so a
change of the codec shows up as a change of these files in the same commit.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gymbal_runtime import __version__
from gymbal_runtime.bundle import read_bundle, write_bundle
from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.golden import GoldenCase, golden_case
from gymbal_runtime.guard import guard
from gymbal_runtime.manifest import make_manifest
from gymbal_runtime.policy import OnnxPolicy
from gymbal_runtime.record import HostRecord, telemetry_of
from gymbal_runtime.slots import Slots
from gymbal_runtime.tasks import BALLOON
from gymbal_runtime.training_range import FeatureRange, TrainingRange

FIXTURES = Path(__file__).parent / "fixtures"
MAX_VMS = 256
CODEC = Codec(BALLOON, "senpai")
CARD = "# Model card\n\nA network with random weights, for tests. Do not run it on anything.\n"


def make_graph(rng: np.random.Generator) -> bytes:
    """action = tanh(vms w + mean(vms) u + host t): one number per VM, any number of VMs."""
    weights = {
        "w": rng.normal(0.0, 0.3, (CODEC.num_vm_features, 1)),
        "u": rng.normal(0.0, 0.3, (CODEC.num_vm_features, 1)),
        "t": rng.normal(0.0, 0.3, (CODEC.num_host_features, 1)),
    }
    constants = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    constants += [
        numpy_helper.from_array(np.array([1], dtype=np.int64), "vm_axis"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "feature_axis"),
        numpy_helper.from_array(np.array(1.0, dtype=np.float32), "one"),
    ]
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["present", "feature_axis"], ["mask"]),
        node("Mul", ["vms", "mask"], ["rows"]),
        node("ReduceSum", ["rows", "vm_axis"], ["total"], keepdims=0),
        node("ReduceSum", ["present", "vm_axis"], ["count"], keepdims=1),
        node("Max", ["count", "one"], ["at_least_one"]),
        node("Div", ["total", "at_least_one"], ["mean"]),
        node("MatMul", ["rows", "w"], ["own"]),
        node("Squeeze", ["own", "feature_axis"], ["own_score"]),
        node("MatMul", ["mean", "u"], ["pooled_score"]),
        node("MatMul", ["host", "t"], ["host_score"]),
        node("Sum", ["own_score", "pooled_score", "host_score"], ["score"]),
        node("Tanh", ["score"], ["bounded"]),
        node("Mul", ["bounded", "present"], ["action"]),
    ]
    real = TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("vms", real, ["hosts", "vms", CODEC.num_vm_features]),
        helper.make_tensor_value_info("host", real, ["hosts", CODEC.num_host_features]),
        helper.make_tensor_value_info("present", real, ["hosts", "vms"]),
    ]
    outputs = [helper.make_tensor_value_info("action", real, ["hosts", "vms"])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def make_golden(graph: bytes, rng: np.random.Generator) -> list[GoldenCase]:
    """Random observations within the bounds, for 1, 3 and 6 VM slots."""
    policy = OnnxPolicy(graph, CODEC, MAX_VMS)
    low, high = CODEC.bounds()["vms"]
    host_low, host_high = CODEC.bounds()["host"]
    cases = []
    for num_vms in (1, 3, 6):
        present = (np.arange(num_vms) != 4).astype(np.float32)[None]
        vms = rng.uniform(low, high, (1, num_vms, CODEC.num_vm_features)).round(3)
        observation = Observation(
            vms=(vms * present[:, :, None]).astype(np.float32),
            host=rng.uniform(host_low, host_high, (1, CODEC.num_host_features)).astype(np.float32),
            present=present,
        )
        cases.append(golden_case(observation, policy(observation)))
    return cases


def make_decisions(path: Path) -> dict[str, Any]:
    """A session of three decisions on two VMs: what goes into every stage and what comes out."""
    bundle = read_bundle(path)
    heuristic, slots, history = bundle.fallback(), Slots(), None
    heuristic.reset(1, 2)
    steps = []
    for record in make_records():
        telemetry, _ = telemetry_of(msgspec.convert(record, HostRecord), slots)
        base = heuristic.act(telemetry)
        history = history or CODEC.initial_history(1, 2)
        observation, history = CODEC.encode(telemetry, base, history)
        action = bundle.policy(observation)
        command = CODEC.decode(action, telemetry, base)
        safe, report = guard(command, telemetry)
        steps.append(
            {
                "telemetry": record,
                "heuristic": {"balloon_bytes": base.balloon_bytes[0].tolist()},
                "observation": {name: array.tolist() for name, array in observation.items()},
                "action": action.tolist(),
                "decoded": {"balloon_bytes": command.balloon_bytes[0].tolist()},
                "guarded": {"balloon_bytes": safe.balloon_bytes[0].tolist()},
                "guard": report.hits(),
            }
        )
    return {"bundle": path.name, "sha256": bundle.sha256, "steps": steps}


def make_records() -> list[dict[str, Any]]:
    """Two guests of 4 GiB on 5 GiB; the second is busy from the second record on."""
    gib = 2.0**30
    common = {"shares": 1000.0, "memory_max_bytes": 4 * gib, "memory_min_bytes": 0.5 * gib}
    calm = {"swap_in_rate": 0.0, "swap_out_rate": 0.0, "swap_used_bytes": 0.0}
    pressed = {"swap_in_rate": 4e6, "swap_out_rate": 3e6, "swap_used_bytes": 0.25 * gib}
    records = []
    for step in range(3):
        busy = step > 0
        idle_vm = {"name": "idle", "actual_bytes": 2.5 * gib, "usable_bytes": 1.5 * gib}
        busy_vm = {
            "name": "busy",
            "actual_bytes": 2.25 * gib,
            "usable_bytes": (0.05 if busy else 1.0) * gib,
        }
        records.append(
            {
                "time_s": 1000.0 + 5.0 * step,
                "budget_bytes": 5.0 * gib,
                "swap_latency_s": 1e-4,
                "vms": [
                    {**idle_vm, **common, **calm, "major_fault_rate": 0.0, "psi_some_frac": 0.0},
                    {
                        **busy_vm,
                        **common,
                        **(pressed if busy else calm),
                        "major_fault_rate": 900.0 if busy else 0.0,
                        "psi_some_frac": 0.25 if busy else 0.0,
                    },
                ],
            }
        )
    return records


def main() -> None:
    rng = np.random.default_rng(7)
    codec = CODEC
    bounds = CODEC.bounds()
    graph = make_graph(rng)
    manifest = make_manifest(
        codec,
        largest=MAX_VMS,
        training_range=TrainingRange(
            {
                name: FeatureRange(low.tolist(), high.tolist())
                for name, (low, high) in bounds.items()
            },
            measured=["psi_some_frac"],
        ),
        training_config={"agent": {"learning_rate": 3e-4}, "seed": 7},
        seeds=[7],
        evaluation=[
            {"agent": "meb", "scenarios": "synthetic", "return": -1.0},
            {"agent": "policy", "scenarios": "synthetic", "return": -0.5},
        ],
        versions={"gymbal": __version__},
        created=datetime.date(2026, 1, 1),
    )
    FIXTURES.mkdir(exist_ok=True)
    write_bundle(FIXTURES / "tiny.gymbal", manifest, graph, make_golden(graph, rng), CARD)
    (FIXTURES / "codec_fingerprint.txt").write_text(codec.fingerprint() + "\n")
    decisions = msgspec.json.encode(make_decisions(FIXTURES / "tiny.gymbal"))
    (FIXTURES / "golden_decisions.json").write_bytes(msgspec.json.format(decisions, indent=1))


if __name__ == "__main__":
    main()
