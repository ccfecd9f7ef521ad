"""From a trained network to one file that a controller can trust."""

from __future__ import annotations

import datetime
import importlib.metadata
import io
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from torch import nn

from gymbal_agents.config import TrainConfig
from gymbal_agents.set_network import SetNetwork
from gymbal_agents.torch_policy import TorchPolicy
from gymbal_agents.train import STAGGER, make_worlds
from gymbal_envs.scenarios.source import make_source
from gymbal_runtime.bundle import Bundle, write_bundle
from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.manifest import GoldenCase, golden_case, make_manifest
from gymbal_runtime.telemetry import MEASURED_FIELDS
from gymbal_runtime.training_range import always_measured, range_of

MAX_VMS = 256
OPSET = 18
TOLERANCE = 1e-5
"""Largest difference between torch and ONNX Runtime that an export may show."""
_LIBRARIES = ("gymbal", "torch", "stable-baselines3", "gymnasium", "numba", "numpy", "onnxruntime")


class ExportError(RuntimeError):
    """The exported graph does not do what the network does."""


class _ActionOnly(nn.Module):
    """The part of the network that serves: clipped corrections, no value."""

    def __init__(self, network: SetNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, vms: th.Tensor, host: th.Tensor, present: th.Tensor) -> th.Tensor:
        action, _ = self.network(vms, host, present)
        clipped: th.Tensor = action.clamp(-1.0, 1.0)
        return clipped


def export_policy(
    network: SetNetwork,
    config: TrainConfig,
    path: Path,
    *,
    seeds: list[int],
    evaluation: list[dict[str, Any]],
    model_card: str,
    created: datetime.date | None = None,
) -> Bundle:
    """Write the bundle of a trained network and read it back.

    Args:
        network: trained.
        config: of its training.
        path: of the bundle.
        seeds: of the training.
        evaluation: flat rows of the evaluation table.
        model_card: Markdown.
        created: date in the manifest, by default today.

    Raises:
        ExportError: if ONNX Runtime and torch differ on the golden observations.
    """
    observations, measured = observed_in_training(config)
    graph = to_onnx(network, observations[0])
    golden = golden_cases(network, observations)
    manifest = make_manifest(
        config.task.codec,
        max_vms=MAX_VMS,
        training_range=range_of(*_stacked(observations), measured),
        training_config=asdict(config),
        seeds=seeds,
        evaluation=evaluation,
        versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        created=created or datetime.date.today(),
    )
    check_graph(graph, golden, config.task.codec)
    return write_bundle(path, manifest, graph, golden, model_card)


def to_onnx(network: SetNetwork, example: Observation) -> bytes:
    """The network as an ONNX graph with dynamic numbers of hosts and VMs."""
    module = _ActionOnly(network).eval()
    arguments = tuple(th.as_tensor(example[key]) for key in ("vms", "host", "present"))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The scripting exporter needs no further package; its successor does.
        warnings.simplefilter("ignore", DeprecationWarning)
        th.onnx.export(
            module,
            arguments,
            buffer,  # type: ignore[arg-type]
            input_names=["vms", "host", "present"],
            output_names=["action"],
            dynamic_axes={
                "vms": {0: "hosts", 1: "vms"},
                "host": {0: "hosts"},
                "present": {0: "hosts", 1: "vms"},
                "action": {0: "hosts", 1: "vms"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def observed_in_training(
    config: TrainConfig, hosts: int = 64, decisions: int = 60
) -> tuple[list[Observation], list[str]]:
    """Observations under random corrections, and the sensors that were never silent."""
    source = make_source(config.scenario, "train", config.seed + 2_000_003)
    worlds = make_worlds(config, source, hosts)
    rng = np.random.default_rng(config.seed)
    seen = [worlds.reset(stagger=STAGGER)]
    measured = set(MEASURED_FIELDS)
    for _ in range(decisions):
        measured &= set(always_measured(worlds.telemetry))
        action = rng.normal(0.0, 0.3, (hosts, worlds.num_vms, *worlds.codec.action_axes))
        seen.append(worlds.step(action).observation)
    return seen, sorted(measured)


def golden_cases(network: SetNetwork, observations: list[Observation]) -> list[GoldenCase]:
    """A few hosts of a few moments with torch's answers."""
    policy = TorchPolicy(network)
    cases = []
    for observation in observations[:: max(len(observations) // 4, 1)][:4]:
        few = Observation(
            vms=observation["vms"][:3], host=observation["host"][:3],
            present=observation["present"][:3],
        )  # fmt: skip
        action = np.clip(policy(few), -1.0, 1.0)
        cases.append(golden_case(few, action))
    return cases


def check_graph(graph: bytes, golden: list[GoldenCase], codec: Codec) -> None:
    """Compare ONNX Runtime with torch's answers.

    Raises:
        ExportError: if they differ by more than `TOLERANCE` anywhere.
    """
    from gymbal_runtime.policy import OnnxPolicy

    policy = OnnxPolicy(graph, codec, MAX_VMS)
    for number, case in enumerate(golden):
        observation, expected = case.arrays()
        error = float(np.max(np.abs(policy(observation) - expected)))
        if not error <= TOLERANCE:
            raise ExportError(
                f"golden case {number}: ONNX differs from torch by {error:.2e} "
                f"(> {TOLERANCE:.0e}); nothing was written"
            )


def _stacked(observations: list[Observation]) -> tuple[Any, Any, Any]:
    vms = np.concatenate([o["vms"] for o in observations])
    host = np.concatenate([o["host"] for o in observations])
    present = np.concatenate([o["present"] for o in observations])
    return vms, host, present
