"""From what data centres are drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from gymbal_envs.scenarios.centre_programs import ProgramsConfig
from gymbal_envs.scenarios.centre_types import (
    HOST_TYPES,
    SLEEP_TYPES,
    VM_TYPES,
    HostType,
    SleepType,
    VmType,
)
from gymbal_envs.scenarios.cluster_writes import WriteConfig
from gymbal_envs.scenarios.draws import Range
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cluster.migration_rules import RULES

STARTS = ("spread", "packed", "random")


@dataclass(frozen=True)
class Arrivals:
    """VMs that come and go; null in a configuration: all are there all the time.

    Attributes:
        frac: part of the VMs that arrive during the episode, at times that are uniform in it.
        stay_s: how long a VM stays, log-uniform; those of the beginning, too, from then on.
        forever_frac: part of the VMs that stay until the end.

    Raises:
        ScenarioError: names the field that makes no sense.
    """

    frac: float = 0.5
    stay_s: Range = (1800.0, 86400.0)
    forever_frac: float = 0.3

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("frac", "forever_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise ScenarioError(f"arrivals.{name} ({getattr(self, name)}) must lie in 0..1")
        if not 0 < self.stay_s[0] <= self.stay_s[1]:
            raise ScenarioError(f"arrivals.stay_s {self.stay_s} must be a rising pair above 0")


@dataclass(frozen=True)
class CentreConfig:
    """From what data centres are drawn. Ranges are uniform, or log-uniform where said.

    How busy VMs are, and when, comes from the trace; their sizes are those of a cloud's flavours,
    as in CloudSim.

    Attributes:
        num_hosts: hosts of a centre, log-uniform.
        max_hosts: places for hosts; smaller centres leave places empty.
        vms_per_host: VMs over hosts (1.1 to 1.9 in CloudSim's ten days, models.md 7.2, with hosts
            of 4 GB only).
        memory_scale: all hosts' memory in units of what `HOST_TYPES` says: the more there is, the
            sooner packed hosts run out of CPU time rather than of memory.
        memory_load: VMs are left out until the rest has at most this part of all memory.
        host_types: names of `HOST_TYPES`, each as often as the others; a name may be given twice.
        vm_types: names of `VM_TYPES`, the same.
        shares: weights that owners give their VMs.
        mean_use: the VMs' mean CPU use in the window: the trace's level is raised or lowered by one
            factor, and cut at 1 (PlanetLab's mean is 11 %, Bitbrains' 7 %). Null: as it is.
        rules: names of migration rules, one for a centre.
        writes: how fast VMs write at full speed; sizes are parts of their memory.
        sleep_types: names of `SLEEP_TYPES`, one for a centre.
        starts: how VMs are placed in the beginning, one for a centre: ``spread`` over all hosts,
            ``packed`` as tight as memory and ``packed_use`` allow, ``random``. Hosts without a VM
            sleep in packed centres, and are on in the others.
        packed_use: part of a host's MIPS that packed VMs want in the beginning, at most.
        arrivals: who comes and goes.
        programs: what VMs run; null: they share CPU time and nothing else.
        episode_s: length of an episode.
        knot_s: seconds between demand knots.

    Raises:
        ScenarioError: names the field that makes no sense.
    """

    num_hosts: tuple[int, int] = (10, 50)
    max_hosts: int = 50
    vms_per_host: Range = (1.2, 3.0)
    memory_scale: Range = (2.0, 4.0)
    memory_load: float = 0.8
    host_types: tuple[str, ...] = ("g4", "g5", "x3250")
    vm_types: tuple[str, ...] = ("fast", "large", "small", "micro", "dual")
    shares: tuple[float, ...] = (500.0, 1000.0, 2000.0)
    mean_use: Range | None = (0.12, 0.35)
    rules: tuple[str, ...] = ("qemu", "qemu_auto_converge", "xen_modern", "postcopy")
    writes: WriteConfig = field(default_factory=WriteConfig)
    sleep_types: tuple[str, ...] = ("s3", "off")
    starts: tuple[str, ...] = STARTS
    packed_use: float = 0.8
    arrivals: Arrivals | None = None
    programs: ProgramsConfig | None = None
    episode_s: float = 86400.0
    knot_s: float = 300.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 1 <= self.num_hosts[0] <= self.num_hosts[1] <= self.max_hosts:
            raise ScenarioError(
                f"num_hosts {self.num_hosts} must be a rising pair within 1..max_hosts "
                f"({self.max_hosts})"
            )
        for name in ("vms_per_host", "memory_scale"):
            if not 0 < getattr(self, name)[0] <= getattr(self, name)[1]:
                raise ScenarioError(f"{name} {getattr(self, name)} must be a rising pair above 0")
        for name in ("memory_load", "packed_use"):
            if not 0 < getattr(self, name) <= 1:
                raise ScenarioError(f"{name} ({getattr(self, name)}) must lie in (0, 1]")
        if self.mean_use is not None and not 0 < self.mean_use[0] <= self.mean_use[1] <= 0.5:
            raise ScenarioError(
                f"mean_use {self.mean_use} must be a rising pair in (0, 0.5]; above, too little of "
                "the trace's shape would be left"
            )
        if not self.shares or min(self.shares) <= 0:
            raise ScenarioError(f"shares {self.shares} must be weights above 0")
        known: tuple[tuple[str, Collection[str]], ...] = (
            ("host_types", HOST_TYPES), ("vm_types", VM_TYPES), ("sleep_types", SLEEP_TYPES),
            ("starts", STARTS), ("rules", _that_end(RULES)),
        )  # fmt: skip
        for name, names in known:
            unknown = [each for each in getattr(self, name) if each not in names]
            if unknown or not getattr(self, name):
                raise ScenarioError(f"{name} {unknown or '()'} unknown; there are {sorted(names)}")
        if not (self.knot_s > 0 and self.episode_s >= self.knot_s):
            raise ScenarioError(
                f"episode_s ({self.episode_s}) must be at least knot_s ({self.knot_s}), above 0"
            )
        largest = max(kind.memory_bytes for kind in self.hosts) * self.memory_scale[0]
        too_big = [kind.name for kind in self.vms if kind.memory_bytes > largest]
        if too_big:
            raise ScenarioError(f"vm_types {too_big} fit on none of host_types {self.host_types}")

    @property
    def hosts(self) -> tuple[HostType, ...]:
        """The kinds of hosts."""
        return tuple(HOST_TYPES[name] for name in self.host_types)

    @property
    def vms(self) -> tuple[VmType, ...]:
        """The kinds of VMs."""
        return tuple(VM_TYPES[name] for name in self.vm_types)

    @property
    def sleeps(self) -> tuple[SleepType, ...]:
        """The kinds of sleep."""
        return tuple(SLEEP_TYPES[name] for name in self.sleep_types)

    @property
    def max_vms(self) -> int:
        """Places for VMs: as many as the largest centre may have."""
        return int(self.max_hosts * self.vms_per_host[1])

    @property
    def num_knots(self) -> int:
        """Demand knots of an episode."""
        return round(self.episode_s / self.knot_s) + 1


def _that_end(names: Iterable[str]) -> tuple[str, ...]:
    """The migration rules that end by themselves."""
    return tuple(name for name in names if name != "until_told")


def placement_centres() -> CentreConfig:
    """What ``gymbal/Placement-v0`` is drawn from: busy VMs that come and go, and run programs."""
    return CentreConfig(
        num_hosts=(10, 40),
        max_hosts=40,
        vms_per_host=(8.0, 16.0),
        memory_scale=(1.0, 1.5),
        memory_load=1.0,
        host_types=("x3550", "x3550", "x3250"),
        vm_types=("fast", "large", "dual", "dual", "quad"),
        mean_use=(0.3, 0.5),
        rules=("qemu",),
        starts=("spread", "packed"),
        arrivals=Arrivals(frac=0.8, stay_s=(600.0, 10800.0), forever_frac=0.05),
        programs=ProgramsConfig(),
        episode_s=14400.0,
    )
