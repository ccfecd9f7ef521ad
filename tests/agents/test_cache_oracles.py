"""The cache's oracles: exact where they say so, and better with groups than without."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_agents.oracles import oracles_of
from gymbal_agents.oracles.optimal_clusters import group_losses, programs_at
from gymbal_agents.oracles.optimal_parts import best_units, expected_losses
from gymbal_agents.oracles.part_plans import best_clusters, best_parts
from gymbal_envs.scenarios.machine_toy import StreamAndLoop
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.llc import check_llc_command
from gymbal_runtime.tasks import CACHE, HOST
from gymbal_runtime.telemetry import Telemetry

NUM_WORLDS = 24


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Hosts with ways, and at least as many classes as VMs."""
    whole = default_scenario(CACHE)
    fleet = replace(whole.fleet, episode_s=300.0, num_vms=(2, 4), max_vms=5)
    assert whole.machine is not None
    machine = replace(whole.machine, colour_hosts=0.0, classes=(8,))
    source = make_source(replace(whole, fleet=fleet, machine=machine), "train", 5)
    engine = Engine(NUM_WORLDS, fleet.max_vms, source(0).num_knots)
    engine.load(list(range(NUM_WORLDS)), [source(index) for index in range(NUM_WORLDS)])
    return engine


def divisions(count: int, least: int, total: int) -> list[tuple[int, ...]]:
    every = itertools.product(range(least, total + 1), repeat=count)
    return [units for units in every if sum(units) <= total]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 2), st.integers(6, 8))
def test_units_are_exact_for_any_losses(seed: int, count: int, least: int, total: int) -> None:
    losses = np.random.default_rng(seed).random((count, total + 1))
    units = np.zeros(count, dtype=np.int64)
    best = np.zeros((count + 1, total + 1))
    best_units(losses, least, total, best, np.zeros((count, total + 1), dtype=np.int64), units)
    rows = np.arange(count)
    assert units.sum() <= total
    assert units.min() >= least
    exact = min(losses[rows, list(u)].sum() for u in divisions(count, least, total))
    assert losses[rows, units].sum() == pytest.approx(exact)


def alone_losses(engine: Engine, world: int) -> np.ndarray:
    """(V, U + 1) of the present programs, each VM in a class of its own."""
    num_vms = engine.num_vms
    losses = np.zeros((num_vms, int(engine.world_host[world, at.LLC_UNITS]) + 1))
    members = np.where(engine.world_vm[world, at.PRESENT] > 0, np.arange(num_vms), -1)
    expected_losses(
        engine.world_vm[world], engine.world_host[world], engine.programs[world],
        engine.demand[world], engine.host[world, at.LATENCY_FACTOR], 0, 1, members,
        np.ones(num_vms, dtype=np.int64), losses,
    )  # fmt: skip
    return losses


def test_parts_are_the_best_of_all_divisions(engine: Engine) -> None:
    now = np.zeros(NUM_WORLDS)
    classes, units = best_parts(engine, now, now + 1.0)
    for world in range(8):
        losses, here = alone_losses(engine, world), engine.world_vm[world, at.PRESENT] > 0
        vms = np.flatnonzero(here)
        assert len(set(classes[world, vms])) == vms.size
        assert np.isnan(classes[world, ~here]).all()
        least, total = engine.world_host[world, [at.LLC_MIN_UNITS, at.LLC_UNITS]].astype(int)
        if vms.size > 3:
            continue
        every = divisions(vms.size, least, total)
        exact = min(losses[vms, list(u)].sum() for u in every)
        assert losses[vms, units[world, vms].astype(int)].sum() == pytest.approx(exact)


def loss_of(engine: Engine, world: int, classes: np.ndarray, units: np.ndarray) -> float:
    """Loss of a division by the reckoning of `optimal_clusters`."""
    rows = np.zeros((engine.num_vms, engine.programs.shape[3]))
    rate = np.zeros(engine.num_vms)
    latency = engine.host[world, at.LATENCY_FACTOR]
    tables = engine.world_vm[world], engine.world_host[world]
    programs_at(
        *tables, engine.programs[world], engine.demand[world], engine.vm[world], latency, 0, rows,
        rate,
    )  # fmt: skip
    total = 0.0
    for group in set(classes[~np.isnan(classes)]):
        members = np.flatnonzero(classes == group)
        value = np.zeros(int(engine.world_host[world, at.LLC_UNITS]) + 1)
        group_losses(*tables, rows, rate, latency, members, members.size, value)
        total += value[int(units[members[0]])]
    return total


def test_groups_are_at_least_as_good_as_single_vms(engine: Engine) -> None:
    now = np.zeros(NUM_WORLDS)
    single, grouped = best_parts(engine, now, now + 1.0), best_clusters(engine, now)
    better = 0
    for world in range(NUM_WORLDS):
        alone = loss_of(engine, world, single[0][world], single[1][world])
        together = loss_of(engine, world, grouped[0][world], grouped[1][world])
        assert together <= alone + 1e-9
        better += together < alone - 1e-6
    assert better > 0


@pytest.mark.parametrize("divide", [best_parts, best_clusters])
def test_the_toy_is_solved_as_its_docstring_does(divide) -> None:
    scenario = StreamAndLoop()()
    engine = Engine(1, 2, scenario.num_knots)
    engine.load([0], [scenario])
    window = (np.zeros(1), np.ones(1)) if divide is best_parts else (np.zeros(1),)
    classes, units = divide(engine, *window)
    stream, loop = units[0]
    assert classes[0, 0] != classes[0, 1]
    assert loop >= 10
    assert stream >= 1
    assert stream + loop <= 16


def check_feasible(command, seen: Telemetry) -> None:
    here = seen.present
    balloons = command.balloon_bytes
    assert np.nansum(balloons) <= np.nansum(seen.budget_bytes) * (1 + 1e-12)
    assert np.all((balloons <= seen.memory_max_bytes * (1 + 1e-12)) | np.isnan(balloons))
    assert check_llc_command(command.llc_class, command.llc_units, seen) == []
    if command.cpu_weight is None:
        return
    assert np.all(command.cpu_weight[here] > 0)
    modes = command.device_mode
    assert np.isin(modes[~np.isnan(modes)], [0.0, 1.0]).all()
    assert np.all(np.nansum(modes, axis=1) <= seen.passthrough_slots)
    assert np.isin(command.monitor_level[here], [0.0, 1.0, 2.0]).all()


@pytest.mark.parametrize("task", [CACHE, HOST])
@pytest.mark.parametrize("name", ["oracle_now", "oracle"])
def test_oracles_command_what_can_be_done(task: str, name: str) -> None:
    scenario = default_scenario(task)
    scenario = replace(scenario, fleet=replace(scenario.fleet, episode_s=300.0))
    worlds = HostWorlds(
        make_source(scenario, "train", 1), 4, shape_of(scenario, default_task(task)),
        default_task(task), encode=False,
    )  # fmt: skip
    worlds.reset()
    agent = oracles_of(task)[name](worlds)
    for _ in range(3):
        command = agent.act(worlds.telemetry)
        check_feasible(command, worlds.telemetry)
        assert np.all(np.isfinite(worlds.apply(command).reward))
