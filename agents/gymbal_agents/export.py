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
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from gymbal_agents.config import TrainConfig
from gymbal_agents.set_network import SetNetwork
from gymbal_agents.torch_policy import Network, TorchPolicy
from gymbal_agents.train import STAGGER, make_worlds
from gymbal_envs.scenarios.source import make_source
from gymbal_runtime.bundle import GOLDEN_TOLERANCE, Bundle, golden_error, write_bundle
from gymbal_runtime.golden import GoldenCase, golden_case
from gymbal_runtime.manifest import make_manifest
from gymbal_runtime.signature import MAX_HOSTS, MAX_VMS, Arrays, PolicyCodec, Signature
from gymbal_runtime.tasks import CENTRE_TASKS
from gymbal_runtime.telemetry import MEASURED_FIELDS, Telemetry
from gymbal_runtime.training_range import always_measured, range_of

LARGEST = {MAX_VMS: 256, MAX_HOSTS: 64}
"""Largest worlds that exported policies take, by what limits them."""
LARGEST_CENTRE = 1024
"""Hosts of a data centre, whose policy sees nothing else."""
OPSET = 18
_LIBRARIES = (
    "gymbal", "torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numba", "numpy",
    "onnxruntime",
)  # fmt: skip


def largest_of(codec: PolicyCodec) -> int:
    """The largest world that exported policies of a codec take."""
    if codec.task in CENTRE_TASKS:
        return LARGEST_CENTRE
    return LARGEST[codec.signature.limit]


class ExportError(RuntimeError):
    """The exported graph does not do what the network does."""


class _AnswerOnly(nn.Module):
    """The part of the network that serves: clipped corrections, or scores as they are; no value."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: th.Tensor) -> th.Tensor:
        answer, _ = self.network(*inputs)
        served: th.Tensor = answer
        return served.clamp(-1.0, 1.0) if isinstance(self.network, SetNetwork) else served


def export_policy(
    network: Network,
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
    observations, measured, codec = observed_in_training(config)
    signature = codec.signature
    graph = to_onnx(network, observations[0], signature)
    golden = golden_cases(network, observations, signature)
    stacked = {name: np.concatenate([o[name] for o in observations]) for name in signature.inputs}
    manifest = make_manifest(
        codec,
        largest=largest_of(codec),
        training_range=range_of(stacked, signature, measured),
        training_config=asdict(config),
        seeds=seeds,
        evaluation=evaluation,
        versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        created=created or datetime.date.today(),
    )
    check_graph(graph, golden, codec)
    return write_bundle(path, manifest, graph, golden, model_card)


def to_onnx(network: Network, example: Arrays, signature: Signature) -> bytes:
    """The network as an ONNX graph, dynamic in every axis that has a name in the signature."""
    if set(network.inputs) != set(signature.inputs):
        raise ExportError(f"the network takes {network.inputs}, the codec has {signature.inputs}")
    axes = {**signature.inputs, signature.output: signature.inputs[signature.asked]}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The scripting exporter needs no further package; its successor does.
        warnings.simplefilter("ignore", DeprecationWarning)
        th.onnx.export(
            _AnswerOnly(network).eval(),
            tuple(th.as_tensor(example[name]) for name in network.inputs),
            buffer,  # type: ignore[arg-type]
            input_names=list(network.inputs),
            output_names=[signature.output],
            dynamic_axes={
                name: {place: axis for place, axis in enumerate(named) if isinstance(axis, str)}
                for name, named in axes.items()
            },
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def observed_in_training(
    config: TrainConfig, num_worlds: int = 64, decisions: int = 60
) -> tuple[list[Arrays], list[str], PolicyCodec]:
    """What the policy may see: observations under random actions near the heuristic's.

    Returns:
        The observations, the sensors that were never silent, and the codec.
    """
    source = make_source(config.scenario, "train", config.seed + 2_000_003)
    worlds = make_worlds(config, source, num_worlds)
    rng = np.random.default_rng(config.seed)
    seen: list[Arrays] = [worlds.reset(stagger=STAGGER)]
    measured = set(MEASURED_FIELDS)
    for _ in range(decisions):
        hosts = getattr(worlds.telemetry, "hosts", worlds.telemetry)
        # Sites report nothing of their hosts' sensors.
        measured &= set(always_measured(hosts)) if isinstance(hosts, Telemetry) else set()
        seen.append(worlds.step(random_action(worlds.action_space, seen[-1], rng)).observation)
    return seen, sorted(measured), worlds.codec


def random_action(space: spaces.Space[Any], seen: Arrays, rng: np.random.Generator) -> NDArray[Any]:
    """Corrections around 0, or a legal choice: mostly what is proposed, a third of them any.

    Args:
        space: of one world's actions.
        seen: what a batch of worlds observes.
        rng: where chance comes from.
    """
    if isinstance(space, spaces.Box):
        corrections: NDArray[np.float64] = rng.normal(
            0.0, 0.3, (len(seen["present"]), *space.shape)
        )
        return corrections
    mask = seen["mask"] > 0
    proposed = seen["proposed"].reshape(mask.shape[:-1]).astype(np.int64)
    any_legal = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1)
    choice: NDArray[np.int64] = np.where(rng.random(proposed.shape) < 1 / 3, any_legal, proposed)
    return choice


def golden_cases(
    network: Network, observations: list[Arrays], signature: Signature
) -> list[GoldenCase]:
    """A few worlds of a few moments with torch's answers."""
    policy = TorchPolicy(network)
    cases = []
    for observation in observations[:: max(len(observations) // 4, 1)][:4]:
        few = {name: observation[name][:3] for name in signature.inputs}
        answer = policy(few)
        if isinstance(network, SetNetwork):
            answer = np.clip(answer, -1.0, 1.0)
        cases.append(golden_case(few, answer, signature.output))
    return cases


def check_graph(graph: bytes, golden: list[GoldenCase], codec: PolicyCodec) -> None:
    """Compare ONNX Runtime with torch's answers.

    Raises:
        ExportError: if they differ by more than `GOLDEN_TOLERANCE` anywhere.
    """
    from gymbal_runtime.policy import OnnxPolicy

    policy = OnnxPolicy(graph, codec, largest_of(codec))
    for number, case in enumerate(golden):
        error = golden_error(policy, case)
        if not error <= GOLDEN_TOLERANCE:
            raise ExportError(
                f"golden case {number}: ONNX differs from torch by {error:.2e} "
                f"(> {GOLDEN_TOLERANCE:.0e}); nothing was written"
            )
