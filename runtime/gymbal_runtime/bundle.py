"""A policy bundle: one file that holds a policy and everything needed to trust it.

Line ``GYMBAL-BUNDLE 1``, line with the sha256 of all that follows, then a zip of four stored (not
compressed) members. Reading checks all of it, up to running the network on golden inputs, so that a
`Bundle` in hand is one that works. The format is a contract: docs/bundle.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gymbal_runtime.bundle_file import (
    FORMAT_VERSION,
    MAX_BYTES,
    BundleError,
    PathLike,
    pack,
    unpack,
)
from gymbal_runtime.golden import GoldenCase, decode_golden, encode_golden
from gymbal_runtime.hashing import content_hash
from gymbal_runtime.manifest import Manifest, decode_manifest, encode_manifest
from gymbal_runtime.policy import OnnxPolicy
from gymbal_runtime.policy_kinds import kind_of
from gymbal_runtime.signature import PolicyCodec

GOLDEN_TOLERANCE = 1e-5
"""As `golden_error` counts; torch and onnxruntime agree to about 1e-6 (one rounding a layer)."""


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

    Attributes:
        manifest: what it says about itself.
        codec: rebuilt by this runtime, with the manifest's fingerprint.
        policy: the network, loaded.
        golden: cases that the network reproduced.
        model_card: Markdown.
        sha256: of the content, as in the file's second line.
    """

    manifest: Manifest
    codec: PolicyCodec
    policy: OnnxPolicy
    golden: tuple[GoldenCase, ...]
    model_card: str
    sha256: str

    def agent(self, checked: bool = False, name: str = "policy") -> Any:
        """The policy as an agent of its task: for one host an `agent.Agent`.

        Args:
            checked: refuse to decide outside of the training range, as a controller must.
            name: how tables and logs call it.
        """
        known = self.manifest.training_range if checked else None
        return kind_of(self.codec.task).agent(self.codec, self.policy, name, known)

    def fallback(self) -> Any:
        """The heuristic that the policy corrects, an agent of the same task."""
        return kind_of(self.codec.task).heuristic(self.codec.heuristic, **self.codec.options)


def write_bundle(
    path: PathLike,
    manifest: Manifest,
    graph: bytes,
    golden: list[GoldenCase],
    model_card: str,
) -> Bundle:
    """Write a bundle; the same inputs give the same bytes.

    Nothing is written that this runtime would refuse to read: the bytes are parsed first.

    Args:
        path: replaced atomically if it exists.
        manifest: from `gymbal_runtime.manifest.make_manifest`.
        graph: serialised ONNX model, without external data.
        golden: at least one case.
        model_card: Markdown.

    Returns:
        The bundle as read back.

    Raises:
        BundleError: the content is not a valid bundle.
        OSError: the file cannot be written.
    """
    raw = pack(
        {
            "MODEL_CARD.md": model_card.encode(),
            "golden.json": encode_golden(golden),
            "manifest.json": encode_manifest(manifest),
            "policy.onnx": graph,
        }
    )
    bundle = parse_bundle(raw, path)
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(raw)
    partial.replace(target)
    return bundle


def read_bundle(path: PathLike) -> Bundle:
    """Load a bundle and check everything about it.

    Raises:
        BundleError: the file cannot be read, or anything in it is wrong, missing or extra.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(path, error.strerror or str(error), "check the path") from error
    return parse_bundle(raw, path)


def parse_bundle(raw: bytes, path: PathLike = "bundle") -> Bundle:
    """The bundle in these bytes; ``path`` is only for messages.

    Raises:
        BundleError: anything is wrong, missing or extra.
    """
    try:
        return _parse(raw, path)
    except BundleError:
        raise
    except Exception as error:  # a hostile file can make zipfile, msgspec or numpy raise anything
        what = f"cannot be parsed ({type(error).__name__}: {str(error)[:200]})"
        raise BundleError(path, what, "export it again") from error


def _parse(raw: bytes, path: PathLike) -> Bundle:
    members, digest = unpack(raw, path)
    manifest = _read_manifest(members["manifest.json"], path)
    codec = _checked_codec(manifest, path)
    try:
        golden = decode_golden(members["golden.json"], codec.signature)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleError(path, f"golden.json: {error}", "export it again") from error
    try:
        policy = OnnxPolicy(members["policy.onnx"], codec, manifest.largest(codec))
        _check_golden(policy, golden)
    except (RuntimeError, ValueError) as error:
        raise BundleError(path, f"policy.onnx: {error}", "export the policy again") from error
    return Bundle(
        manifest=manifest,
        codec=codec,
        policy=policy,
        golden=tuple(golden),
        model_card=members["MODEL_CARD.md"].decode(),
        sha256=digest,
    )


def _read_manifest(raw: bytes, path: PathLike) -> Manifest:
    try:
        return decode_manifest(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleError(path, f"manifest.json: {error}", "export it again") from error


def _checked_codec(manifest: Manifest, path: PathLike) -> PolicyCodec:
    """The codec that this runtime makes of the manifest, if it is the one of training."""
    if manifest.format_version != FORMAT_VERSION:
        what = f"manifest.json: format version {manifest.format_version}"
        raise BundleError(path, what, f"this runtime reads version {FORMAT_VERSION}")
    if manifest.training_config_sha256 != content_hash(manifest.training_config):
        raise BundleError(path, "manifest.json: training_config was edited", "export it again")
    named = {
        "task": manifest.task,
        "heuristic": manifest.heuristic,
        "options": manifest.options,
    }
    try:
        codec = kind_of(manifest.task).codec(manifest.codec | named)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            path, f"manifest.json: {error}", "use the gymbal that wrote it"
        ) from error
    spec = codec.spec()
    if manifest.codec != msgspec.json.decode(msgspec.json.encode(spec)):
        keys = {*spec, *manifest.codec}
        differ = sorted(k for k in keys if spec.get(k) != manifest.codec.get(k))
        what = f"manifest.json: codec differs from this runtime's in {', '.join(differ)}"
        raise BundleError(path, what, f"use gymbal {manifest.gymbal_version} or train again")
    if manifest.fingerprint != codec.fingerprint():
        raise BundleError(
            path, "manifest.json: fingerprint is not that of its codec", "export it again"
        )
    try:
        manifest.training_range.check_widths(codec)
        manifest.largest(codec)
    except ValueError as error:
        raise BundleError(path, f"manifest.json: {error}", "export it again") from error
    try:
        kind_of(codec.task).heuristic(codec.heuristic, **codec.options)
    except (KeyError, TypeError, ValueError) as error:
        what = f"manifest.json: heuristic {codec.heuristic!r}: {error}"
        raise BundleError(path, what, "use the gymbal version that wrote it") from error
    return codec


def golden_error(policy: OnnxPolicy, case: GoldenCase) -> float:
    """Largest difference from a golden answer, in units of 1 or of its median size if that is more.

    Corrections are at most 1; scores may be larger, and float32 is only so exact.
    """
    observation, expected = case.arrays()
    asked = observation[policy.signature.asked] > 0
    difference = np.abs(policy(observation) - expected)[asked]
    return float(difference.max() / max(1.0, float(np.median(np.abs(expected[asked])))))


def _check_golden(policy: OnnxPolicy, golden: list[GoldenCase]) -> None:
    if not golden:
        raise ValueError("there is no golden case to check it with")
    for index, case in enumerate(golden):
        error = golden_error(policy, case)
        if not error <= GOLDEN_TOLERANCE:  # "not <=" also refuses NaN
            raise ValueError(f"golden case {index} differs by {error:.2g}")
