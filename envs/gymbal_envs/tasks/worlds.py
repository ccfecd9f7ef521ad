"""A task on one host, for B hosts at once: every environment class is a thin coat over this one."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.tasks.batch import Worlds, WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.recording import Viewer
from gymbal_envs.tasks.reward import reward_terms, share_weighted
from gymbal_envs.tasks.row_spaces import row_spaces
from gymbal_runtime.codec import Codec
from gymbal_runtime.command import Command
from gymbal_runtime.guard import guard
from gymbal_runtime.observation import History
from gymbal_runtime.tasks import BALLOON
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]

LOST_TO = {
    "lost_to_memory": at.LOST_MEMORY,
    "lost_to_cache": at.LOST_CACHE,
    "lost_to_io": at.LOST_IO,
    "lost_to_monitors": at.LOST_MONITOR,
}
"""Causes of lost progress; what is left of ``progress_lost`` is CPU contention."""
SWAPPED = {"swap_in_bytes_s": at.READ, "swap_out_bytes_s": at.WRITTEN}


class HostWorlds(Worlds[Telemetry, Command]):
    """B hosts whose resources are divided by actions (corrections) or by commands.

    Its arguments are those of `Worlds`.
    """

    TASK = BALLOON

    engine: Engine
    codec: Codec
    history: History

    def _open(self, num_threads: int) -> None:
        sizes = (self.num_worlds, self.num_vms, self.shape.num_knots)
        self.engine = Engine(*sizes, self.config.physics, num_threads)

    @staticmethod
    def spaces_of(config: TaskConfig, shape: WorldShape) -> tuple[spaces.Dict, spaces.Box]:
        """Observation and action space of one host; what absent slots ask for is ignored."""
        codec: Codec = config.codec
        slots = shape.num_vms
        observed = row_spaces(codec.bounds(), "vms", "host", slots)
        return observed, spaces.Box(-1.0, 1.0, (slots, *codec.action_axes), np.float32)

    def decision(self, action: NDArray[Any]) -> Command:
        """Corrections (B, V) or (B, V, A) in [-1, 1] of the heuristic's command."""
        return self.codec.decode(action, self.telemetry, self.base)

    def measured(self) -> dict[str, Floats]:
        """Progress lost by cause, and swap traffic in bytes/s."""
        interval, outcome = self.engine.params.clock.control_interval_s, self.engine.outcome
        return {
            **{name: share_weighted(self.engine, row) / interval for name, row in LOST_TO.items()},
            **{name: outcome[:, row].sum(axis=1) / interval for name, row in SWAPPED.items()},
        }

    def viewer(self) -> Viewer:
        """Somebody who watches host 0 from now on."""
        from gymbal_envs.tasks.viewer import HostViewer

        return HostViewer(self)

    def _carry_out(self, decision: Command) -> None:
        allowed, _ = guard(decision, self.telemetry, self.config.guard)
        self.engine.step(allowed)

    def _terms(self) -> dict[str, Floats]:
        return reward_terms(self.engine, self.config.id)

    def _new_history(self) -> History:
        return self.codec.initial_history(self.num_worlds, self.num_vms)
