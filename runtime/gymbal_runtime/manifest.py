"""What a policy bundle says about itself, as typed JSON; docs/bundle.md describes it."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import msgspec

from gymbal_runtime import __version__
from gymbal_runtime.bundle_file import FORMAT_VERSION
from gymbal_runtime.hashing import content_hash
from gymbal_runtime.signature import MAX_HOSTS, MAX_VMS, PolicyCodec
from gymbal_runtime.training_range import TrainingRange

MOST = 4096
"""More VM slots than any host has, and more hosts than any cluster; a larger claim is a mistake."""

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Cell = str | int | float | bool | None
Largest = Annotated[int, msgspec.Meta(ge=1, le=MOST)]


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
        max_vms: largest number of VM slots of a host; absent where another number is the limit.
        max_hosts: largest number of hosts of a cluster; absent in tasks of one host.
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
    max_vms: Largest | msgspec.UnsetType = msgspec.UNSET
    max_hosts: Largest | msgspec.UnsetType = msgspec.UNSET
    training_range: TrainingRange
    training_config: dict[str, Any]
    training_config_sha256: Digest
    seeds: list[int]
    evaluation: list[dict[str, Cell]]
    versions: dict[str, str]
    created: datetime.date

    def largest(self, codec: PolicyCodec) -> int:
        """The largest world that the policy was made for, in the unit of the codec's signature.

        Raises:
            ValueError: the manifest does not say, or limits something else, too.
        """
        limits = {name: getattr(self, name) for name in (MAX_VMS, MAX_HOSTS)}
        given = {name: value for name, value in limits.items() if value is not msgspec.UNSET}
        if set(given) != {codec.signature.limit}:
            raise ValueError(f"{codec.task} is limited by {codec.signature.limit}, not {given}")
        return int(given[codec.signature.limit])


def make_manifest(
    codec: PolicyCodec,
    *,
    largest: int,
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
        largest: world that the policy was made for, in the unit of the codec's signature.
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
        **{codec.signature.limit: largest},
        training_range=training_range,
        training_config=training_config,
        training_config_sha256=content_hash(training_config),
        seeds=seeds,
        evaluation=evaluation,
        versions=versions,
        created=created,
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as indented JSON; the same manifest gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, enc_hook=_plain))


def decode_manifest(raw: bytes) -> Manifest:
    """The manifest in these bytes.

    Raises:
        msgspec.MsgspecError: anything is missing, extra or of the wrong type.
    """
    return msgspec.json.decode(raw, type=Manifest, dec_hook=_from_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, TrainingRange):
        return value.plain()
    raise NotImplementedError(f"{type(value).__name__} has no place in a manifest")


def _from_plain(kind: type, value: Any) -> Any:
    if kind is TrainingRange and isinstance(value, dict):
        return TrainingRange.from_plain(value)
    raise ValueError(f"expected an object for {kind.__name__}")
