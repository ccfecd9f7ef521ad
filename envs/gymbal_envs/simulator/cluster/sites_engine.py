"""The batched engine of moves between sites: B pairs of data centres, one kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.sites_scenario import SitesScenario
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_params import SitesParams
from gymbal_envs.simulator.cluster.sites_readings import read_sites
from gymbal_envs.simulator.cluster.sites_transition import initial, transition
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_envs.simulator.work_sharing import WorkSharing
from gymbal_runtime.sites.orders import SitesOrders
from gymbal_runtime.sites.telemetry import SitesTelemetry

Floats = NDArray[np.float64]

_COPIED = (
    "world", "world_vm", "dirty", "demand", "background", "plan", "move", "vm", "link", "outcome",
    "streams",
)  # fmt: skip


class SitesEngine:
    """B independent pairs of sites with up to V VMs to move each, advanced together.

    Deterministic: what happens in a world depends on its scenario and its orders alone, not on B,
    on its place in the batch, or on the number of threads.

    Args:
        num_worlds: B.
        num_vms: V, slots.
        num_knots: demand knots of the longest scenario that will be loaded.
        physics: the clocks; the rest of it is not used.
        params: physical constants of moves between sites.
        num_threads: threads that share the worlds.
    """

    def __init__(
        self,
        num_worlds: int,
        num_vms: int,
        num_knots: int,
        physics: PhysicsParams | None = None,
        params: SitesParams | None = None,
        num_threads: int = 1,
    ) -> None:
        self.physics = physics or PhysicsParams()
        self.params = params or SitesParams()
        self.num_worlds, self.num_vms, self.num_knots = num_worlds, num_vms, num_knots
        b, v = num_worlds, num_vms
        self.constants = self.params.constants(self.physics)
        self.plans = self.params.plans()
        self.world = np.zeros((b, at.NUM_WORLD))
        self.world_vm = np.zeros((b, at.NUM_WORLD_VM, v))
        self.dirty = np.zeros((b, v, mig.NUM_GROUPS, mig.NUM_DIRTY))
        self.demand = np.zeros((b, num_knots, v), dtype=np.float32)
        self.background = np.zeros((b, num_knots), dtype=np.float32)
        self.plan = np.zeros((b, v, mig.NUM_PLAN))
        self.move = np.zeros((b, v, mig.NUM_STATE))
        self.vm = np.zeros((b, at.NUM_VM, v))
        self.link = np.zeros((b, at.NUM_LINK))
        self.outcome = np.zeros((b, at.NUM_OUTCOME, v))
        self.streams = np.zeros(b, dtype=np.uint64)
        self.work = WorkSharing(b, num_threads)

    def load(self, worlds: Sequence[int], scenarios: Sequence[SitesScenario]) -> None:
        """Start the given worlds on new scenarios.

        Raises:
            ScenarioError: if a scenario has more VM slots or knots than the engine, or other knots.
        """
        for w, scenario in zip(worlds, scenarios, strict=True):
            self._write(w, scenario)
            initial(
                w, self.world, self.world_vm, self.dirty, self.constants, self.demand,
                self.background, self.move, self.vm, self.link, self.outcome, self.streams,
            )  # fmt: skip

    def step(self, orders: SitesOrders, num_ticks: int | None = None) -> None:
        """Carry out orders for (B, V) VMs and advance, by default one interval.

        Raises:
            ValueError: the orders do not fit the worlds.
        """
        orders.check((self.num_worlds, self.num_vms))
        verb, rule = orders.verb.astype(np.int64), orders.stop_rule.astype(np.int64)
        ticks = self.physics.clock.ticks_per_decision if num_ticks is None else num_ticks
        self.work.run(lambda first, last: self._advance(first, last, ticks, verb, rule))

    def _advance(
        self,
        first: int,
        last: int,
        ticks: int,
        verb: NDArray[np.int64],
        rule: NDArray[np.int64],
    ) -> None:
        transition(
            first, last, ticks, self.world, self.world_vm, self.dirty, self.plans, self.constants,
            self.demand, self.background, verb, rule, self.plan, self.move, self.vm, self.link,
            self.outcome, self.streams,
        )  # fmt: skip

    def telemetry(self) -> SitesTelemetry:
        """What an operator sees now."""
        return read_sites(self)

    def copy_worlds(self, source: SitesEngine, origin: NDArray[np.int64]) -> None:
        """Make world i the exact twin of ``source``'s world ``origin[i]``, to look ahead."""
        for table in _COPIED:
            np.take(getattr(source, table), origin, axis=0, out=getattr(self, table))

    def _write(self, w: int, scenario: SitesScenario) -> None:
        """Fill world ``w``'s rows of every table that does not change during an episode."""
        knots, v = scenario.num_knots, scenario.num_vms
        if v > self.num_vms or knots > self.num_knots:
            raise ScenarioError(
                f"{scenario.name}: {v} VM slots and {knots} knots do not fit an engine of "
                f"{self.num_vms} slots and {self.num_knots} knots"
            )
        if scenario.knot_s != self.physics.knot_s:
            raise ScenarioError(
                f"{scenario.name}: demand knots are {scenario.knot_s} s apart, the engine's knot_s "
                f"is {self.physics.knot_s}: set both alike"
            )
        self.world[w] = (
            scenario.wan.bytes_s, scenario.wan.rtt_s, scenario.wan.flow_limit_bytes_s,
            scenario.deadline_s,
        )  # fmt: skip
        rows = self.world_vm[w]
        rows[:] = 0.0
        for row, name in _COLUMNS.items():
            rows[row, :v] = np.where(scenario.present, getattr(scenario, name), 0.0)
        self.dirty[w] = 0.0
        self.dirty[w, :v] = np.where(scenario.present[:, None, None], scenario.dirty, 0.0)
        self.demand[w] = 0.0
        self.demand[w, :knots, :v] = scenario.activity
        self.demand[w, knots:] = self.demand[w, knots - 1]  # after its end, as it was
        self.background[w, :knots] = scenario.background
        self.background[w, knots:] = scenario.background[-1]
        self.streams[w] = np.uint64(scenario.seed & 0xFFFFFFFFFFFFFFFF)


_COLUMNS = {
    at.PRESENT: "present",
    at.SHARES: "shares",
    at.AWAY_COST: "away_cost",
    at.VCPUS: "vcpus",
    at.MEMORY: "memory_bytes",
    at.DISK: "disk_bytes",
    at.WRITE_RATE: "write_bytes_s",
    at.WRITE_SET: "write_set_bytes",
    at.COMMITS: "commit_rate",
    at.MEMORY_REDUNDANCY: "memory_redundancy",
    at.DISK_REDUNDANCY: "disk_redundancy",
    at.MEMORY_HINT: "memory_hint",
    at.DISK_HINT: "disk_hint",
}
