"""What monitors cost, and how a hot set keeps a histogram affordable."""

import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.monitors import SMALLEST_HOT_SET, adapt_hot_set, set_levels
from gymbal_envs.simulator.params import PhysicsParams, SensorParams
from gymbal_runtime.command import Command

TRACING = PhysicsParams(sensors=SensorParams(trap_s=2e-6, trace_limit=0.16))
FLAT_RATE = PhysicsParams(sensors=SensorParams(trap_s=0.0, monitor_cost=0.02))
SAMPLER = SensorParams().sampler_cost


@pytest.fixture(name="host")
def _host(plain_scenario, plain_resources, engine_of):
    """VMs whose miss curve is a straight line: a hot set h leaves 1 - h of the touches traced."""

    def host(touch_rate, params=TRACING, **changes):
        scenario = plain_scenario(
            len(touch_rate), touch_rate=touch_rate, resources=plain_resources(len(touch_rate)),
            **changes,
        )  # fmt: skip
        return engine_of([scenario], params)

    return host


def adapt(engine, rounds=1):
    for _ in range(rounds):
        adapt_hot_set(engine.world_vm[0], engine.curve[0], engine.constants, engine.vm[0])
    return engine.vm[0, at.HOT_SET], engine.vm[0, at.MONITOR_COST]


def level(engine, *levels):
    set_levels(
        engine.world_vm[0], engine.curve[0], engine.constants, np.array(levels, float),
        engine.vm[0],
    )  # fmt: skip
    return engine.vm[0, at.LEVEL].tolist()


def test_a_histogram_costs_what_it_traps(host):
    engine = host([50_000.0, 50_000.0, 50_000.0], monitor=[0, 1, 2])
    hot_set, cost = adapt(engine, rounds=0)
    traps = 50_000 * (1 - hot_set[2])
    np.testing.assert_allclose(cost, [0.0, SAMPLER, traps * 2e-6 + SAMPLER])


def test_without_a_trap_time_it_costs_its_flat_rate(host):
    hot_set, cost = adapt(host([1e3, 1e6], FLAT_RATE), rounds=9)
    assert cost.tolist() == [0.02 + SAMPLER] * 2
    assert hot_set.tolist() == [0.0, 0.0]


def test_the_hot_set_grows_until_tracing_is_affordable_and_no_further(host):
    hot_set, cost = adapt(host([1e5, 2e4, 1e3]), rounds=60)
    assert cost[0] <= 0.16 + SAMPLER
    assert 0.2 <= hot_set[0] < 0.35  # 1 - 0.16 / 0.2 = 0.2, in steps of 1.3
    assert hot_set[1:].tolist() == [SMALLEST_HOT_SET] * 2


def test_the_hot_set_shrinks_again_when_it_is_no_longer_needed(host):
    engine = host([1e5])
    adapt(engine, rounds=60)
    level(engine, 0)
    # An episode keeps its rates: what a monitor costs is reckoned anew when it is switched on.
    engine.world_vm[0, at.TOUCH_RATE] = 1e3
    level(engine, 2)
    hot_set, _ = adapt(engine, rounds=60)
    assert hot_set[0] == SMALLEST_HOT_SET


def test_even_the_busiest_program_is_left_some_cpu(host):
    _, cost = adapt(host([1e9]), rounds=60)
    assert cost[0] == pytest.approx(0.9 + SAMPLER)


def test_levels_are_switched_as_told_and_nonsense_is_ignored(host):
    engine = host([1e4] * 4, monitor=[0, 1, 2, 2])
    assert level(engine, 2, 0, np.nan, 1) == [2.0, 0.0, 2.0, 1.0]
    assert level(engine, 3, -1, 0.5, np.inf) == [2.0, 0.0, 2.0, 1.0]
    cost = engine.vm[0, at.MONITOR_COST]
    assert cost[0] == cost[2] > cost[3] > cost[1] == 0.0


def test_an_empty_slot_is_not_monitored(host):
    engine = host([1e4, 1e4])
    engine.world_vm[0, at.PRESENT, 1] = 0.0
    engine.vm[0, at.LEVEL, 1] = 0.0
    assert level(engine, 2, 2) == [2.0, 0.0]


def test_what_lies_in_the_hot_set_is_not_in_the_histogram(host):
    quiet = PhysicsParams(sensors=SensorParams(trap_s=2e-6, lru_noise=0.0))
    engine = host([1e5], quiet)
    engine.step(Command.no_change(1, 1), 105)
    seen = engine.pending[0, at.SENSED_LRU : at.NUM_MEMORY_SENSED, 0].sum()
    # sampled before the hot set was adapted, which it no longer is; everything else hits
    traced = 1e5 * engine.vm[0, at.CACHE_SPEED, 0] * (1 - engine.vm[0, at.HOT_SET, 0])
    assert seen == pytest.approx(traced, rel=1e-6)
