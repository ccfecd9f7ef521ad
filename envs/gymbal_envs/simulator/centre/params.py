"""Physical constants of data centres, with units and sources."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.params import Clock, PhysicsParams

TICK_S = 10.0
"""A pause of a few ms counts as long as it is whatever the tick; this is how often CPU time and
links are divided anew, and the shortest migrations (613 MB at 1 Gb/s) take half of it."""
CONTROL_INTERVAL_S = 300.0
"""Of CloudSim, DRS and most published controllers (models.md 7.2, 7.4)."""
KNOT_S = 300.0
"""Of PlanetLab's, Bitbrains' and the synthetic traces."""


def centre_physics() -> PhysicsParams:
    """The clocks of a data centre; the rest of it is not used."""
    return PhysicsParams(clock=Clock(TICK_S, CONTROL_INTERVAL_S), knot_s=KNOT_S)


@dataclass(frozen=True)
class CentreParams:
    """What moves take beside the network. What hosts take is part of a scenario.

    Attributes:
        daemon_cores: cores that copying takes at each end of a port that it fills (VMotion reserves
            30 % of one at 1 Gb/s, models.md 6.2); in proportion to the rate below.
        slowdown: part of its progress that a VM loses while its pages are copied at the full rate
            of its host's port (CloudSim charges 10 %, measured are 5 to 20 %: models.md 6.2); in
            proportion below.
        most_sent: a pre-copy that has sent so many times the VM's memory is ended: the VM is paused
            for the rest (Xen's rule, models.md 6.2). QEMU leaves that to who operates it (virsh
            migrate --timeout-suspend), and there is nobody else here.
        sample_s: over which distinct written pages are counted (QEMU's calc-dirty-rate: 1 s).

    Raises:
        ValueError: if a field makes no sense, with its name.
    """

    daemon_cores: float = 0.3
    slowdown: float = 0.10
    most_sent: float = 3.0
    sample_s: float = 1.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{field.name} ({value}) must be finite and not negative")
        if self.slowdown > 1:
            raise ValueError(f"slowdown ({self.slowdown}) must be at most 1")
        if self.most_sent < 1:
            raise ValueError(f"most_sent ({self.most_sent}) must be at least 1, the first pass")
        if self.sample_s <= 0:
            raise ValueError(f"sample_s ({self.sample_s}) must be above 0")

    def constants(self, physics: PhysicsParams) -> NDArray[np.float64]:
        """The table that kernels read, (NUM_CONSTANTS,); the clocks are those of ``physics``."""
        c = np.zeros(at.NUM_CONSTANTS)
        c[at.C_TICK] = physics.clock.tick_s
        c[at.C_KNOT] = physics.knot_s
        c[at.C_DAEMON] = self.daemon_cores
        c[at.C_SLOWDOWN] = self.slowdown
        c[at.C_MOST_SENT] = self.most_sent
        c[at.C_SAMPLE] = self.sample_s
        return c
