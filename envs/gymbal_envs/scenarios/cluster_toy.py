"""A hand-written cluster whose best answer to an overload can be worked out on paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.profiles import parametric_family
from gymbal_envs.scenarios.cluster_scenario import (
    FAR_TIERS,
    GIGABIT,
    ClusterScenario,
    FarTier,
    cluster_of,
)
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator.cluster.migration_rules import RULES, MigrationRule
from gymbal_envs.simulator.params import GIB, TIERS, Tier

SHORT_S, LONG_S = 30.0, 1200.0
SLOTS = 3
KERNEL_BYTES = 0.05 * GIB
MARGIN_BYTES = 0.05 * GIB


@dataclass(frozen=True)
class OneOverload:
    """Two hosts of 4 GiB: one is overloaded once, for a time that only the docstring tells.

    Host 0 has a VM that works on 1.5 GiB, from ``begins_s`` on for ``overload_s`` on 2.4 GiB, and
    one that always works on 2.0 GiB; host 1 has one of 1.6 GiB. Each kernel takes 0.05 GiB. So host
    0 wants 3.6 GiB and then 4.5, half a GiB more than it has; nobody on it has anything to spare.
    Host 1 has 2.35 GiB free: the quiet VM (2.05 GiB) fits in there, the growing one (2.45) does
    not.

    What each answer costs while the overload lasts. The growing VM misses ``0.5 / 2.4 = 20.8 %`` of
    10,000 touches/s, 521 faults/s with 4 useful pages a fault:

    * wait: the disk serves 125/s, so the VM makes about an eighth of its progress. Never good.
    * borrow: 60 us a fault slow it to ``1 / (1 + 521 * 60e-6) = 0.97``. 505 faults/s of 32 KiB come
      and as many times 16 KiB go, 0.29 % of the cluster's 8 GiB every second, after 0.5 GiB (6 %)
      went over at the start.
    * migrate the quiet VM: 2.05 GiB cross once (26 % of the cluster's memory), in 16 s at QEMU's
      128 MiB/s; it writes nothing, so one pass is enough, and it loses about 1 % of those 16 s.

    At a weight of 1 for a lost interval of 10 s of all three VMs, and of 1 for all memory crossing
    the network, borrowing costs 0.06 and then 0.0039 each second, migrating 0.26 once: they are
    equal after 51 s. So **an overload of 30 s is borrowed for, and from one of 1200 s the quiet VM
    is moved away at once**, either as soon as demand begins to rise: what has gone to the disk
    comes back at 2 MB/s. Whoever cannot know moves it after about a minute and pays twice at most
    (ski rental). Played with MEB beneath and orders at 90 s, waiting, borrowing and migrating cost
    0.91, 0.07 and 0.57 in the short overload, and 44, 5.1 and 0.6 in the long one; a move costs
    more than on paper until its memory has changed hands.
    """

    overload_s: float = LONG_S
    begins_s: float = 120.0
    episode_s: float = 1800.0
    knot_s: float = 30.0
    host_bytes: float = 4 * GIB
    low_bytes: float = 1.5 * GIB
    high_bytes: float = 2.4 * GIB
    quiet_bytes: float = 2.0 * GIB
    other_bytes: float = 1.6 * GIB
    touch_rate_hz: float = 10_000.0
    tier: Tier = TIERS["hdd"]
    far: FarTier = FAR_TIERS["tcp_10g"]
    migration: MigrationRule = RULES["qemu"]
    nic_bytes_s: float = 10 * GIGABIT
    monitor: int = 2

    def __call__(self) -> ClusterScenario:
        """The scenario; it has no chance in it but the sensors' noise."""
        name = f"one-overload({self.overload_s:g} s)"
        time_s = np.arange(round(self.episode_s / self.knot_s) + 1) * self.knot_s
        over = (time_s >= self.begins_s) & (time_s < self.begins_s + self.overload_s)
        growing = np.where(over, self.high_bytes, self.low_bytes)
        quiet = np.full(time_s.size, self.quiet_bytes)
        other = np.full(time_s.size, self.other_bytes)
        hosts = (
            self._host(f"{name}/0", np.stack([growing, quiet], axis=1)),
            self._host(f"{name}/1", other[:, None]),
        )
        return cluster_of(name, hosts, self.migration, self.far, self.nic_bytes_s)

    def _host(self, name: str, wanted: NDArray[np.float64]) -> Scenario:
        return toy_host(
            name, wanted, self.host_bytes, self.tier, self.knot_s, self.touch_rate_hz, self.monitor
        )


def toy_host(
    name: str,
    wanted: NDArray[np.float64],
    host_bytes: float,
    tier: Tier,
    knot_s: float = 30.0,
    touch_rate_hz: float = 10_000.0,
    monitor: int = 2,
    cores: float = 1.0,
    cpu_cores: float = 4.0,
) -> Scenario:
    """A host whose VMs work on (K, n) bytes and use nothing else; each wants so many cores."""
    n = wanted.shape[1]
    demand = np.zeros((wanted.shape[0], SLOTS), dtype=np.float32)
    demand[:, :n] = wanted
    present = np.arange(SLOTS) < n
    one = np.where(present, 1.0, 0.0)
    curve = parametric_family("streaming").curve
    per_vm: dict[str, Any] = {
        "shares": one.copy(),
        # what it may want and no more, so that what is free stays with the host
        "memory_max_bytes": one * (KERNEL_BYTES + MARGIN_BYTES) + demand.max(axis=0),
        "memory_min_bytes": one * 0.25 * GIB,
        "kernel_bytes": one * KERNEL_BYTES,
        "unswappable_frac": one * 0.02,
        "vcpus": one * 2,
        "monitor": one * monitor,
        "touch_rate": one * touch_rate_hz,
        "dirty_frac": np.zeros(SLOTS),
        "overlap": one.copy(),
        "curve": curve * present[:, None],
        "initial_bytes": one * KERNEL_BYTES + demand[0].astype(np.float64),
    }
    return Scenario(
        name=name,
        capacity_bytes=host_bytes,
        cpu_cores=cpu_cores,
        tier=tier,
        present=present,
        working_set_bytes=demand,
        footprint_bytes=demand.copy(),
        cores=np.tile((cores * one).astype(np.float32), (demand.shape[0], 1)),
        seed=1,
        knot_s=knot_s,
        **per_vm,
    )
