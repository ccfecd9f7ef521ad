"""The batched engine: B worlds, one set of tables, one kernel. A single host is B = 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.loading import write_scenario
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_envs.simulator.readings import read_telemetry
from gymbal_envs.simulator.transition import initial, transition
from gymbal_envs.simulator.whole_host import NUM_ACTIVE
from gymbal_envs.simulator.work_sharing import WorkSharing
from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]

_COPIED = (
    "world_vm", "world_host", "curve", "programs", "active", "vm", "host", "pending", "visible",
    "demand", "streams",
)  # fmt: skip


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
        self.programs = np.zeros((b, v, at.NUM_PHASES, NUM_ACTIVE))
        self.active = np.zeros((b, v, NUM_ACTIVE))
        self.told = np.full((b, at.NUM_TOLD, v), np.nan)
        self.demand = np.zeros((b, num_knots, at.NUM_DEMAND, v), dtype=np.float32)
        self.vm = np.zeros((b, at.NUM_VM, v))
        self.host = np.zeros((b, at.NUM_HOST))
        self.pending = np.full((b, at.NUM_SENSED, v), np.nan)
        self.visible = np.full((b, at.NUM_SENSED, v), np.nan)
        self.outcome = np.zeros((b, at.NUM_OUTCOME, v))
        self.streams = np.zeros(b, dtype=np.uint64)
        self.work = WorkSharing(b, num_threads)

    def load(self, worlds: Sequence[int], scenarios: Sequence[Scenario]) -> None:
        """Start the given worlds on new scenarios.

        Raises:
            ScenarioError: if a scenario has more VM slots or knots than the engine.
        """
        for w, scenario in zip(worlds, scenarios, strict=True):
            write_scenario(self, w, scenario)
            initial(
                w, self.world_vm, self.world_host, self.curve, self.programs, self.active,
                self.constants, self.demand, self.vm, self.host, self.pending, self.visible,
                self.outcome, self.streams,
            )  # fmt: skip

    def step(self, command: Command, num_ticks: int | None = None) -> None:
        """Carry out a command for (B, V) VMs and advance, by default one interval.

        What the hardware cannot do (see `gymbal_envs.simulator.partition`) is left undone.
        """
        self.tell(command)
        ticks = self.params.clock.ticks_per_decision if num_ticks is None else num_ticks
        self.work.run(lambda first, last: self._advance(first, last, ticks))

    def tell(self, command: Command) -> None:
        """Note what a command says; it is carried out when time goes on."""
        targets = command.balloon_bytes
        np.copyto(self.vm[:, at.TARGET], targets, where=~np.isnan(targets))
        told = (
            (at.TOLD_CLASS, command.llc_class),
            (at.TOLD_UNITS, command.llc_units),
            (at.TOLD_WEIGHT, command.cpu_weight),
            (at.TOLD_MODE, command.device_mode),
            (at.TOLD_LEVEL, command.monitor_level),
        )
        if self.world_host[:, at.WHOLE].any():  # nobody else obeys it
            for row, said in told:
                self.told[:, row] = np.nan if said is None else said

    def _advance(self, first: int, last: int, ticks: int) -> None:
        transition(
            first, last, ticks, self.world_vm, self.world_host, self.curve, self.programs,
            self.active, self.constants, self.demand, self.told, self.vm, self.host, self.pending,
            self.visible, self.outcome, self.streams,
        )  # fmt: skip

    def telemetry(self) -> Telemetry:
        """What the hosts' sensors show now."""
        return read_telemetry(self)

    def copy_worlds(self, source: Engine, origin: NDArray[np.int64]) -> None:
        """Make world i the exact twin of ``source``'s world ``origin[i]``, to look ahead."""
        for table in _COPIED:
            np.take(getattr(source, table), origin, axis=0, out=getattr(self, table))
