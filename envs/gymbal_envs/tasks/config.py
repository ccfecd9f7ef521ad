"""What belongs to a task whatever the scenario."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from gymbal_envs.simulator.centre.params import TICK_S, CentreParams, centre_physics
from gymbal_envs.simulator.cluster.params import ClusterParams
from gymbal_envs.simulator.cluster.sites_params import SitesParams
from gymbal_envs.simulator.params import Clock, PhysicsParams, SensorParams
from gymbal_envs.tasks.reward import RewardWeights
from gymbal_runtime.agent import Agent
from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.cluster.codec import ClusterCodec
from gymbal_runtime.cluster.layers.codec import LayersCodec
from gymbal_runtime.codec import default_codec
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.placement.codec import PlacementCodec
from gymbal_runtime.policy_kinds import kind_of
from gymbal_runtime.sites.codec import SitesCodec
from gymbal_runtime.tasks import (
    BALLOON,
    CACHE,
    CENTRE_TASKS,
    CLUSTER,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    SITES,
    TASKS,
    check_task,
)

_CONTROL_INTERVAL_S = {BALLOON: 10.0, CACHE: 5.0, HOST: 10.0, OVERLOAD: 10.0, CLUSTER: 60.0}
PLACEMENT_INTERVAL_S = 60.0
"""How long a VM that comes waits for its host at most: managers take seconds to a minute."""
_SENSORS = {
    BALLOON: SensorParams(),
    CACHE: SensorParams(delay_s=0.0),  # counters are read just before the decision
    OVERLOAD: SensorParams(),
    HOST: SensorParams(trap_s=2e-6),  # here monitors are a decision, so they cost what they trap
}


_PROPORTIONAL: dict[str, Any] = {"swap_weight": 0.0155, "base_frac": 0.00206, "estimate": "used"}
"""What tuning found for `gymbal/Balloon-v0` (configs/tuned/balloon.yaml), rounded. On clusters,
whose guests report statistics alone, it loses least of all heuristics (docs/clusters.md)."""


@dataclass(frozen=True)
class LocalBalancing:
    """Who divides the memory of each host of a cluster.

    Attributes:
        heuristic: any of `gymbal/Balloon-v0`.
        options: of the heuristic.
        bundle: path of a trained policy of `gymbal/Balloon-v0` that does it instead, or of
            `gymbal/Host-v0`, of which the balloons count: clusters have no caches to divide; "":
            none.
        kept_frac: part of the memory that calm VMs do not use that stays with the host, to be lent
            or to take in a VM (`gymbal_runtime.cluster.spare`).
        interval_s: s between two of its decisions, of which the control interval is a whole
            multiple; None: one for each decision about the cluster. For `gymbal/Cluster-v0` only.
    """

    heuristic: str = "proportional"
    options: dict[str, Any] = field(default_factory=lambda: dict(_PROPORTIONAL))
    bundle: str = ""
    kept_frac: float = 0.15
    interval_s: float | None = None

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 0 <= self.kept_frac <= 1:
            raise ValueError(f"local.kept_frac ({self.kept_frac}) must lie in 0..1")
        if self.interval_s is not None and not self.interval_s > 0:
            raise ValueError(f"local.interval_s ({self.interval_s}) must be above 0, or null")

    def agent(self) -> Agent:
        """The agent, fresh.

        Raises:
            BundleError: the bundle cannot be used, or is of another task.
            ValueError: there is no such heuristic or option.
        """
        if not self.bundle:
            return make_heuristic(self.heuristic, **self.options)
        from gymbal_runtime.bundle import read_bundle
        from gymbal_runtime.bundle_file import BundleError

        bundle = read_bundle(self.bundle)
        if bundle.manifest.task not in (BALLOON, HOST):
            raise BundleError(
                self.bundle,
                f"task.cluster.local.bundle is of {bundle.manifest.task}",
                f"choose one of {BALLOON} or {HOST}",
            )
        agent: Agent = bundle.agent(name="local")
        return agent


@dataclass(frozen=True)
class ClusterSettings:
    """What only tasks about several hosts have.

    Attributes:
        local: who divides each host's memory underneath.
        candidates: VMs of each host that a policy is asked about.
        params: constants of network, remote memory, migration and clones.
    """

    local: LocalBalancing = field(default_factory=LocalBalancing)
    candidates: int = 3
    params: ClusterParams = field(default_factory=ClusterParams)


@dataclass(frozen=True)
class SitesSettings:
    """What only the task of moving VMs between sites has.

    Attributes:
        params: constants of replication, hand-over and redundancy elimination.
        longest_pause_s: no policy may pause a VM for longer, see `SitesCodec`.
    """

    params: SitesParams = field(default_factory=SitesParams)
    longest_pause_s: float = field(default_factory=lambda: SitesCodec().longest_pause_s)


@dataclass(frozen=True)
class CentreSettings:
    """What only tasks about data centres have.

    Attributes:
        params: constants of moves.
    """

    params: CentreParams = field(default_factory=CentreParams)


@dataclass(frozen=True)
class TaskConfig:
    """One task.

    Attributes:
        id: which.
        heuristic: the action is a correction to this one.
        options: of the heuristic.
        weights: of the reward's terms.
        physics: constants and clocks.
        guard: limits that every command passes, as it does on a real host.
        cluster: what only tasks about clusters have.
        sites: what only the task of moving VMs between sites has.
        centre: what only tasks about data centres have.

    Raises:
        ValueError: there is no such task, or the heuristic decides nothing in it.
    """

    id: str = BALLOON
    heuristic: str = field(default_factory=lambda: default_codec().heuristic)
    options: dict[str, Any] = field(default_factory=lambda: default_codec().options)
    weights: RewardWeights = field(default_factory=RewardWeights)
    physics: PhysicsParams = field(default_factory=PhysicsParams)
    guard: GuardLimits = field(default_factory=GuardLimits)
    cluster: ClusterSettings | None = None
    sites: SitesSettings | None = None
    centre: CentreSettings | None = None

    def __post_init__(self) -> None:
        check_task(self.id)
        # A whole host may be left to the heuristic of one of its resources: for comparison.
        tasks = TASKS if self.id == HOST else (self.id,)
        known = [name for task in tasks for name in heuristics_of(task)]
        if self.heuristic not in known:
            raise ValueError(
                f"task.heuristic {self.heuristic!r} decides nothing in {self.id}; "
                f"there are {', '.join(known)}"
            )
        for name, owners in (
            ("cluster", (OVERLOAD, CLUSTER)),
            ("sites", (SITES,)),
            ("centre", CENTRE_TASKS),
        ):
            if (getattr(self, name) is not None) != (self.id in owners):
                raise ValueError(
                    f"task.{name} must be given for {' and '.join(owners)} and for no other task"
                )
        if self.cluster is not None:
            self._check_clocks(self.cluster.local.interval_s)

    def _check_clocks(self, local_s: float | None) -> None:
        """The second clock runs in `gymbal/Cluster-v0` only, and in step with the others."""
        if local_s is None:
            return
        if self.id != CLUSTER:
            raise ValueError(f"task.cluster.local.interval_s is for {CLUSTER}; set it to null")
        clock = self.physics.clock
        for name, ratio in (
            ("a multiple of tick_s", local_s / clock.tick_s),
            ("a part of control_interval_s", clock.control_interval_s / local_s),
        ):
            if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
                raise ValueError(f"task.cluster.local.interval_s ({local_s}) must be {name}")

    @property
    def codec(self) -> Any:
        """How telemetry is encoded and actions are decoded: the codec of the task's kind."""
        spec: dict[str, Any] = {
            "task": self.id,
            "heuristic": self.heuristic,
            "options": self.options,
        }
        if self.cluster is not None and self.id == OVERLOAD:
            spec["candidates"] = self.cluster.candidates
        if self.sites is not None:
            spec["longest_pause_s"] = self.sites.longest_pause_s
        return kind_of(self.id).codec(spec)

    def base_agent(self) -> Any:
        """The heuristic that actions correct, fresh."""
        return kind_of(self.id).heuristic(self.heuristic, **self.options)


def default_task(task: str = BALLOON) -> TaskConfig:
    """A task as it is registered with Gymnasium.

    Raises:
        ValueError: there is no such task.
    """
    if task == OVERLOAD:
        name = ClusterCodec().heuristic
        options = dict(ClusterCodec().options)
        physics = PhysicsParams(knot_s=30.0)
        return TaskConfig(task, name, options, physics=physics, cluster=ClusterSettings())
    if task == CLUSTER:
        return _whole_cluster()
    if task == SITES:
        sites = SitesCodec()
        return TaskConfig(task, sites.heuristic, dict(sites.options), sites=SitesSettings())
    if task == CONSOLIDATION:
        centre = CentreCodec()
        options, physics = dict(centre.options), centre_physics()
        return TaskConfig(task, centre.heuristic, options, physics=physics, centre=CentreSettings())
    if task == PLACEMENT:
        placed = PlacementCodec()
        clock = Clock(TICK_S, PLACEMENT_INTERVAL_S)
        physics = replace(centre_physics(), clock=clock)
        options = dict(placed.options)
        return TaskConfig(task, placed.heuristic, options, physics=physics, centre=CentreSettings())
    codec = default_codec(task)
    physics = PhysicsParams(
        clock=Clock(control_interval_s=_CONTROL_INTERVAL_S[task]), sensors=_SENSORS[task]
    )
    return TaskConfig(task, codec.heuristic, codec.options, physics=physics)


NETWORK_WEIGHT = 0.03
"""Of `gymbal/Cluster-v0`: what a byte costs in `gymbal/Overload-v0`, whose interval is a sixth."""


def _whole_cluster() -> TaskConfig:
    codec = LayersCodec()
    clock = Clock(control_interval_s=_CONTROL_INTERVAL_S[CLUSTER])
    return TaskConfig(
        CLUSTER,
        codec.heuristic,
        dict(codec.options),
        weights=RewardWeights(network_traffic=NETWORK_WEIGHT),
        physics=PhysicsParams(clock=clock, knot_s=30.0),
        cluster=ClusterSettings(local=LocalBalancing(kept_frac=0.8, interval_s=10.0)),
    )
