"""Exact copies of data centres, to try choices in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.centre.readings import measured
from gymbal_envs.tasks.placement_worlds import PlacementWorlds
from gymbal_runtime.centre.orders import LEAVE
from gymbal_runtime.placement.orders import PlacementOrders

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_LOST = ("wanted_weight", "got_weight", "cache_weight", "io_weight", "waking_weight")


class CentreTwins:
    """N copies of data centres in which VMs are placed, and nobody else comes.

    VMs stay and leave as they will in truth, but who comes later finds no host. So no rule has to
    be asked in the copies, and what a choice does to those who are there is seen without what
    chance does later; that the room may be needed then is not seen.

    Args:
        like: centres of the same shape and task.
        count: N.
        num_threads: of the engine.
    """

    def __init__(self, like: PlacementWorlds, count: int, num_threads: int = 1) -> None:
        engine, task = like.engine, like.config
        sizes = (engine.num_hosts, engine.num_vms, engine.num_knots)
        self.engine = CentreEngine(count, *sizes, task.physics, engine.params, num_threads)
        self.weights = task.weights
        self.count = count

    def follow(self, source: PlacementWorlds, origin: Places) -> None:
        """Make copy i the exact twin of the source's centre ``origin[i]``, (N,)."""
        self.engine.copy_centres(source.engine, origin)

    def worth(self, orders: PlacementOrders, horizon: int, discount: float) -> Floats:
        """Discounted reward of each copy, (N,), if VMs run where they were told and nobody comes.

        A host without a VM counts as one that sleeps. Slowdown is a part of what VMs wanted in the
        first interval, whoever leaves later.

        Args:
            orders: for all copies; a VM whose host wakes starts as soon as it is on.
            horizon: decisions until a copy ends.
            discount: of what comes later, per decision.
        """
        hosts = np.maximum((self.engine.world_host[:, 0] > 0).sum(axis=1), 1)
        again = replace(orders, target=orders.chosen, power=np.full_like(orders.power, LEAVE))
        value, weight, whole = np.zeros(self.count), 1.0, np.zeros(0)
        for step in range(horizon):
            self.engine.step(again if step else orders)
            sums = measured(self.engine, (*_LOST, "active_hosts"))
            missing = sums["wanted_weight"] - sums["got_weight"]  # who waits misses all of it
            lost = missing + sums["cache_weight"] + sums["io_weight"] + sums["waking_weight"]
            whole = np.maximum(sums["wanted_weight"], 1e-12) if step == 0 else whole
            cost = self.weights.slowdown * lost / whole
            cost = cost + self.weights.hosts_on * sums["active_hosts"] / hosts
            value -= weight * cost
            weight *= discount
        return value
