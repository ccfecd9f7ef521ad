"""VMs of a data centre slow each other down as those of one host do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.profiling.co_runs import Behaviour, CoRunHost, bubble, co_run, reporter
from gymbal_envs.scenarios.centre import CentreScenarios
from gymbal_envs.scenarios.centre_config import CentreConfig, placement_centres
from gymbal_envs.scenarios.centre_programs import CentrePrograms, ProgramsConfig
from gymbal_envs.scenarios.centre_toy import GoodNeighbours, plain_centre
from gymbal_envs.scenarios.machine import programs_of
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.source import default_scenario, load_trace, make_source
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.tasks import CACHE

SMALL = replace(placement_centres(), num_hosts=(3, 6), max_hosts=6, episode_s=1800.0)


def centres(count: int = 3, **changes: object) -> list:
    config = replace(SMALL, **changes)  # type: ignore[arg-type]
    source = CentreScenarios(load_trace("synthetic"), config, programs=programs_of("", "train"))
    return [source(index) for index in range(count)]


def engine_of(scenarios: list, num_threads: int = 1) -> CentreEngine:
    one = scenarios[0]
    sizes = (one.num_hosts, one.num_vms, one.num_knots)
    engine = CentreEngine(len(scenarios), *sizes, num_threads=num_threads)
    engine.load(range(len(scenarios)), scenarios)
    return engine


def nothing(engine: CentreEngine) -> CentreOrders:
    return CentreOrders.none(engine.num_centres, engine.num_hosts, engine.num_vms)


def test_a_host_of_a_centre_is_in_the_steady_state_of_the_host_engine() -> None:
    task = default_task(CACHE)
    for index in range(4):
        scenario = make_source(default_scenario(CACHE), "train", 5)(index)
        engine = Engine(1, scenario.num_vms, scenario.num_knots, task.physics)
        engine.load([0], [scenario])
        here, vm = scenario.present, engine.vm[0]
        r, first = scenario.resources, scenario.resources.phase[0].astype(int)
        core = r.frequency_hz / 1e6
        mips = vm[host_at.GRANTED_CORES, here] * core
        n, row = int(here.sum()), np.flatnonzero(here)
        programs = CentrePrograms(
            llc_bytes=r.llc_bytes,
            cpu_slice_s=0.0,
            memory_bandwidth_bytes_s=np.array([r.memory_bandwidth_bytes_s]),
            device_bytes_s=np.array([1e9]),
            mpi=r.mpi[row, first[row]],
            cpi_base=r.cpi_base[row, first[row]],
            penalty_cycles=r.penalty_cycles[row, first[row]],
            io_bytes_s=np.zeros(n),
            io_weight=np.zeros(n),
            wakeups=np.zeros(n),
            hint_slowdown=np.full(n, np.nan),
            hint_traffic_bytes_s=np.full(n, np.nan),
            hint_cache_bytes=np.full(n, np.nan),
        )
        centre = plain_centre(
            (0,) * n, demand=1.0, num_hosts=1, cpu_mips=64 * core, core_mips=core,
            memory_bytes=2.0**40, vm_mips=mips, vcpus=64.0, programs=programs,
        )  # fmt: skip
        other = engine_of([centre])
        other.step(nothing(other), num_ticks=1)
        np.testing.assert_allclose(
            other.sharing[0, at.CACHE_SPEED], vm[host_at.CACHE_SPEED, here], rtol=1e-2
        )
        np.testing.assert_allclose(
            other.sharing[0, at.OCCUPIED].sum(), vm[host_at.OCCUPANCY, here].sum(), rtol=1e-2
        )


def test_whoever_runs_alone_loses_nothing_and_a_bubble_takes_it_away() -> None:
    host = CoRunHost(bandwidth_gb_s=1e6)
    loop = Behaviour.random_touches(0.9, mpi=0.02, cpi=0.7, penalty=150.0)
    alone, small, large = co_run([[loop], [loop, bubble(0.25)], [loop, bubble(4.0)]], host)
    assert alone[0] == pytest.approx(1.0, abs=1e-3)
    assert 0.9 * alone[0] > small[0] > large[0] > 0.05
    narrow = co_run([[reporter(), reporter()]], replace(host, bandwidth_gb_s=5.0))
    wide = co_run([[reporter(), reporter()]], host)
    assert narrow[0][0] < 0.5 * wide[0][0]
    assert narrow[0][0] == pytest.approx(narrow[0][1], rel=1e-3)  # who is alike fares alike


def test_a_centre_does_not_depend_on_its_batch_nor_on_threads_nor_on_being_copied() -> None:
    scenarios = centres(3)
    together, alone = engine_of(scenarios, num_threads=2), engine_of(scenarios[1:2])
    for _ in range(4):
        together.step(nothing(together))
        alone.step(nothing(alone))
    for name in ("vm", "host", "outcome", "sharing"):
        np.testing.assert_array_equal(getattr(together, name)[1], getattr(alone, name)[0])
    twin = CentreEngine(2, together.num_hosts, together.num_vms, together.num_knots)
    twin.copy_centres(together, np.array([1, 2]))
    for engine in (twin, together):
        engine.step(nothing(engine))
    np.testing.assert_array_equal(twin.sharing, together.sharing[1:])
    np.testing.assert_array_equal(twin.outcome, together.outcome[1:])


def test_losses_are_parts_of_what_vms_got() -> None:
    engine = engine_of(centres(3))
    for _ in range(6):
        engine.step(nothing(engine))
        out = engine.outcome
        lost = out[:, at.LOST_CACHE] + out[:, at.LOST_IO] + out[:, at.LOST_WAKING]
        assert (lost >= 0.0).all()
        assert (lost <= out[:, at.GOT_WORK] * (1 + 1e-9)).all()
    assert lost.sum() > 0.01 * out[:, at.GOT_WORK].sum()
    held = np.zeros((3, engine.num_hosts))
    for c in range(3):
        runs = engine.vm[c, at.HOST] >= 0
        on = engine.vm[c, at.HOST, runs].astype(int)
        np.add.at(held[c], on, engine.sharing[c, at.OCCUPIED, runs])
    assert (held <= engine.world[:, at.LLC_BYTES, None] * (1 + 1e-3)).all()


def test_a_device_that_all_want_serves_them_in_part_and_takes_cpu_time() -> None:
    quiet = GoodNeighbours()()
    busy = replace(
        quiet.programs, io_bytes_s=np.full(4, 400e6), io_weight=np.full(4, 0.5),
        device_bytes_s=np.full(2, 500e6),
    )  # fmt: skip
    scenario = replace(quiet, programs=busy, host_of=np.array([0, 0, 0, 1]), arrive_s=np.zeros(4))
    engine = engine_of([scenario])
    engine.step(nothing(engine), num_ticks=2)
    speed = engine.sharing[0, at.IO_SPEED]
    np.testing.assert_allclose(speed[:3], 1.0 - 0.5 * (1.0 - 500 / 1200))
    assert speed[3] == 1.0
    per_byte = engine.physics.devices.emulated_core_s_per_byte
    np.testing.assert_allclose(
        engine.host[0, at.IO_MIPS], np.array([500e6, 400e6]) * per_byte * 1000.0
    )


def test_programs_change_nothing_else_of_a_draw() -> None:
    trace, config = load_trace("synthetic"), SMALL
    with_programs = CentreScenarios(trace, config, programs=programs_of("", "train"))(3)
    without = CentreScenarios(trace, replace(config, programs=None))(3)
    for name in ("cpu_mips", "vm_mips", "arrive_s", "demand", "host_of"):
        np.testing.assert_array_equal(getattr(with_programs, name), getattr(without, name))
    assert without.programs is None
    hints = with_programs.programs.hint_slowdown[with_programs.present]
    assert 0.6 < (~np.isnan(hints)).mean() < 0.95
    assert np.nanmin(hints) >= 1.0


def test_what_makes_no_sense_is_refused() -> None:
    scenario = GoodNeighbours()()
    for changes, field in (
        ({"mpi": scenario.programs.mpi[:, ::-1]}, "mpi"),
        ({"io_weight": np.full(4, 2.0)}, "io_weight"),
        ({"cpi_base": np.zeros(4)}, "cpi_base"),
        ({"wakeups": np.zeros(3)}, "wakeups"),
        ({"llc_bytes": np.nan}, "llc_bytes"),
    ):
        with pytest.raises(ScenarioError, match=field):
            replace(scenario, programs=replace(scenario.programs, **changes))
    with pytest.raises(ScenarioError, match="hint_noise"):
        ProgramsConfig(hint_noise=-1.0)


def test_centres_without_programs_have_no_tables_of_them() -> None:
    source = CentreScenarios(load_trace("synthetic"), CentreConfig(num_hosts=(3, 3), max_hosts=3))
    engine = engine_of([source(0)])
    engine.step(nothing(engine))
    assert engine.program.size == engine.sharing.size == 0
    assert engine.telemetry().sharing is None
