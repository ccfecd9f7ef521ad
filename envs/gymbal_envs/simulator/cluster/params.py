"""Physical constants of several hosts, with units and sources."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import layout
from gymbal_envs.simulator.params import MIB


@dataclass(frozen=True)
class ClusterParams:
    """Remote memory, and what moves take beside the network.

    Attributes:
        slab_bytes: a VM that borrows chooses its donor anew for every slab (Infiniswap: 1 GB of
            hosts with 64 GB, models.md 5.4; here a sixteenth, for hosts are filled in minutes).
        low_free_frac: of a host's memory; when less is free, lent pages are called back.
        high_free_frac: lent is what is free above; called back is until so much is free.
            (Infiniswap: 8 and 16 GB of hosts with 64 GB, models.md 5.4. Its ratio is kept; a
            quarter of its size, because balloons give memory back faster than it is freed there.)
        home_bytes_s: speed at which pages are called back, per donor, and recalled, per VM: 200
            MB/s, half of what a SATA SSD writes (models.md 1.4).
        write_share: part of its host's swap device that pages on their way home may write.
        daemon_cores: cores that a move takes at its source and at its target (VMotion reserves
            30 % of one, models.md 6.2).
        slowdown: part of its progress that a VM loses while its pages are copied at the full rate
            of its host's link (CloudSim charges 10 %, measured are 5 to 20 %: models.md 6.2).
        squeeze_s: how long neighbours give to a VM after the order to squeeze.
    """

    slab_bytes: float = 64 * MIB
    low_free_frac: float = 1 / 32
    high_free_frac: float = 1 / 16
    home_bytes_s: float = 200e6
    write_share: float = 0.5
    daemon_cores: float = 0.3
    slowdown: float = 0.10
    squeeze_s: float = 60.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{field.name} ({value}) must be finite and not negative")
        if not self.low_free_frac <= self.high_free_frac < 1:
            raise ValueError(
                f"low_free_frac ({self.low_free_frac}) must be at most high_free_frac "
                f"({self.high_free_frac}), and that below 1"
            )
        for name in ("write_share", "slowdown"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at most 1")
        for name in ("slab_bytes", "home_bytes_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")

    def constants(self) -> NDArray[np.float64]:
        """Rows K_SLAB to K_SQUEEZE of the table that kernels read, (NUM_RULES,)."""
        values = {
            layout.K_SLAB: self.slab_bytes,
            layout.K_LOW: self.low_free_frac,
            layout.K_HIGH: self.high_free_frac,
            layout.K_HOME: self.home_bytes_s,
            layout.K_WRITE_SHARE: self.write_share,
            layout.K_DAEMON: self.daemon_cores,
            layout.K_SLOWDOWN: self.slowdown,
            layout.K_SQUEEZE: self.squeeze_s,
        }
        rows = range(layout.K_SLAB, layout.K_SLAB + layout.NUM_RULES)
        return np.array([float(values[row]) for row in rows])
