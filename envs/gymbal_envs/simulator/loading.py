"""From a scenario to the engine's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cache import CURVE, FILL, fill_instructions

if TYPE_CHECKING:
    from gymbal_envs.simulator.engine import Engine


def write_scenario(engine: Engine, w: int, scenario: Scenario) -> None:
    """Fill world ``w``'s rows of every table that does not change during an episode.

    Raises:
        ScenarioError: if the scenario has more VM slots or knots than the engine, or other knots.
    """
    knots, v = scenario.num_knots, scenario.num_vms
    if v > engine.num_vms or knots > engine.num_knots:
        raise ScenarioError(
            f"{scenario.name}: {v} VM slots and {knots} knots do not fit an engine of "
            f"{engine.num_vms} slots and {engine.num_knots} knots"
        )
    if scenario.knot_s != engine.params.knot_s:
        raise ScenarioError(
            f"{scenario.name}: demand knots are {scenario.knot_s} s apart, the engine's knot_s "
            f"is {engine.params.knot_s}: set scenario.fleet.knot_s and physics.knot_s alike"
        )
    rows = engine.world_vm[w]
    rows[:] = 0.0
    columns = {
        at.PRESENT: scenario.present,
        at.SHARES: scenario.shares,
        at.MEMORY_MAX: scenario.memory_max_bytes,
        at.MEMORY_MIN: scenario.memory_min_bytes,
        at.KERNEL: scenario.kernel_bytes,
        at.UNSWAPPABLE: scenario.unswappable_frac,
        at.TOUCH_RATE: scenario.touch_rate,
        at.DIRTY_FRAC: scenario.dirty_frac,
        at.OVERLAP: scenario.overlap,
        at.VCPUS: scenario.vcpus,
        at.MONITOR: scenario.monitor,
        at.CAP: scenario.vcpus,
    }
    _write_columns(rows, columns, scenario.present)
    rows[at.OVERLAP] = np.maximum(rows[at.OVERLAP], 1.0)
    tier = scenario.tier
    engine.world_host[w] = 0.0
    engine.world_host[w, : at.WHOLE] = (
        scenario.capacity_bytes, scenario.cpu_cores, tier.latency_s, tier.servers,
        tier.read_bytes_s, tier.write_bytes_s, tier.cluster_pages, tier.useful_pages,
        tier.pool_frac, tier.pool_limit_frac,
    )  # fmt: skip
    engine.curve[w] = 0.0
    engine.curve[w, :v] = scenario.curve
    demand = engine.demand[w]
    demand[:] = 0.0
    demand[:knots, at.WANT_WORKING_SET, :v] = scenario.working_set_bytes
    demand[:knots, at.WANT_FOOTPRINT, :v] = scenario.footprint_bytes
    demand[:knots, at.WANT_CORES, :v] = scenario.cores
    if scenario.resources is not None:
        demand[:knots, at.WANT_IO, :v] = scenario.resources.io_bytes_s
        demand[:knots, at.WANT_PHASE, :v] = scenario.resources.phase
        _write_resources(engine, w, scenario.resources, scenario.present)
    demand[knots:] = demand[knots - 1]  # after its end, demand stays as it was
    engine.vm[w, at.TARGET] = 0.0
    engine.vm[w, at.TARGET, :v] = np.where(scenario.present, scenario.initial_bytes, 0.0)
    engine.streams[w] = np.uint64(scenario.seed & 0xFFFFFFFFFFFFFFFF)


def _write_resources(engine: Engine, w: int, resources: Resources, present: np.ndarray) -> None:
    v = resources.num_vms
    engine.world_host[w, at.WHOLE :] = (
        1.0, resources.llc_bytes, resources.llc_units if resources.llc_bytes > 0 else 0.0,
        resources.llc_classes, resources.llc_min_units, resources.llc_recolours,
        resources.memory_bandwidth_bytes_s, resources.frequency_hz, resources.device_bytes_s,
        resources.device_slots, resources.cpu_slice_s,
    )  # fmt: skip
    columns = {
        at.CAP: resources.cap_cores,
        at.WAKEUPS: resources.wakeups,
        at.IO_WEIGHT: resources.io_weight,
        at.RECOLOUR_FRAC: resources.recolour_frac,
        at.HINT_SLOWDOWN: resources.hint_slowdown,
        at.HINT_FOOTPRINT: resources.hint_footprint_bytes,
    }
    _write_columns(engine.world_vm[w], columns, present)
    if resources.llc_bytes <= 0:
        return
    programs = engine.programs[w]
    programs[:] = 0.0
    programs[:v, :, at.CPI_BASE] = resources.cpi_base
    programs[:v, :, at.PENALTY] = resources.penalty_cycles
    programs[:v, :, CURVE:FILL] = resources.mpi
    segment = resources.llc_bytes / at.NUM_LLC_SEGMENTS
    for vm in np.flatnonzero(present):
        for phase in range(at.NUM_PHASES):
            fill_instructions(resources.mpi[vm, phase], segment, programs[vm, phase, FILL:])


def _write_columns(
    rows: np.ndarray, columns: Mapping[int, np.ndarray], present: NDArray[np.bool_]
) -> None:
    """Rows by number from (V,) values, 0 where no VM is."""
    for row, values in columns.items():
        rows[row, : present.size] = np.where(present, values, 0.0)
