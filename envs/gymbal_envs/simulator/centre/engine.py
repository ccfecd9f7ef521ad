"""The batched engine of data centres: C centres of H hosts and V VMs, one kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.loading import write_centre
from gymbal_envs.simulator.centre.params import CentreParams, centre_physics
from gymbal_envs.simulator.centre.readings import MEASURED, measured, read_centre
from gymbal_envs.simulator.centre.tables import Tables
from gymbal_envs.simulator.centre.transition import advance_centres, begin_centre
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_envs.simulator.whole_host import NUM_ACTIVE
from gymbal_envs.simulator.work_sharing import WorkSharing
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import CURVE_POINTS, HISTORY, CentreTelemetry

Floats = NDArray[np.float64]


class CentreEngine:
    """C independent data centres of up to H hosts and V VMs each, advanced together.

    Deterministic, and without chance: what happens in a centre depends on its scenario and its
    orders alone, not on C, on its place in the batch, or on the number of threads.

    Args:
        num_centres: C.
        num_hosts: H, places for hosts of each centre.
        num_vms: V, places for VMs of each centre.
        num_knots: demand knots of the longest scenario that will be loaded.
        physics: the clocks, ``knot_s``, and cache and devices where VMs run programs.
        params: physical constants of moves.
        num_threads: threads that share the centres.
    """

    def __init__(
        self,
        num_centres: int,
        num_hosts: int,
        num_vms: int,
        num_knots: int,
        physics: PhysicsParams | None = None,
        params: CentreParams | None = None,
        num_threads: int = 1,
    ) -> None:
        self.physics = physics or centre_physics()
        self.params = params or CentreParams()
        self.num_centres, self.num_hosts, self.num_vms = num_centres, num_hosts, num_vms
        self.num_knots = num_knots
        c, h, v = num_centres, num_hosts, num_vms
        self.constants = self.params.constants(self.physics)
        self.plan = np.zeros((c, mig.NUM_PLAN))
        self.world = np.zeros((c, at.NUM_WORLD))
        self.world_host = np.zeros((c, at.NUM_WORLD_HOST, h))
        self.curve = np.zeros((c, h, CURVE_POINTS))
        self.world_vm = np.zeros((c, at.NUM_WORLD_VM, v))
        self.demand = np.zeros((c, num_knots, v), dtype=np.float32)
        self.dirty = np.zeros((c, v, mig.NUM_GROUPS, mig.NUM_DIRTY))
        self.move = np.zeros((c, v, mig.NUM_STATE))
        self.host = np.zeros((c, at.NUM_HOST, h))
        self.vm = np.zeros((c, at.NUM_VM, v))
        self.history = np.full((c, v, HISTORY), np.nan)
        self.outcome = np.zeros((c, at.NUM_OUTCOME, v))
        self.host_outcome = np.zeros((c, at.NUM_HOST_OUTCOME, h))
        self.host_constants = self.physics.constants()
        self.program = np.zeros((c, 0, NUM_ACTIVE))
        self.sharing = np.zeros((c, at.NUM_SHARING, 0))
        self._tables = self._all_tables()
        self.work = WorkSharing(c, num_threads, h)

    def load(self, which: Sequence[int], scenarios: Sequence[CentreScenario]) -> None:
        """Start the given centres on new scenarios.

        Raises:
            ScenarioError: a scenario has more hosts, VMs or knots than the engine, or other knots.
        """
        if any(scenario.programs is not None for scenario in scenarios):
            self._take_programs()
        for c, scenario in zip(which, scenarios, strict=True):
            write_centre(self, c, scenario)
            begin_centre(self._tables, c)

    def step(self, orders: CentreOrders, num_ticks: int | None = None) -> None:
        """Carry out orders and advance, by default one interval.

        What cannot be done is refused and counted.

        Raises:
            ValueError: the orders do not fit the centres.
        """
        orders.check((self.num_centres, self.num_hosts, self.num_vms))
        target, power = orders.target.astype(np.int64), orders.power.astype(np.int64)
        ticks = self.physics.clock.ticks_per_decision if num_ticks is None else num_ticks
        if ticks < 1:
            raise ValueError(f"num_ticks ({ticks}) must be at least 1")
        self.work.run(
            lambda first, last: advance_centres(first, last, ticks, self._tables, target, power)
        )

    def _all_tables(self) -> Tables:
        return Tables(**{name: getattr(self, name) for name in Tables._fields})

    def _take_programs(self) -> None:
        """Make room for what VMs run, which most centres do not say."""
        if self.program.shape[1] == 0:
            self.program = np.zeros((self.num_centres, self.num_vms, NUM_ACTIVE))
            self.sharing = np.zeros((self.num_centres, at.NUM_SHARING, self.num_vms))
            self._tables = self._all_tables()

    def telemetry(self) -> CentreTelemetry:
        """What the centres report now."""
        return read_centre(self)

    def measured(self, names: Iterable[str] = MEASURED) -> dict[str, Floats]:
        """What happened in the last interval, one number per centre; see `readings.measured`."""
        return measured(self, names)

    def copy_centres(self, source: CentreEngine, origin: NDArray[np.int64]) -> None:
        """Make centre i the exact twin of ``source``'s centre ``origin[i]``, to look ahead."""
        if source.program.shape[1] > 0:
            self._take_programs()
        for name in Tables._fields:
            if name not in ("constants", "host_constants"):
                np.take(getattr(source, name), origin, axis=0, out=getattr(self, name))
