"""From a few plain settings to a source of scenarios.

The one place that environments, training and evaluation get theirs from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from gymbal_envs.demand.open import open_trace
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.centre import CentreScenarios
from gymbal_envs.scenarios.centre_config import CentreConfig, placement_centres
from gymbal_envs.scenarios.cluster_config import whole_cluster
from gymbal_envs.scenarios.cluster_fleet import ClusterConfig, ClusterFleetScenarios
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.fleet import FleetConfig, FleetScenarios
from gymbal_envs.scenarios.machine import MachineConfig, MachineDraw, programs_of
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.sites import SitesScenarios
from gymbal_envs.scenarios.sites_config import SitesConfig
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.scenarios.toys import AnyScenario, toy_scenario
from gymbal_runtime.tasks import (
    CACHE,
    CLUSTER,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    SITES,
    check_task,
)

T = TypeVar("T")

SYNTHETIC_VMS = 400
SYNTHETIC_SAMPLES = 4320  # 15 days of 5 minutes
SYNTHETIC_SEED = 7


ScenarioSource = Callable[[int], Any]
"""Scenario number ``index``: a `Scenario`, or a `ClusterScenario` where clusters are drawn."""
ClusterSource = Callable[[int], ClusterScenario]
"""Cluster number ``index``."""


@dataclass(frozen=True)
class ScenarioConfig:
    """Where scenarios come from.

    Attributes:
        trace: ``synthetic`` (embedded generator) or the path of a file that the readers take;
            several of them take turns.
        repair: let the reader repair a damaged trace (it says what it did).
        toy: play this hand-written scenario instead: "", ``opposite-peaks``, ``stream-and-loop``;
            of several hosts ``short-overload``, ``long-overload``, ``night-shift``; of data centres
            ``two-halves``, ``brief-lull``.
        fleet: what is drawn from the trace.
        cluster: what is drawn of several hosts, in place of ``fleet``; null for single hosts.
        sites: what is drawn of moves between sites, in place of ``fleet``; null for hosts.
        centre: what is drawn of data centres, in place of ``fleet``; null for hosts.
        machine: what else is drawn; null for hosts of memory and CPU time only.
        profiles: programs' cache behaviour: "" for the shipped table (test programs are never seen
            in training), or the path of a table of measured programs, all of which are played.
    """

    trace: str | tuple[str, ...] = "synthetic"
    repair: bool = False
    toy: str = ""
    fleet: FleetConfig = field(default_factory=FleetConfig)
    machine: MachineConfig | None = None
    profiles: str = ""
    cluster: ClusterConfig | None = None
    sites: SitesConfig | None = None
    centre: CentreConfig | None = None

    @property
    def traces(self) -> tuple[str, ...]:
        """The traces, one or several."""
        return (self.trace,) if isinstance(self.trace, str) else self.trace

    @property
    def host(self) -> FleetConfig:
        """What one host is drawn from."""
        return self.fleet if self.cluster is None else self.cluster.fleet

    @property
    def _drawn(self) -> FleetConfig | SitesConfig | CentreConfig:
        """What says how many VMs there are, and how often their demand changes."""
        return self.centre or self.sites or self.host

    @property
    def num_vms(self) -> int:
        """VM slots of every host, or of every pair of sites or data centre."""
        if self.toy:
            toy = toy_scenario(self.toy)
            return toy.slots if isinstance(toy, ClusterScenario) else int(toy.num_vms)
        return self._drawn.max_vms

    @property
    def num_hosts(self) -> int:
        """Hosts of every scenario."""
        if self.toy:
            return int(getattr(toy_scenario(self.toy), "num_hosts", 1))
        if self.cluster is not None:
            return self.cluster.num_places
        return 1 if self.centre is None else self.centre.max_hosts

    @property
    def knot_s(self) -> float:
        """Seconds between demand knots."""
        return float(toy_scenario(self.toy).knot_s) if self.toy else self._drawn.knot_s

    @property
    def num_knots(self) -> int:
        """Demand knots of every scenario."""
        return int(toy_scenario(self.toy).num_knots) if self.toy else self._drawn.num_knots

    def episode_steps(self, control_interval_s: float) -> int:
        """Decisions in an episode."""
        seconds = (self.num_knots - 1) * self.knot_s
        return max(int(seconds / control_interval_s), 1)


def make_source(config: ScenarioConfig, split: SplitName, seed: int) -> ScenarioSource:
    """Scenarios of one split, of hosts, clusters, sites or data centres as configured.

    Raises:
        ScenarioError: for an unknown toy.
        TraceError: if the trace cannot be read.
    """
    if config.toy:
        scenario = toy_scenario(config.toy)
        return lambda index: scenario
    if config.centre is not None:
        centre = config.centre
        programs = programs_of(config.profiles, split) if centre.programs else ()
        return _in_turns(
            [CentreScenarios(t, centre, split, seed, programs) for t in _traces(config)]
        )
    if config.sites is not None:
        drawn = config.sites
        return _in_turns([SitesScenarios(t, drawn, split, seed) for t in _traces(config)])
    if config.cluster is not None:
        return make_cluster_source(config, split, seed)
    machine = _machine(config, split)
    return _in_turns(
        [FleetScenarios(t, config.fleet, split, seed, machine) for t in _traces(config)]
    )


def make_cluster_source(config: ScenarioConfig, split: SplitName, seed: int) -> ClusterSource:
    """Clusters of one split.

    Raises:
        ScenarioError: for an unknown toy, or where no cluster is configured.
        TraceError: if the trace cannot be read.
    """
    if config.toy:
        toy = toy_scenario(config.toy)
        if not isinstance(toy, ClusterScenario):
            raise ScenarioError(f"toy {config.toy!r} is one host; use short- or long-overload")
        return lambda index: toy
    cluster = config.cluster
    if cluster is None:
        raise ScenarioError("cluster is null: say what clusters are drawn from, {} for defaults")
    machine = _machine(config, split)
    return _in_turns(
        [ClusterFleetScenarios(t, cluster, split, seed, machine) for t in _traces(config)]
    )


def _traces(config: ScenarioConfig) -> list[Trace]:
    if not config.traces:
        raise ScenarioError("trace names no trace: say synthetic, a path, or a list of them")
    return [load_trace(trace, config.repair) for trace in config.traces]


def _machine(config: ScenarioConfig, split: SplitName) -> MachineDraw | None:
    if config.machine is None:
        return None
    return MachineDraw(
        config.machine,
        programs_of(config.profiles, split),
        config.num_vms,
        config.num_knots,
        config.knot_s,
        varied=split == "train",
    )


def _in_turns(sources: list[Callable[[int], T]]) -> Callable[[int], T]:
    """One source after the other."""
    if len(sources) == 1:
        return sources[0]
    return lambda index: sources[index % len(sources)](index // len(sources))


def default_scenario(task: str) -> ScenarioConfig:
    """The scenarios that a task is trained and judged on unless told otherwise.

    ``Cache-v0``: ample memory and cores, half of the hosts with ways, half with page colours.
    ``Host-v0``: everything is scarce. ``Overload-v0``: clusters of 2 to 8 hosts.
    ``Cluster-v0``: the same with more room, power, a day and arrivals.
    ``Sites-v0``: up to eight VMs that have to move. ``Consolidation-v0``: days of 10 to 50 hosts.
    ``Placement-v0``: four hours of 10 to 40 hosts whose VMs come and go.

    Raises:
        ValueError: no such task.
    """
    check_task(task)
    if task == CACHE:
        fleet = FleetConfig(load=(0.5, 0.7), cpu_overcommit=(0.6, 1.0), episode_s=900.0)
        return ScenarioConfig(fleet=fleet, machine=MachineConfig())
    if task == HOST:
        machine = MachineConfig(devices=True, wake_ups=True, busy=(0.1, 0.9))
        fleet = FleetConfig(load=(0.8, 1.3), cpu_overcommit=(1.5, 3.0), monitor=1)
        return ScenarioConfig(fleet=fleet, machine=machine)
    if task == OVERLOAD:
        return ScenarioConfig(cluster=ClusterConfig())
    if task == CLUSTER:
        return ScenarioConfig(cluster=whole_cluster())
    if task == SITES:
        return ScenarioConfig(sites=SitesConfig())
    if task == CONSOLIDATION:
        return ScenarioConfig(centre=CentreConfig())
    if task == PLACEMENT:
        return ScenarioConfig(centre=placement_centres())
    return ScenarioConfig()


def load_trace(trace: str, repair: bool = False) -> Trace:
    """The named trace; read or generated once per process."""
    return _load_once(trace, repair)


@lru_cache(maxsize=4)
def _load_once(trace: str, repair: bool) -> Trace:
    if trace == "synthetic":
        return SyntheticFleet().generate(SYNTHETIC_VMS, SYNTHETIC_SAMPLES, SYNTHETIC_SEED)
    return open_trace(trace, repair=repair)


__all__ = [
    "AnyScenario", "ScenarioConfig", "ScenarioSource", "default_scenario", "load_trace",
    "make_cluster_source", "make_source", "toy_scenario",
]  # fmt: skip
