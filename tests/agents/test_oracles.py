"""The oracles are what they claim: exact on the grid, and better for knowing more."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_agents.evaluate import evaluate
from gymbal_agents.oracles.lookahead import HorizonOracle, PresentOracle
from gymbal_agents.oracles.optimal_split import optimal_units
from gymbal_agents.roster import build_roster
from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.scenarios.toy import OppositePeaks
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB, TIERS
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.open import shape_of


def split(losses: np.ndarray) -> np.ndarray:
    num_vms, levels = losses.shape
    units = np.zeros(num_vms, dtype=np.int64)
    best = np.zeros((num_vms + 1, levels))
    optimal_units(losses, best, np.zeros((num_vms, levels), dtype=np.int64), units)
    return units


def cost(losses: np.ndarray, units: np.ndarray) -> float:
    return float(losses[np.arange(len(units)), units].sum())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 7))
def test_dynamic_programming_is_exact_for_any_curves(seed: int, num_vms: int, levels: int) -> None:
    losses = np.random.default_rng(seed).random((num_vms, levels))
    found = split(losses)
    assert found.sum() <= levels - 1
    every = itertools.product(range(levels), repeat=num_vms)
    least = min(cost(losses, np.array(u)) for u in every if sum(u) <= levels - 1)
    assert cost(losses, found) == pytest.approx(least)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_greedy_agrees_where_gains_are_concave(seed: int) -> None:
    gains = -np.sort(-np.random.default_rng(seed).random((4, 12)), axis=1)
    losses = np.concatenate([np.zeros((4, 1)), -np.cumsum(gains, axis=1)], axis=1)
    units = np.zeros(4, dtype=np.int64)
    for _ in range(12):
        next_gain = [gains[v, units[v]] if units[v] < 12 else -1.0 for v in range(4)]
        units[int(np.argmax(next_gain))] += 1
    assert cost(losses, split(losses)) == pytest.approx(cost(losses, units))


def test_the_oracle_of_the_present_solves_the_toy_as_its_docstring_does() -> None:
    scenario = OppositePeaks(tier=TIERS["nvme"])()
    engine = Engine(1, 2, scenario.num_knots)
    engine.load([0], [scenario])
    command = PresentOracle(engine).act(engine.telemetry())
    wanted = scenario.working_set_bytes[0] + scenario.kernel_bytes
    assert np.all(command.balloon_bytes[0] >= wanted - 0.06 * GIB)
    assert command.balloon_bytes.sum() <= scenario.capacity_bytes


def test_looking_ahead_in_copies_leaves_the_world_alone() -> None:
    config = ScenarioConfig(fleet=FleetConfig(episode_s=300.0))
    source = make_source(config, "train", 3)
    engine = Engine(2, config.num_vms, config.num_knots)
    engine.load([0, 1], [source(0), source(1)])
    before = [table.copy() for table in (engine.vm, engine.host, engine.visible, engine.streams)]
    HorizonOracle(engine, horizon_steps=3).act(engine.telemetry())
    after = (engine.vm, engine.host, engine.visible, engine.streams)
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old, new, equal_nan=True)
    assert engine.host[0, at.TICK] == 0


def test_knowing_more_is_better() -> None:
    config = ScenarioConfig(fleet=FleetConfig(episode_s=600.0))
    roster = build_roster(["static", "oracle_now", "oracle"])
    played = evaluate(
        {name: contender.make for name, contender in roster.items()},
        make_source(config, "validation", 0),
        12,
        shape_of(config, TaskConfig()),
        TaskConfig(),
    )
    static, now, oracle = (played.values(n).mean() for n in ("static", "oracle_now", "oracle"))
    assert static < now <= oracle
