"""Rules that move nothing: all hosts on, and hosts that sleep when they have been idle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.building import check_range
from gymbal_runtime.centre.heuristics.idle import wake_some
from gymbal_runtime.centre.heuristics.record import mean_wanted
from gymbal_runtime.centre.heuristics.rule import CentreRule, SleepingRule, Verbs
from gymbal_runtime.centre.orders import WAKE
from gymbal_runtime.centre.telemetry import WAKING, CentreTelemetry


@dataclass(frozen=True, eq=False)
class AlwaysOn(CentreRule):
    """Every host on, nothing moves: only the processors' frequencies follow the load.

    The null rule; CloudSim calls it DVFS. VMs that arrive are placed, like by every rule.

    Source: policy DVFS of Beloglazov and Buyya, CCPE 2012, section 7.3.
    """

    name = "always_on"

    def _tell_hosts(self, telemetry: CentreTelemetry, after: NDArray[Any], power: Verbs) -> None:
        power[telemetry.exists] = WAKE


@dataclass(frozen=True, eq=False)
class DelayedOff(SleepingRule):
    """A host sleeps once it was idle for as long as waking it costs; one wakes when the rest fills.

    Nothing moves: hosts become idle as VMs leave. The wait is ``t_wait`` = energy of waking / watts
    of idling, times ``patience``.

    Source: DelayedOff (Gandhi, Gupta, Harchol-Balter, Kozuch, Performance Evaluation 67(11), 2010;
    AutoScale, ACM TOCS 30(4), 2012); models.md 7.1 for the wait. They send requests to the host
    that was busy last; VMs, which stay, go where the placement says.

    Attributes:
        ceiling: 1, part of the MIPS of all hosts that are on above which one more is woken, besides
            what it is for every rule.
    """

    name = "delayed_off"

    patience: float = 1.0

    def _tell_hosts(self, telemetry: CentreTelemetry, after: NDArray[Any], power: Verbs) -> None:
        wanted = mean_wanted(telemetry, 1).sum(axis=1)
        coming = telemetry.exists & ((telemetry.state == WAKING) | (power == WAKE))
        awake = (telemetry.running & ~telemetry.draining) | coming
        cpu = np.where(awake, telemetry.cpu_mips, 0.0).sum(axis=1)
        wake_some(telemetry, (wanted > self.ceiling * cpu).astype(np.int64), power)
        super()._tell_hosts(telemetry, after, power)


@dataclass(frozen=True, eq=False)
class SavingEnergy(SleepingRule):
    """Keep a few empty hosts on: let those beyond sleep, wake what is missing.

    Nothing moves. Which hosts are spare Watcher leaves to chance; here the cheapest at full load
    stay on, and are woken first.

    Source: strategy ``saving_energy`` of OpenStack Watcher (free_used_percent, min_free_hosts_num)
    and its defaults.

    Attributes:
        spare_hosts: empty hosts that are kept on at least.
        spare_frac: 1, the same as part of the hosts in use; the larger number counts.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **SleepingRule.TUNABLE,
        "spare_frac": (0.0, 0.5),
    }
    name = "saving_energy"

    spare_hosts: float = 1.0
    spare_frac: float = 0.1

    def __post_init__(self) -> None:
        """Name the option that is out of range."""
        super().__post_init__()
        check_range(self.name, spare_frac=(self.spare_frac, 0.0, 10.0))

    def _spare(self, in_use: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(super()._spare(in_use), (self.spare_frac * in_use).astype(np.int64))
