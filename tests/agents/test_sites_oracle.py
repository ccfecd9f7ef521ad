import numpy as np
import pytest

from gymbal_agents.oracles.sites_changes import mutate
from gymbal_agents.oracles.sites_plan import Plan, empty_plan, plan_of
from gymbal_agents.oracles.sites_plans import PORTFOLIO, SitesOracle
from gymbal_envs.scenarios.sites_toy import QuietSpell, TwoSizes, plain_sites
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.sites_worlds import SitesWorlds
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.tasks import SITES

GB = 1e9


def worlds_of(*scenarios):
    first = scenarios[0]
    shape = WorldShape(first.num_vms, first.num_knots, first.num_knots)
    worlds = SitesWorlds(
        lambda index: scenarios[index % len(scenarios)], len(scenarios), shape, default_task(SITES),
        encode=False, propose=False,
    )  # fmt: skip
    worlds.reset()
    return worlds


def played(worlds, agent, steps=120):
    agent.reset(worlds.num_worlds, worlds.num_vms)
    total = np.zeros(worlds.num_worlds)
    for _ in range(steps):
        total += worlds.apply(agent.act(worlds.telemetry)).reward
    return total


def small(worlds, rounds):
    return SitesOracle(worlds.engine, worlds.config.weights, tries=4, rounds=rounds)


def test_it_is_no_worse_than_any_heuristic_and_gets_what_it_expects():
    scenario = plain_sites((2 * GB, 6 * GB, 3 * GB), 121, disk_bytes=4 * GB, disk_redundancy=0.4)
    worlds = worlds_of(scenario, scenario)
    oracle = small(worlds, rounds=3)
    found = played(worlds, oracle)
    np.testing.assert_allclose(found, oracle.expected, rtol=1e-9)
    for name, options in PORTFOLIO:
        again = worlds_of(scenario, scenario)
        assert (found >= played(again, make_sites_heuristic(name, **options)) - 1e-9).all()


def test_it_finds_smiths_order():
    worlds = worlds_of(TwoSizes()())
    played(worlds, small(worlds, rounds=2), steps=60)
    large, small_one = worlds.engine.vm[0, at.ARRIVED_S]
    assert 0 < small_one < large


def test_it_waits_for_the_quiet_spell():
    worlds = worlds_of(QuietSpell()())
    oracle = SitesOracle(worlds.engine, worlds.config.weights, tries=8, rounds=6)
    oracle.reset(1, 1)
    paused = 0.0
    for _ in range(120):
        worlds.apply(oracle.act(worlds.telemetry))
        paused += worlds.engine.outcome[0, at.PAUSED, 0]
    assert worlds.engine.vm[0, at.ARRIVED_S, 0] > 300.0
    assert paused < 1.0


def test_more_search_is_never_worse():
    scenario = plain_sites(
        (2 * GB, 6 * GB), 121, disk_bytes=4 * GB, commit_rate=5.0, away_cost=0.01
    )
    few, many = (small(worlds_of(scenario), rounds) for rounds in (0, 6))
    for oracle in (few, many):
        oracle.act(oracle.engine.telemetry())
    assert many.expected[0] >= few.expected[0]


def test_it_plans_again_where_an_episode_begins():
    worlds = worlds_of(TwoSizes()())
    oracle = small(worlds, rounds=0)
    played(worlds, oracle, steps=60)
    first = oracle.expected[0]
    worlds.engine.load([0], [plain_sites((3 * GB, 4 * GB), 361)])
    oracle.act(worlds.engine.telemetry())
    assert oracle.expected[0] != first


def test_heuristics_become_plans():
    scenario = TwoSizes()()
    engine = SitesEngine(1, 2, scenario.num_knots)
    engine.load([0], [scenario])
    plan = plan_of("smart_stop", {"concurrency": 1.0, "order": "smallest"}, engine, 100)
    assert plan.turn[0, 1] < plan.turn[0, 0]
    assert (plan.stop_s > 0).all()
    assert plan.at_once.tolist() == [1.0]


def test_changes_touch_one_thing_and_leave_the_plan_alone():
    plan = empty_plan(300, 4)
    plan.stop_s[:] = 100.0
    cost = np.tile([3.0, 0.0, 1.0, 0.0], (300, 1))
    changed = mutate(plan, cost, np.random.default_rng(0))
    assert isinstance(changed, Plan)
    assert (plan.stop_s == 100.0).all()
    moved = changed.stop_s != plan.stop_s
    assert 50 < moved.any(axis=1).sum() < 250
    assert (moved.sum(axis=1) <= 1).all()
    assert not moved[:, [1, 3]].any(), "slots without a VM suffer nothing"
    assert (changed.stop_s >= 0).all()
    assert (changed.at_once >= 1).all()
    swapped = changed.turn != plan.turn
    assert set(swapped.sum(axis=1)) <= {0, 2}
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(changed.reduce_memory, plan.reduce_memory)
