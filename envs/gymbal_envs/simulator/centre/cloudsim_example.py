"""The data centre of CloudSim 3.0.3's PlanetLab examples, after CCPE 24(13), 2012, section 7.1.

800 hosts, ML110 G4 and G5 in turn; four types of VM (EC2's of 2011, memory halved), in equal shares
and in this order. VM i runs trace i, so the order of the traces decides which trace runs in which
type. CloudSim takes the order in which the file system lists a folder, which differs between
machines (`gymbal_envs.demand.planetlab.ORDERS`) and moves energy by some 5 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class HostModel:
    """A type of host."""

    core_mips: float
    cores: int
    ram_mb: float
    curve: str  # one of `power.POWER_CURVES`

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("core_mips", "cores", "ram_mb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of a host is {getattr(self, name)}; give more than 0")

    @property
    def capacity_mips(self) -> float:
        """Of all cores."""
        return self.core_mips * self.cores


@dataclass(frozen=True)
class VmModel:
    """A type of VM, with one vCPU."""

    mips: float
    ram_mb: float

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("mips", "ram_mb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of a VM is {getattr(self, name)}; give more than 0")


NUM_HOSTS = 800
HOST_MODELS = (
    HostModel(core_mips=1860.0, cores=2, ram_mb=4096.0, curve="ml110_g4"),
    HostModel(core_mips=2660.0, cores=2, ram_mb=4096.0, curve="ml110_g5"),
)
VM_MODELS = (
    VmModel(mips=2500.0, ram_mb=870.0),
    VmModel(mips=2000.0, ram_mb=1740.0),
    VmModel(mips=1000.0, ram_mb=1740.0),
    VmModel(mips=500.0, ram_mb=613.0),
)


@dataclass(frozen=True)
class CloudSimParams:
    """Constants of CloudSim 3.0.3 and of its PlanetLab examples."""

    scheduling_interval_s: float = 300.0  # Constants.SCHEDULING_INTERVAL
    start_s: float = 0.1  # when the workload is submitted, one minimal event after the VMs
    migration_mb_s: float = 1e6 / 16000.0  # half of 1 Gb/s (Constants.HOST_BW, in kb/s)

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("scheduling_interval_s", "start_s", "migration_mb_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give more than 0")


def example_hosts(num_hosts: int = NUM_HOSTS) -> tuple[HostModel, ...]:
    """Hosts of the examples, the two models in turn."""
    return tuple(HOST_MODELS[i % len(HOST_MODELS)] for i in range(num_hosts))


def example_vms(num_vms: int) -> tuple[VmModel, ...]:
    """VMs of the examples: the first quarter (rounded up) of type 0, and so on."""
    each = max(1, math.ceil(num_vms / len(VM_MODELS)))
    return tuple(VM_MODELS[i // each] for i in range(num_vms))
