"""From what clusters are drawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from gymbal_envs.scenarios.centre_config import Arrivals
from gymbal_envs.scenarios.cluster_power import PowerConfig
from gymbal_envs.scenarios.cluster_scenario import FAR_TIERS, CloneParams
from gymbal_envs.scenarios.cluster_writes import WriteConfig
from gymbal_envs.scenarios.draws import Range
from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cluster.migration_rules import RULES


def _host() -> FleetConfig:
    return FleetConfig(
        fault_pressure_hz=(20000.0, 400000.0),
        footprint_frac=(0.06, 0.2),
        monitor=1,
        cpu_overcommit=(0.6, 1.2),
        excursion_gap_s=(240.0, 2400.0),
        excursion_hold_s=30.0,
        excursion_height=1.5,
    )


@dataclass(frozen=True)
class ClusterConfig:
    """From what clusters are drawn. Ranges are uniform, or log-uniform where said.

    Attributes:
        num_hosts: hosts of a cluster.
        max_hosts: places for hosts; smaller clusters leave places empty.
        vms_per_host: VMs that start on a host.
        slots: places for VMs on a host; free ones are for arrivals.
        overcommit: the VMs' provisioned memory over the memory of their host.
        size_band: provisioned memories of a cluster's VMs lie within this factor of one of them.
        headroom: the cluster's memory is raised until the peak of all working sets is at most this
            part of it: there is room somewhere.
        overload_frac: part of the episodes that are drawn so that an overload begins in them
            (`window_start`).
        episode_s: length of an episode.
        knot_s: seconds between demand knots.
        tiers: names of swap tiers, one for all hosts of a cluster.
        nic_gbit_s: network ports, one kind for a cluster.
        far_tiers: how another host's memory is reached; ``tcp_1g`` goes with ports of 1 Gb/s, the
            others with faster ones.
        rules: names of migration rules.
        clonable_frac: part of the VMs of which two could share the work.
        writes: how fast VMs write.
        clone: what a clone costs.
        link_cut_prob: probability that a host is off the network for a while.
        link_cut_s: for how long, log-uniform.
        memory_service_fail_prob: probability that a host loses what it has lent.
        vm_stop_prob: probability that a VM ends.
        power: what hosts draw and how they sleep; null: they are always on, and nobody asks.
        arrivals: VMs that come and go, and wait for a host (``stay_s`` holds for those of the
            beginning, too); null: all are there all the time. They have a place of their own.
        swing: how much less VMs want at the quietest hour of a day than at the busiest, part of it,
            on top of what the trace has; a cosine, and an episode begins at any hour.
        host: what else is drawn for each host. Its ``num_vms``, ``max_vms``, ``episode_s``,
            ``knot_s`` and ``tiers`` are those above, its ``load`` follows from ``overcommit``. Cold
            pages are few, for a host that is full of them has nothing to lend. Programs touch more
            memory per second, so that overloads hurt; guests report statistics and the sampler's
            estimate, for histograms cost every VM 2 % all the time. Excursions are higher, shorter
            and rarer than on single hosts: so four of five overloads last less than two minutes
            (models.md 5.1: up to 88 %).
    """

    num_hosts: tuple[int, int] = (2, 8)
    max_hosts: int = 8
    vms_per_host: tuple[int, int] = (4, 10)
    slots: int = 12
    overcommit: Range = (5.0, 6.5)
    size_band: float = 2.0
    headroom: float = 0.85
    overload_frac: float = 0.9
    episode_s: float = 3600.0
    knot_s: float = 30.0
    tiers: tuple[str, ...] = ("sata_ssd", "nvme")
    nic_gbit_s: tuple[float, ...] = (1.0, 10.0, 25.0)
    far_tiers: tuple[str, ...] = ("tcp_1g", "tcp_10g", "rdma")
    rules: tuple[str, ...] = ("qemu", "qemu_auto_converge", "xen_modern", "postcopy")
    clonable_frac: float = 0.3
    writes: WriteConfig = field(default_factory=WriteConfig)
    clone: CloneParams = field(default_factory=CloneParams)
    link_cut_prob: float = 0.0
    link_cut_s: Range = (30.0, 300.0)
    memory_service_fail_prob: float = 0.0
    vm_stop_prob: float = 0.0
    power: PowerConfig | None = None
    arrivals: Arrivals | None = None
    swing: Range = (0.0, 0.0)
    host: FleetConfig = field(default_factory=_host)

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 1 <= self.num_hosts[0] <= self.num_hosts[1] <= self.max_hosts:
            raise ScenarioError(
                f"num_hosts {self.num_hosts} must be a rising pair within 1..max_hosts "
                f"({self.max_hosts})"
            )
        if not 1 <= self.vms_per_host[0] <= self.vms_per_host[1] <= self.slots:
            raise ScenarioError(
                f"vms_per_host {self.vms_per_host} must be a rising pair within 1..slots "
                f"({self.slots})"
            )
        for name, known in (("far_tiers", FAR_TIERS), ("rules", RULES)):
            _check_names(name, getattr(self, name), known)
        for name in ("overcommit", "link_cut_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(f"{name} ({low}, {high}) must be a rising pair above 0")
        for name in (
            "overload_frac", "clonable_frac", "link_cut_prob", "memory_service_fail_prob",
            "vm_stop_prob",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ScenarioError(f"{name} ({getattr(self, name)}) must lie in 0..1")
        if not 0 <= self.swing[0] <= self.swing[1] <= 1:
            raise ScenarioError(f"swing {self.swing} must be a rising pair within 0..1")
        if not 0 < self.headroom <= 1:
            raise ScenarioError(f"headroom ({self.headroom}) must lie in (0, 1]")
        if not self.size_band >= 1:
            raise ScenarioError(f"size_band ({self.size_band}) must be at least 1")
        if not self.nic_gbit_s or min(self.nic_gbit_s) <= 0:
            raise ScenarioError(f"nic_gbit_s {self.nic_gbit_s} must be speeds above 0")
        _ = self.fleet  # checks tiers and the rest

    @property
    def fleet(self) -> FleetConfig:
        """What one host is drawn from."""
        return replace(
            self.host,
            num_vms=self.vms_per_host,
            max_vms=self.slots,
            episode_s=self.episode_s,
            knot_s=self.knot_s,
            tiers=self.tiers,
        )

    @property
    def num_places(self) -> int:
        """Places for hosts, and one where VMs wait that come during the episode."""
        return self.max_hosts + (self.arrivals is not None)

    @property
    def num_knots(self) -> int:
        """Demand knots of an episode."""
        return round(self.episode_s / self.knot_s) + 1


def whole_cluster() -> ClusterConfig:
    """What `gymbal/Cluster-v0` is drawn from.

    As `gymbal/Overload-v0`, with more room, so that some hosts can sleep, a course of the day, and
    VMs that come and go.
    """
    return ClusterConfig(
        num_hosts=(3, 8),
        vms_per_host=(3, 7),
        slots=16,
        overcommit=(3.5, 6.0),
        episode_s=14400.0,
        power=PowerConfig(),
        arrivals=Arrivals(frac=0.15, stay_s=(3600.0, 86400.0), forever_frac=0.5),
        swing=(0.2, 0.7),
    )


def _check_names(name: str, chosen: tuple[str, ...], known: Collection[str]) -> None:
    unknown = [each for each in chosen if each not in known]
    if unknown or not chosen:
        raise ScenarioError(f"{name} {unknown or '()'} unknown; there are {sorted(known)}")
