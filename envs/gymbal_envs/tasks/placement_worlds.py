"""Placement in data centres, for C of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.tasks.batch import Worlds, WorldShape
from gymbal_envs.tasks.centre_terms import host_energy_j
from gymbal_envs.tasks.config import CentreSettings, TaskConfig
from gymbal_envs.tasks.placement_terms import placement_counts, placement_terms
from gymbal_envs.tasks.recording import Viewer
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.placement.candidates import NUM_CANDIDATES
from gymbal_runtime.placement.codec import (
    NUM_CHOICES,
    NoHistory,
    PlacementCodec,
)
from gymbal_runtime.placement.orders import PlacementOrders
from gymbal_runtime.placement.queue import queue_places
from gymbal_runtime.tasks import PLACEMENT

Floats = NDArray[np.float64]


class PlacementWorlds(Worlds[CentreTelemetry, PlacementOrders]):
    """C data centres in which VMs get hosts by actions (choices) or by `PlacementOrders`.

    Its arguments are those of `Worlds`.
    """

    TASK = PLACEMENT

    engine: CentreEngine
    codec: PlacementCodec
    history: NoHistory

    def _open(self, num_threads: int) -> None:
        settings = self.config.centre or CentreSettings()
        sizes = (self.num_worlds, self.num_hosts, self.num_vms, self.shape.num_knots)
        self.engine = CentreEngine(*sizes, self.config.physics, settings.params, num_threads)

    @staticmethod
    def spaces_of(
        config: TaskConfig, shape: WorldShape
    ) -> tuple[spaces.Dict, spaces.MultiDiscrete]:
        """Observation and action space of one centre: as many rows as its queue has places."""
        bounds, places = config.codec.bounds(), queue_places(shape.num_hosts)

        def rows(name: str, *axes: int) -> spaces.Box:
            low, high = bounds[name]
            return spaces.Box(np.tile(low, (*axes, 1)), np.tile(high, (*axes, 1)))

        observed = spaces.Dict(
            {
                "vms": rows("vms", places),
                "candidates": rows("candidates", places, NUM_CANDIDATES),
                "centre": spaces.Box(*bounds["centre"]),
                "present": spaces.Box(0.0, 1.0, (places,)),
                "offered": spaces.Box(0.0, 1.0, (places, NUM_CANDIDATES)),
                "proposed": spaces.Box(0.0, float(NUM_CANDIDATES), (places,)),
                "mask": spaces.Box(0.0, 1.0, (places, NUM_CHOICES)),
            }
        )
        return observed, spaces.MultiDiscrete(np.full(places, NUM_CHOICES))

    def action_masks(self) -> NDArray[np.bool_]:
        """Choices that may be made in the present state, (C, M, K + 1)."""
        return self.codec.mask(self.telemetry, self.base if self.propose else None)

    def decision(self, action: NDArray[Any]) -> PlacementOrders:
        """Choices (C, M) as orders; what may not be chosen counts as what is proposed."""
        return self.codec.decode(action, self.telemetry, self.base if self.propose else None)

    def measured(self) -> dict[str, Floats]:
        """Losses by cause, hosts that are on, energy, waits."""
        return placement_counts(self.engine)

    def host_energy_j(self) -> Floats:
        """J that each host took in the last interval, (C, H)."""
        return host_energy_j(self.engine)

    def viewer(self) -> Viewer:
        """Somebody who watches centre 0 from now on."""
        from gymbal_envs.tasks.centre_viewer import CentreViewer

        return CentreViewer(self)

    def _carry_out(self, decision: PlacementOrders) -> None:
        self.engine.step(decision)

    def _terms(self) -> dict[str, Floats]:
        return placement_terms(self.engine)

    def _new_history(self) -> NoHistory:
        return NoHistory()
