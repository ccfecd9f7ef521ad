"""What a policy bundle says about itself, as typed JSON; docs/bundle.md describes it."""

from __future__ import annotations

import datetime
import hashlib
import json
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gymbal_runtime import __version__
from gymbal_runtime.bundle_file import FORMAT_VERSION
from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.training_range import TrainingRange

MAX_VMS = 4096
"""More VM slots than any host has; a larger claim is a mistake."""

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Cell = str | int | float | bool | None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything about a policy except its weights.

    Attributes:
        format_version: of the bundle, not of the policy.
        gymbal_version: that wrote the bundle.
        task: environment id, with its version.
        codec: `Codec.spec` at training time, units and bounds of every number included.
        fingerprint: hash of ``codec``.
        heuristic: that the action corrects; the controller's fallback, too.
        options: of the heuristic.
        max_vms: largest number of VM slots of a host.
        training_range: what the policy has seen.
        training_config: the composed configuration of the run.
        training_config_sha256: hash of ``training_config``.
        seeds: of the run.
        evaluation: one flat row per agent and scenario set.
        versions: library name to version.
        created: ISO date.
    """

    format_version: int = FORMAT_VERSION
    gymbal_version: str
    task: str
    codec: dict[str, Any]
    fingerprint: Digest
    heuristic: str
    options: dict[str, Any]
    max_vms: Annotated[int, msgspec.Meta(ge=1, le=MAX_VMS)]
    training_range: TrainingRange
    training_config: dict[str, Any]
    training_config_sha256: Digest
    seeds: list[int]
    evaluation: list[dict[str, Cell]]
    versions: dict[str, str]
    created: datetime.date


class GoldenCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One observation and the action that the trained network gave, as nested lists."""

    vms: list[list[list[float]]]  # (H, V, F)
    host: list[list[float]]  # (H, G)
    present: list[list[float]]  # (H, V)
    action: list[list[float | list[float]]]  # (H, V) or (H, V, A)

    def arrays(self) -> tuple[Observation, NDArray[np.float32]]:
        """The observation and the expected action.

        Raises:
            ValueError: the lists are ragged or do not agree on the number of hosts and VMs.
        """
        vms, host, present, action = (
            np.asarray(values, dtype=np.float32)
            for values in (self.vms, self.host, self.present, self.action)
        )
        rows = vms.shape[:2]
        if vms.ndim != 3 or host.ndim != 2 or not rows == present.shape == action.shape[:2]:
            raise ValueError(f"shapes {vms.shape} {host.shape} {present.shape} {action.shape}")
        if len(host) != len(vms) or not vms.size or not (present > 0).any():
            raise ValueError("a golden case needs at least one host with a VM")
        return Observation(vms=vms, host=host, present=present), action


def make_manifest(
    codec: Codec,
    *,
    max_vms: int,
    training_range: TrainingRange,
    training_config: dict[str, Any],
    seeds: list[int],
    evaluation: list[dict[str, Cell]],
    versions: dict[str, str],
    created: datetime.date,
) -> Manifest:
    """A manifest with everything that follows from the codec and the configuration filled in.

    Args:
        codec: that the policy was trained with.
        max_vms: largest number of VM slots of a host.
        training_range: from `gymbal_runtime.training_range.range_of`.
        training_config: plain JSON types only.
        seeds: of the run.
        evaluation: flat rows.
        versions: library name to version.
        created: passed in, so that the same inputs give the same bytes.
    """
    return Manifest(
        gymbal_version=__version__,
        task=codec.task,
        codec=codec.spec(),
        fingerprint=codec.fingerprint(),
        heuristic=codec.heuristic,
        options=dict(sorted(codec.options.items())),
        max_vms=max_vms,
        training_range=training_range,
        training_config=training_config,
        training_config_sha256=content_hash(training_config),
        seeds=seeds,
        evaluation=evaluation,
        versions=versions,
        created=created,
    )


def golden_case(observation: Observation, action: NDArray[np.floating]) -> GoldenCase:
    """A golden case from an observation of H hosts and the network's action."""
    return GoldenCase(
        vms=observation["vms"].tolist(),
        host=observation["host"].tolist(),
        present=observation["present"].tolist(),
        action=np.asarray(action, dtype=np.float32).tolist(),
    )


def content_hash(content: dict[str, Any]) -> str:
    """sha256 of plain JSON types, independent of key order; the codec hashes its spec this way."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
