"""Hand-written scenarios whose best split can be worked out on paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_envs.demand.profiles import Profile, parametric_family
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator.params import GIB, TIERS, Tier


@dataclass(frozen=True)
class OppositePeaks:
    """The seed paper's own example: two VMs of 3 GB with opposite peaks on a 4 GB host.

    While one VM works on ``high_bytes`` (2.9 GiB) the other works on ``low_bytes`` (0.9 GiB), and
    they change places every ``phase_s``. Demand is 3.8 GiB + 2 kernels of 0.05 GiB = 3.9 GiB at any
    time, less than the 4 GiB of the host. So the optimum is worked out at once: **give each VM what
    it wants now, plus any part of the remaining 0.1 GiB**; then nobody ever misses but in the
    seconds of a change. A static half each (2 GiB) leaves the busy VM 0.95 GiB short: with the
    concave curve ``m(x) = 1 - x^0.4`` it misses ``1 - (1.95/2.9)^0.4 = 14.7 %`` of its touches for
    ever, and at 8 ms a miss, 2000 touches/s and 4 useful pages a fault it progresses at
    ``1 / (1 + 2000 * 0.147 / 4 * 0.008) = 0.63`` of its speed (less, as the device queues).
    """

    tier: Tier = TIERS["hdd"]
    phase_s: float = 3600.0
    num_phases: int = 4
    touch_rate_hz: float = 2000.0
    high_bytes: float = 2.9 * GIB
    low_bytes: float = 0.9 * GIB
    knot_s: float = 10.0
    profile: Profile | None = None
    monitor: int = 2

    def __call__(self) -> Scenario:
        """The scenario; it has no chance in it but the sensors' noise."""
        profile = self.profile or parametric_family("power", alpha=0.4)
        knots = int(self.phase_s * self.num_phases / self.knot_s) + 1
        phase = (np.arange(knots) * self.knot_s // self.phase_s).astype(int) % 2
        first = np.where(phase == 0, self.high_bytes, self.low_bytes)
        second = np.where(phase == 0, self.low_bytes, self.high_bytes)
        wanted = np.stack([first, second], axis=1).astype(np.float32)
        both = np.ones(2)
        return Scenario(
            name="opposite-peaks",
            capacity_bytes=4 * GIB,
            cpu_cores=4.0,
            tier=self.tier,
            present=np.ones(2, dtype=np.bool_),
            shares=both.copy(),
            memory_max_bytes=both * 3 * GIB,
            memory_min_bytes=both * 0.25 * GIB,
            kernel_bytes=both * 0.05 * GIB,
            unswappable_frac=both * 0.02,
            vcpus=both * 2,
            monitor=both * self.monitor,
            touch_rate=both * self.touch_rate_hz,
            dirty_frac=both * 0.5,
            overlap=both.copy(),
            curve=np.stack([profile.curve] * 2),
            working_set_bytes=wanted,
            # what a VM no longer works on it gives back (its programs free it)
            footprint_bytes=wanted.copy(),
            cores=np.ones((knots, 2), dtype=np.float32),
            initial_bytes=both * 2 * GIB,
            seed=1,
            knot_s=self.knot_s,
        )
