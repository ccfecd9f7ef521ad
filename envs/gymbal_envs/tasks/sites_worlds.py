"""Moves between sites, for B pairs of sites at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_envs.tasks.batch import Worlds, WorldShape
from gymbal_envs.tasks.config import SitesSettings, TaskConfig
from gymbal_envs.tasks.recording import Viewer
from gymbal_envs.tasks.sites_terms import sites_measures, sites_terms
from gymbal_runtime.sites.codec import SitesCodec
from gymbal_runtime.sites.orders import NUM_VERBS, SitesOrders
from gymbal_runtime.sites.rows import SitesHistory
from gymbal_runtime.sites.telemetry import SitesTelemetry
from gymbal_runtime.tasks import SITES

Floats = NDArray[np.float64]


class SitesWorlds(Worlds[SitesTelemetry, SitesOrders]):
    """B pairs of sites whose VMs are moved by actions (a verb for each) or by `SitesOrders`.

    Its arguments are those of `Worlds`.
    """

    TASK = SITES

    engine: SitesEngine
    codec: SitesCodec
    history: SitesHistory

    def _open(self, num_threads: int) -> None:
        settings = self.config.sites or SitesSettings()
        sizes = (self.num_worlds, self.num_vms, self.shape.num_knots)
        self.engine = SitesEngine(*sizes, self.config.physics, settings.params, num_threads)

    @staticmethod
    def spaces_of(
        config: TaskConfig, shape: WorldShape
    ) -> tuple[spaces.Dict, spaces.MultiDiscrete]:
        """Observation and action space of one world."""
        codec: SitesCodec = config.codec
        slots = shape.num_vms
        low, high = codec.bounds()["vms"]
        observed = spaces.Dict(
            {
                "vms": spaces.Box(np.tile(low, (slots, 1)), np.tile(high, (slots, 1))),
                "host": spaces.Box(*codec.bounds()["host"]),
                "present": spaces.Box(0.0, 1.0, (slots,)),
                "proposed": spaces.Box(0.0, float(NUM_VERBS - 1), (slots,)),
                "mask": spaces.Box(0.0, 1.0, (slots, NUM_VERBS)),
            }
        )
        return observed, spaces.MultiDiscrete(np.full(slots, NUM_VERBS))

    def action_masks(self) -> NDArray[np.bool_]:
        """Verbs that may be chosen in the present state, (B, V, NUM_VERBS)."""
        return self.codec.mask(self.telemetry, self.base if self.propose else None)

    def decision(self, action: NDArray[Any]) -> SitesOrders:
        """Verbs (B, V) as orders; what may not be chosen counts as CONTINUE."""
        base = self.base if self.propose else None
        return self.codec.decode(action, self.telemetry, base)

    def measured(self) -> dict[str, Floats]:
        """Causes of lost progress, who has arrived, traffic, refused orders."""
        return sites_measures(self.engine)

    def viewer(self) -> Viewer:
        """Somebody who watches world 0 from now on."""
        from gymbal_envs.tasks.sites_viewer import SitesViewer

        return SitesViewer(self)

    def _carry_out(self, decision: SitesOrders) -> None:
        self.engine.step(decision)

    def _terms(self) -> dict[str, Floats]:
        return sites_terms(self.engine)

    def _new_history(self) -> SitesHistory:
        return self.codec.initial_history(self.num_worlds, self.num_vms)
