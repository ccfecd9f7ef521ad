"""Which codec, agent and heuristics go with a task: one table, so that a bundle can be of any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from gymbal_runtime.codec import Codec
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.policy import Chooser, Policy
from gymbal_runtime.signature import PolicyCodec
from gymbal_runtime.tasks import CENTRE_TASKS, CLUSTER, OVERLOAD, PLACEMENT, TASKS, check_task
from gymbal_runtime.training_range import TrainingRange


@dataclass(frozen=True)
class PolicyKind:
    """What belongs to policies of one task.

    Attributes:
        codec: from what `PolicyCodec.spec` says.
        agent: from a codec, a policy, a name and the training range to check against (or None).
        heuristic: from a name and options; the policy's fallback.
    """

    codec: Callable[[dict[str, Any]], PolicyCodec]
    agent: Callable[..., Any]
    heuristic: Callable[..., Any]


def kind_of(task: str) -> PolicyKind:
    """What belongs to policies of a task.

    Raises:
        ValueError: there is no such task.
    """
    check_task(task)
    if task == PLACEMENT:
        return _placement()
    if task in CENTRE_TASKS:
        return _centre()
    if task in TASKS:
        return PolicyKind(_host_codec, CodecAgent, make_heuristic)
    if task == OVERLOAD:
        return _cluster()
    if task == CLUSTER:
        return _layers()
    return _sites()


def _host_codec(spec: dict[str, Any]) -> PolicyCodec:
    return Codec(spec["task"], spec["heuristic"], spec["options"])


def _cluster() -> PolicyKind:
    # Imported here: a controller of one host needs nothing of clusters.
    from gymbal_runtime.cluster.codec import ClusterCodec
    from gymbal_runtime.cluster.codec_agent import ClusterCodecAgent
    from gymbal_runtime.cluster.heuristics import make_cluster_heuristic

    def codec(spec: dict[str, Any]) -> PolicyCodec:
        candidates = msgspec.convert(spec["candidates"], int)
        return ClusterCodec(spec["task"], spec["heuristic"], spec["options"], candidates)

    def agent(
        codec: ClusterCodec, policy: Policy, name: str, known: TrainingRange | None
    ) -> ClusterCodecAgent:
        return ClusterCodecAgent(codec, Chooser(policy, codec.signature), name, known)

    return PolicyKind(codec, agent, make_cluster_heuristic)


def _layers() -> PolicyKind:
    from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
    from gymbal_runtime.cluster.layers.codec import LayersCodec
    from gymbal_runtime.cluster.layers.codec_agent import LayersCodecAgent

    def codec(spec: dict[str, Any]) -> PolicyCodec:
        return LayersCodec(spec["task"], spec["heuristic"], spec["options"])

    return PolicyKind(codec, LayersCodecAgent, make_cluster_heuristic)


def _sites() -> PolicyKind:
    from gymbal_runtime.sites.codec import SitesCodec
    from gymbal_runtime.sites.codec_agent import SitesCodecAgent
    from gymbal_runtime.sites.heuristics import make_sites_heuristic

    def codec(spec: dict[str, Any]) -> PolicyCodec:
        pause = msgspec.convert(spec["longest_pause_s"], float)
        return SitesCodec(spec["task"], spec["heuristic"], spec["options"], pause)

    def agent(
        codec: SitesCodec, policy: Policy, name: str, known: TrainingRange | None
    ) -> SitesCodecAgent:
        return SitesCodecAgent(codec, Chooser(policy, codec.signature), name, known)

    return PolicyKind(codec, agent, make_sites_heuristic)


def _centre() -> PolicyKind:
    from gymbal_runtime.centre.codec import CentreCodec
    from gymbal_runtime.centre.codec_agent import CentreCodecAgent
    from gymbal_runtime.centre.heuristics import make_centre_heuristic

    def codec(spec: dict[str, Any]) -> PolicyCodec:
        return CentreCodec(spec["task"], spec["heuristic"], spec["options"])

    return PolicyKind(codec, CentreCodecAgent, make_centre_heuristic)


def _placement() -> PolicyKind:
    from gymbal_runtime.placement.codec import PlacementCodec
    from gymbal_runtime.placement.codec_agent import PlacementCodecAgent
    from gymbal_runtime.placement.heuristics import make_placement_heuristic

    def codec(spec: dict[str, Any]) -> PolicyCodec:
        return PlacementCodec(spec["task"], spec["heuristic"], spec["options"])

    def agent(
        codec: PlacementCodec, policy: Policy, name: str, known: TrainingRange | None
    ) -> PlacementCodecAgent:
        return PlacementCodecAgent(codec, Chooser(policy, codec.signature), name, known)

    return PolicyKind(codec, agent, make_placement_heuristic)
