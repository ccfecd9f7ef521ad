"""The batched engine: B worlds, one set of tables, one kernel. A single host is B = 1."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_envs.simulator.transition import initial, transition
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]

_WORLDS_PER_THREAD = 64
"""Below this, waking a second thread costs more than it brings."""


class Engine:
    """B independent hosts with up to V VMs each, advanced together.

    Deterministic: a world's bytes depend on its scenario and its targets alone, not on B, on its
    place in the batch, or on the number of threads.

    Args:
        num_worlds: B.
        num_vms: V, slots of each host.
        num_knots: demand knots of the longest scenario that will be loaded.
        params: physical constants.
        num_threads: threads that share the worlds.
    """

    def __init__(
        self,
        num_worlds: int,
        num_vms: int,
        num_knots: int,
        params: PhysicsParams | None = None,
        num_threads: int = 1,
    ) -> None:
        self.params = params or PhysicsParams()
        self.num_worlds, self.num_vms, self.num_knots = num_worlds, num_vms, num_knots
        b, v = num_worlds, num_vms
        self.constants = self.params.constants()
        self.world_vm = np.zeros((b, at.NUM_WORLD_VM, v))
        self.world_host = np.zeros((b, at.NUM_WORLD_HOST))
        self.curve = np.zeros((b, v, NUM_CURVE_SEGMENTS + 1))
        self.demand = np.zeros((b, num_knots, at.NUM_DEMAND, v), dtype=np.float32)
        self.vm = np.zeros((b, at.NUM_VM, v))
        self.host = np.zeros((b, at.NUM_HOST))
        self.pending = np.full((b, at.NUM_SENSED, v), np.nan)
        self.visible = np.full((b, at.NUM_SENSED, v), np.nan)
        self.outcome = np.zeros((b, at.NUM_OUTCOME, v))
        self.streams = np.zeros(b, dtype=np.uint64)
        self._threads = max(1, min(num_threads, b // _WORLDS_PER_THREAD))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    def load(self, worlds: Sequence[int], scenarios: Sequence[Scenario]) -> None:
        """Start the given worlds on new scenarios.

        Raises:
            ScenarioError: if a scenario has more VM slots or knots than the engine.
        """
        for w, scenario in zip(worlds, scenarios, strict=True):
            self._write(w, scenario)
            initial(
                w, self.world_vm, self.world_host, self.curve, self.constants, self.demand,
                self.vm, self.host, self.pending, self.visible, self.streams,
            )  # fmt: skip
            self.outcome[w] = 0.0

    def step(self, targets: Floats, num_ticks: int | None = None) -> None:
        """Set balloon targets (B, V) bytes (NaN = leave) and advance, by default one interval."""
        rows = self.vm[:, at.TARGET]
        np.copyto(rows, targets, where=~np.isnan(targets))
        ticks = self.params.clock.ticks_per_decision if num_ticks is None else num_ticks
        if self._pool is None:
            self._advance(0, self.num_worlds, ticks)
            return
        edges = np.linspace(0, self.num_worlds, self._threads + 1).astype(int)
        jobs = [
            self._pool.submit(self._advance, int(lo), int(hi), ticks) for lo, hi in pairwise(edges)
        ]
        for job in jobs:
            job.result()

    def _advance(self, first: int, last: int, ticks: int) -> None:
        transition(
            first, last, ticks, self.world_vm, self.world_host, self.curve, self.constants,
            self.demand, self.vm, self.host, self.pending, self.visible, self.outcome, self.streams,
        )  # fmt: skip

    def telemetry(self) -> Telemetry:
        """What the hosts' sensors show now."""
        now = self.host[:, at.TICK] * self.params.clock.tick_s
        seen = self.visible
        return Telemetry(
            time_s=now,
            age_s=now - self.host[:, at.SAMPLED_AT],
            budget_bytes=self.world_host[:, at.CAPACITY].copy(),
            swap_latency_s=self.host[:, at.VISIBLE_WAIT].copy(),
            present=self.world_vm[:, at.PRESENT] > 0,
            shares=self.world_vm[:, at.SHARES].copy(),
            memory_max_bytes=self.world_vm[:, at.MEMORY_MAX].copy(),
            memory_min_bytes=self.world_vm[:, at.MEMORY_MIN].copy(),
            actual_bytes=seen[:, at.SENSED_ACTUAL].copy(),
            usable_bytes=seen[:, at.SENSED_USABLE].copy(),
            swap_in_rate=seen[:, at.SENSED_IN].copy(),
            swap_out_rate=seen[:, at.SENSED_OUT].copy(),
            swap_used_bytes=seen[:, at.SENSED_SWAPPED].copy(),
            major_fault_rate=seen[:, at.SENSED_FAULTS].copy(),
            cpu_cores=seen[:, at.SENSED_CPU].copy(),
            steal_frac=seen[:, at.SENSED_STEAL].copy(),
            psi_some_frac=seen[:, at.SENSED_PSI].copy(),
            active_bytes=seen[:, at.SENSED_ACTIVE].copy(),
            lru_hit_rate=np.ascontiguousarray(
                seen[:, at.SENSED_LRU : at.SENSED_LRU + at.NUM_SLICES].transpose(0, 2, 1)
            ),
        )

    def copy_worlds(self, source: Engine, origin: NDArray[np.int64]) -> None:
        """Make world i the exact twin of ``source``'s world ``origin[i]``, to look ahead."""
        for table in ("world_vm", "world_host", "curve", "vm", "host", "pending", "visible"):
            np.take(getattr(source, table), origin, axis=0, out=getattr(self, table))
        np.take(source.demand, origin, axis=0, out=self.demand)
        np.take(source.streams, origin, axis=0, out=self.streams)

    def _write(self, w: int, scenario: Scenario) -> None:
        knots, v = scenario.num_knots, scenario.num_vms
        if v > self.num_vms or knots > self.num_knots:
            raise ScenarioError(
                f"{scenario.name}: {v} VM slots and {knots} knots do not fit an engine of "
                f"{self.num_vms} slots and {self.num_knots} knots"
            )
        if scenario.knot_s != self.params.knot_s:
            raise ScenarioError(
                f"{scenario.name}: demand knots are {scenario.knot_s} s apart, the engine's knot_s "
                f"is {self.params.knot_s}: set scenario.fleet.knot_s and physics.knot_s alike"
            )
        rows = self.world_vm[w]
        rows[:] = 0.0
        for row, values in (
            (at.PRESENT, scenario.present),
            (at.SHARES, scenario.shares),
            (at.MEMORY_MAX, scenario.memory_max_bytes),
            (at.MEMORY_MIN, scenario.memory_min_bytes),
            (at.KERNEL, scenario.kernel_bytes),
            (at.UNSWAPPABLE, scenario.unswappable_frac),
            (at.TOUCH_RATE, scenario.touch_rate),
            (at.DIRTY_FRAC, scenario.dirty_frac),
            (at.OVERLAP, scenario.overlap),
            (at.VCPUS, scenario.vcpus),
            (at.MONITOR, scenario.monitor),
        ):
            rows[row, :v] = values
        rows[:, :v] *= scenario.present
        rows[at.OVERLAP] = np.maximum(rows[at.OVERLAP], 1.0)
        tier = scenario.tier
        self.world_host[w] = (
            scenario.capacity_bytes, scenario.cpu_cores, tier.latency_s, tier.servers,
            tier.read_bytes_s, tier.write_bytes_s, tier.cluster_pages, tier.useful_pages,
            tier.pool_frac, tier.pool_limit_frac,
        )  # fmt: skip
        self.curve[w] = 0.0
        self.curve[w, :v] = scenario.curve
        demand = self.demand[w]
        demand[:] = 0.0
        demand[:knots, at.WANT_WORKING_SET, :v] = scenario.working_set_bytes
        demand[:knots, at.WANT_FOOTPRINT, :v] = scenario.footprint_bytes
        demand[:knots, at.WANT_CORES, :v] = scenario.cores
        demand[knots:] = demand[knots - 1]  # after its end, demand stays as it was
        self.vm[w, at.TARGET] = 0.0
        self.vm[w, at.TARGET, :v] = np.where(scenario.present, scenario.initial_bytes, 0.0)
        self.streams[w] = np.uint64(scenario.seed & 0xFFFFFFFFFFFFFFFF)
