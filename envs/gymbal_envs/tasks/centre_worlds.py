"""Consolidation of data centres, for C of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.tasks.batch import Worlds, WorldShape
from gymbal_envs.tasks.centre_terms import centre_counts, centre_terms, host_energy_j
from gymbal_envs.tasks.config import CentreSettings, TaskConfig
from gymbal_envs.tasks.recording import Viewer
from gymbal_envs.tasks.row_spaces import row_spaces
from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.row_layout import RowHistory
from gymbal_runtime.tasks import CONSOLIDATION

Floats = NDArray[np.float64]


class CentreWorlds(Worlds[CentreTelemetry, CentreOrders]):
    """C data centres that are consolidated by actions (corrections) or by `CentreOrders`.

    Its arguments are those of `Worlds`.
    """

    TASK = CONSOLIDATION

    engine: CentreEngine
    codec: CentreCodec
    history: RowHistory

    def _open(self, num_threads: int) -> None:
        settings = self.config.centre or CentreSettings()
        sizes = (self.num_worlds, self.num_hosts, self.num_vms, self.shape.num_knots)
        self.engine = CentreEngine(*sizes, self.config.physics, settings.params, num_threads)

    @staticmethod
    def spaces_of(config: TaskConfig, shape: WorldShape) -> tuple[spaces.Dict, spaces.Box]:
        """Observation and action space of one centre; what absent hosts ask for is ignored."""
        codec: CentreCodec = config.codec
        places = shape.num_hosts
        observed = row_spaces(codec.bounds(), "hosts", "centre", places)
        return observed, spaces.Box(-1.0, 1.0, (places, len(codec.actions)), np.float32)

    def decision(self, action: NDArray[Any]) -> CentreOrders:
        """Corrections (C, H, 2) in [-1, 1] of the heuristic, as orders."""
        base = self.base if self.propose else None
        return self.codec.decode(action, self.telemetry, base, self.base_agent)

    def measured(self) -> dict[str, Floats]:
        """Energy, moves, wakes, overloads, losses by cause."""
        return centre_counts(self.engine)

    def host_energy_j(self) -> Floats:
        """J that each host took in the last interval, (C, H)."""
        return host_energy_j(self.engine)

    def viewer(self) -> Viewer:
        """Somebody who watches centre 0 from now on."""
        from gymbal_envs.tasks.centre_viewer import CentreViewer

        return CentreViewer(self)

    def _carry_out(self, decision: CentreOrders) -> None:
        self.engine.step(decision)

    def _terms(self) -> dict[str, Floats]:
        return centre_terms(self.engine)

    def _new_history(self) -> RowHistory:
        return self.codec.initial_history(self.num_worlds, self.num_hosts)
