"""Kinds of hosts and VMs that data centres are made of, and how hosts sleep."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from gymbal_envs.scenarios.draws import Range
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_runtime.centre.rules.power import POWER_CURVES


def _check_positive(kind: Any) -> None:
    for field in fields(kind):
        value = getattr(kind, field.name)
        if not isinstance(value, str) and not value > 0:
            raise ScenarioError(f"{kind.name}: {field.name} is {value}; give a value above 0")


@dataclass(frozen=True)
class HostType:
    """One kind of host.

    Attributes:
        name: in configurations.
        curve: of its power, a key of `gymbal_runtime.centre.rules.power.POWER_CURVES`.
        cores: of all sockets.
        core_mips: of one core. The literature on consolidation counts one MIPS per MHz.
        memory_bytes: for VMs.
        nic_gbit_s: of its port, each way.
    """

    name: str
    curve: str
    cores: int
    core_mips: float
    memory_bytes: float
    nic_gbit_s: float = 1.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        _check_positive(self)
        if self.curve not in POWER_CURVES:
            raise ScenarioError(
                f"{self.name}: curve {self.curve!r} unknown; there are {', '.join(POWER_CURVES)}"
            )


HOST_TYPES: dict[str, HostType] = {
    kind.name: kind
    for kind in (
        HostType("g4", "ml110_g4", 2, 1860.0, 4 * GIB),
        HostType("g5", "ml110_g5", 2, 2660.0, 4 * GIB),
        HostType("x3250", "x3250_x3470", 4, 2933.0, 16 * GIB),
        HostType("x3550", "x3550_x5675", 12, 3067.0, 64 * GIB, 10.0),
    )
}
"""By name. Cores, clocks and watts: the SPECpower results that CloudSim has (models.md 7.1); 4 GB
and 1 Gb/s of the ML110: CloudSim's set-up (7.2). The IBM servers were measured with less memory (8
and 16 GB) than hosts of VMs have, which is assumed: 4 to 5 GiB for each core; so is 10 Gb/s."""


@dataclass(frozen=True)
class VmType:
    """One kind of VM.

    Attributes:
        name: in configurations.
        vcpus: of the VM.
        mips: of all its vCPUs together, the most that it can use.
        memory_bytes: what its host reserves.
    """

    name: str
    vcpus: int
    mips: float
    memory_bytes: float

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        _check_positive(self)


VM_TYPES: dict[str, VmType] = {
    kind.name: kind
    for kind in (
        VmType("fast", 1, 2500.0, 870 * MIB),
        VmType("large", 1, 2000.0, 1740 * MIB),
        VmType("small", 1, 1000.0, 1740 * MIB),
        VmType("micro", 1, 500.0, 613 * MIB),
        VmType("dual", 2, 4000.0, 3480 * MIB),
        VmType("quad", 4, 8000.0, 6960 * MIB),
    )
}
"""By name. The first four are CloudSim's, after Amazon's of 2011 (models.md 7.2); the others are
two and four of its "large" in one (assumed)."""


@dataclass(frozen=True)
class SleepType:
    """How deep hosts sleep: between what values a centre's are drawn, uniformly.

    Attributes:
        name: in configurations.
        sleep_w: W asleep.
        suspend_s: until it sleeps.
        wake_s: until it is on.
        wake_frac: of its power at 100 % that it draws while it wakes.
    """

    name: str
    sleep_w: Range
    suspend_s: Range
    wake_s: Range
    wake_frac: Range

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not 0 <= value[0] <= value[1]:
                raise ScenarioError(f"{self.name}: {field.name} {value} must be a rising pair")


SLEEP_TYPES: dict[str, SleepType] = {
    kind.name: kind
    for kind in (
        SleepType("s3", (5.0, 15.0), (5.0, 10.0), (10.0, 15.0), (0.9, 1.0)),
        SleepType("off", (1.0, 5.0), (20.0, 60.0), (120.0, 260.0), (0.9, 1.0)),
    )
}
"""By name. To wake takes 10 to 15 s from S3 at 5 to 15 W, 120 to 260 s from off, near peak power
(models.md 7.1: AutoScale has 260 s at 200 W of hosts that idle at 140 W). Assumed are the time to
fall asleep or shut down, and the watts of a board controller that waits in a host that is off."""
