"""How fast VMs write their memory: what decides whether a live migration ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.draws import Floats, Range, log_uniform
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cluster.migration_layout import NUM_GROUPS, RANDOM, SWEEP

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class WriteConfig:
    """From what dirty groups are drawn: a hot one, a warm one, and pages that are always dirty.

    Sizes are parts of the working set. The three groups and their order of magnitude are those that
    fit Clark's SPECweb rounds (models.md 6.3: of 800 MB, 35 MB every 0.5 s, 200 MB every 42 s and
    0.7 MB every 7 ms). The rates span what QEMU reports of a database guest (18 to 129 MiB/s
    measured with 4 and 16 clients; live_migration data, MIT) and idle and busier VMs, so that some
    write faster than QEMU's default limit of 128 MiB/s sends.

    Attributes:
        hot_frac: size of the hot group, log-uniform.
        hot_mb_s: how fast it is written to begin with, 1e6 bytes/s, log-uniform.
        sweep_frac: part of the VMs that write the hot group from one end to the other, again and
            again, rather than at random.
        warm_frac: size of the warm group, uniform.
        warm_s: time constant of the warm group, log-uniform.
        always_frac: size of the group that is always dirty, log-uniform.
        always_s: its time constant.
    """

    hot_frac: Range = (0.02, 0.3)
    hot_mb_s: Range = (0.5, 400.0)
    sweep_frac: float = 0.2
    warm_frac: Range = (0.05, 0.3)
    warm_s: Range = (30.0, 600.0)
    always_frac: Range = (2e-4, 2e-3)
    always_s: float = 0.01

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("hot_frac", "hot_mb_s", "warm_frac", "warm_s", "always_frac"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(f"writes.{name} ({low}, {high}) must be a rising pair above 0")
        if not 0 <= self.sweep_frac <= 1:
            raise ScenarioError(f"writes.sweep_frac ({self.sweep_frac}) must lie in 0..1")
        if not self.always_s > 0:
            raise ScenarioError(f"writes.always_s ({self.always_s}) must be above 0")
        most = self.hot_frac[1] + self.warm_frac[1] + self.always_frac[1]
        if most > 1:
            raise ScenarioError(
                f"writes: hot_frac, warm_frac and always_frac may sum to {most:.3g} of the working "
                "set; lower them to at most 1"
            )


def draw_writes(
    rng: np.random.Generator, config: WriteConfig, working_set: Floats
) -> tuple[Floats, Floats, Ints]:
    """Dirty groups of n VMs: sizes as parts of the working set, seconds, kinds, (n, 3) each.

    Args:
        rng: of this host.
        config: what to draw from.
        working_set: (n,) bytes, mean of the episode.
    """
    n = working_set.size
    size, tau = np.zeros((n, NUM_GROUPS)), np.zeros((n, NUM_GROUPS))
    kind = np.full((n, NUM_GROUPS), RANDOM, dtype=np.int64)
    size[:, 0] = log_uniform(rng, config.hot_frac, n)
    tau[:, 0] = size[:, 0] * working_set / (log_uniform(rng, config.hot_mb_s, n) * 1e6)
    kind[:, 0] = np.where(rng.random(n) < config.sweep_frac, SWEEP, RANDOM)
    size[:, 1] = rng.uniform(*config.warm_frac, n)
    tau[:, 1] = log_uniform(rng, config.warm_s, n)
    size[:, 2] = log_uniform(rng, config.always_frac, n)
    tau[:, 2] = config.always_s
    return size, tau, kind
