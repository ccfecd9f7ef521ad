"""An oracle of placement: every candidate tried in copies that know how long everybody stays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.centre_twins import CentreTwins
from gymbal_envs.tasks.placement_worlds import PlacementWorlds
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.placement.codec import WAIT
from gymbal_runtime.placement.heuristics import PlacementRule
from gymbal_runtime.placement.orders import PlacementOrders
from gymbal_runtime.telemetry import Bools

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

MOST_COPIES = 128
"""Copies that are played side by side."""


@dataclass
class PlacementOracle:
    """Gives each VM of the queue, one after the other, the candidate that costs least in copies.

    It knows true programs and true lifetimes, and nothing of who comes later (`CentreTwins`): a
    strong bound for what can be known of the present, no proven optimum. Sleeping hosts are woken
    and put to sleep as by every rule.

    Attributes:
        worlds: to copy.
        horizon: decisions until a copy ends.
        discount: of what comes later, per decision.
    """

    worlds: PlacementWorlds
    horizon: int = 12
    discount: float = 0.95
    name: str = "oracle"
    _base: PlacementRule = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._base = self.worlds.config.base_agent()

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget since when hosts of the marked centres are empty."""
        self._base.reset(num_worlds, num_vms, worlds)

    def act(self, telemetry: CentreTelemetry) -> PlacementOrders:
        """A host for every VM at the head of the queue."""
        base, codec = self._base.act(telemetry), self.worlds.codec
        choices = codec.choices(telemetry, base)
        picked = choices.proposed.copy()
        for k in range(picked.shape[1]):
            which, choice = np.nonzero(choices.mask[:, k])
            tried = (choice != WAIT) & (choices.mask[which, k].sum(axis=1) > 2)
            if not tried.any():
                continue
            which, choice = which[tried], choice[tried]
            action = picked[which].copy()
            action[:, k], action[:, k + 1 :] = choice, WAIT  # who comes later comes later
            value = np.full(choices.mask[:, k].shape, -np.inf)
            value[which, choice] = tried_in_copies(
                self.worlds, telemetry, base, which, action, self.horizon, self.discount
            )
            best = value.argmax(axis=1)
            picked[:, k] = np.where(np.isfinite(value.max(axis=1)), best, picked[:, k])
        return codec.decode(picked, telemetry, base)


def tried_in_copies(
    worlds: PlacementWorlds,
    telemetry: CentreTelemetry,
    base: PlacementOrders,
    origin: Places,
    action: Places,
    horizon: int,
    discount: float,
) -> Floats:
    """What actions are worth in copies in which nobody else comes, (N,).

    Args:
        worlds: to copy.
        telemetry: their record.
        base: what the rule proposes for it.
        origin: (N,) centre that each copy is of.
        action: (N, M) choices in it.
        horizon: decisions until a copy ends.
        discount: per decision.
    """
    values = [np.zeros(0)]
    for first in range(0, origin.size, MOST_COPIES):
        some = origin[first : first + MOST_COPIES]
        record = telemetry.take_centres(some)
        told = PlacementOrders(
            base.target[some], base.power[some], base.chosen[some], base.due[some]
        )
        orders = worlds.codec.decode(action[first : first + MOST_COPIES], record, told)
        twins = CentreTwins(worlds, some.size)
        twins.follow(worlds, some)
        values.append(twins.worth(orders, horizon, discount))
    return np.concatenate(values)
