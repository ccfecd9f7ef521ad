"""From a scenario of a data centre to the engine's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cache import CURVE, FILL, fill_instructions
from gymbal_envs.simulator.centre import layout as at
from gymbal_runtime.centre.telemetry import ASLEEP, ON

if TYPE_CHECKING:
    from gymbal_envs.simulator.centre.engine import CentreEngine

_HOST_COLUMNS = {
    at.CPU: "cpu_mips",
    at.CORE: "core_mips",
    at.MEMORY: "memory_bytes",
    at.NIC: "nic_bytes_s",
    at.SLEEP_W: "sleep_w",
    at.SUSPEND_S: "suspend_s",
    at.WAKE_S: "wake_s",
    at.WAKE_W: "wake_w",
}
_VM_COLUMNS = {
    at.SPEED: "vm_mips",
    at.VCPUS: "vcpus",
    at.VM_MEMORY: "vm_memory_bytes",
    at.SHARES: "shares",
    at.ARRIVES_S: "arrive_s",
    at.LEAVES_S: "leave_s",
}
_PROGRAM_COLUMNS = {
    at.IO_FULL: "io_bytes_s",
    at.IO_NEED: "io_weight",
    at.WAKE_UPS: "wakeups",
    at.HINT_SLOWDOWN: "hint_slowdown",
    at.HINT_TRAFFIC: "hint_traffic_bytes_s",
    at.HINT_CACHE: "hint_cache_bytes",
}
_NEVER = {at.ARRIVES_S: np.inf, at.LEAVES_S: np.inf}


def write_centre(engine: CentreEngine, c: int, scenario: CentreScenario) -> None:
    """Fill centre ``c``'s rows of every table; what is left of an earlier episode goes.

    Raises:
        ScenarioError: the scenario does not fit the engine.
    """
    _check_fits(engine, scenario)
    num_hosts, num_vms, knots = scenario.num_hosts, scenario.num_vms, scenario.num_knots
    fixed = engine.world_host[c]
    fixed[:] = 0.0
    fixed[at.EXISTS, :num_hosts] = scenario.exists
    for row, name in _HOST_COLUMNS.items():
        fixed[row, :num_hosts] = np.where(scenario.exists, getattr(scenario, name), 0.0)
    engine.curve[c] = 0.0
    engine.curve[c, :num_hosts] = np.where(scenario.exists[:, None], scenario.power_w, 0.0)
    rows = engine.world_vm[c]
    for row, name in _VM_COLUMNS.items():
        rows[row] = _NEVER.get(row, 0.0)
        rows[row, :num_vms][scenario.present] = getattr(scenario, name)[scenario.present]
    engine.dirty[c] = 0.0
    engine.dirty[c, :num_vms] = np.where(scenario.present[:, None, None], scenario.dirty, 0.0)
    engine.demand[c] = 0.0
    engine.demand[c, :knots, :num_vms] = scenario.demand
    engine.demand[c, knots:] = engine.demand[c, knots - 1]  # after its end, as it was
    engine.plan[c] = scenario.migration.plan()
    _write_programs(engine, c, scenario)
    _write_state(engine, c, scenario)


def _write_state(engine: CentreEngine, c: int, scenario: CentreScenario) -> None:
    """Hosts on or asleep, VMs that are there from the beginning on their hosts."""
    for table in (
        engine.world, engine.host, engine.vm, engine.move, engine.outcome, engine.host_outcome,
        engine.sharing,
    ):  # fmt: skip
        table[c] = 0.0
    _write_sharing(engine, c, scenario)
    engine.history[c] = np.nan
    engine.world[c, at.INTERVAL_S] = engine.physics.clock.control_interval_s
    host, vm = engine.host[c], engine.vm[c]
    host[at.STATE, : scenario.num_hosts] = np.where(scenario.asleep, ASLEEP, ON)
    for row in (at.HOST, at.TARGET, at.SOURCE):
        vm[row] = at.NOBODY
    placed = scenario.present & (scenario.host_of >= 0)
    vm[at.HOST, : scenario.num_vms][placed] = scenario.host_of[placed]
    vm[at.RAN, : scenario.num_vms][placed] = 1.0
    np.add.at(host[at.HELD], scenario.host_of[placed], scenario.vm_memory_bytes[placed])
    np.add.at(host[at.RESIDENTS], scenario.host_of[placed], 1.0)


def _write_programs(engine: CentreEngine, c: int, scenario: CentreScenario) -> None:
    """What VMs run, and what their hosts share between them; nothing where nobody says."""
    engine.program[c] = 0.0
    programs = scenario.programs
    if programs is None:
        return
    num_hosts, num_vms, fixed = scenario.num_hosts, scenario.num_vms, engine.world_host[c]
    for row, of_hosts in (
        (at.BANDWIDTH, programs.memory_bandwidth_bytes_s),
        (at.DEVICE, programs.device_bytes_s),
    ):
        fixed[row, :num_hosts] = np.where(scenario.exists, of_hosts, 0.0)
    for row, name in _PROGRAM_COLUMNS.items():
        engine.world_vm[c][row, :num_vms] = np.where(scenario.present, getattr(programs, name), 0.0)
    rows = engine.program[c, :num_vms]
    rows[:, host_at.CPI_BASE], rows[:, host_at.PENALTY] = programs.cpi_base, programs.penalty_cycles
    rows[:, CURVE:FILL] = programs.mpi
    segment = programs.llc_bytes / host_at.NUM_LLC_SEGMENTS
    for v in np.flatnonzero(scenario.present):
        fill_instructions(rows[v, CURVE:FILL], segment, rows[v, FILL:])


def _write_sharing(engine: CentreEngine, c: int, scenario: CentreScenario) -> None:
    """Nobody shares anything yet; what is said before the first tick is that nobody suffers."""
    programs = scenario.programs
    if programs is None:
        return
    world, sharing = engine.world[c], engine.sharing[c]
    world[at.CONTENDS], world[at.LLC_BYTES] = 1.0, programs.llc_bytes
    world[at.SLICE_S] = programs.cpu_slice_s
    sharing[at.SETTLED_ON] = at.NOBODY
    for row in (at.CACHE_SPEED, at.IO_SPEED, at.WAKE_SPEED):
        sharing[row] = 1.0
    engine.host[c, at.LATENCY] = 1.0


def _check_fits(engine: CentreEngine, scenario: CentreScenario) -> None:
    needs = (scenario.num_hosts, scenario.num_vms, scenario.num_knots)
    has = (engine.num_hosts, engine.num_vms, engine.num_knots)
    if any(need > there for need, there in zip(needs, has, strict=True)):
        raise ScenarioError(
            f"{scenario.name}: {needs} hosts, VMs and knots do not fit an engine of {has}"
        )
    if scenario.knot_s != engine.physics.knot_s:
        raise ScenarioError(
            f"{scenario.name}: demand knots are {scenario.knot_s} s apart, the engine's knot_s is "
            f"{engine.physics.knot_s}: set both alike"
        )
