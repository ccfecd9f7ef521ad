"""The same scenario and orders give the same bytes, whatever is beside them."""

import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.centre import CentreScenarios
from gymbal_envs.scenarios.centre_config import Arrivals, CentreConfig
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.centre.tables import Tables
from gymbal_runtime.centre.orders import CentreOrders

CENTRES, HOSTS, STEPS = 24, 8, 12
CONFIG = CentreConfig(
    num_hosts=(4, HOSTS), max_hosts=HOSTS, arrivals=Arrivals(frac=0.3), episode_s=7200.0
)
VMS = CONFIG.max_vms


@pytest.fixture(scope="module")
def scenarios():
    source = CentreScenarios(SyntheticFleet().generate(60, 1200, 3), CONFIG, "train", 4)
    return [source(index) for index in range(CENTRES)]


def engine_of(scenarios, num_threads=1):
    engine = CentreEngine(len(scenarios), HOSTS, VMS, CONFIG.num_knots, num_threads=num_threads)
    engine.load(range(len(scenarios)), scenarios)
    return engine


def orders_of(step, centres=range(CENTRES)):
    """Orders that depend on the centre's number and the step alone."""
    each = []
    for c in centres:
        rng = np.random.default_rng([step, c])
        told = rng.random(VMS) < 0.1
        target = np.where(told, rng.integers(0, HOSTS, VMS), -1)
        power = np.where(rng.random(HOSTS) < 0.2, rng.integers(0, 3, HOSTS), 0)
        each.append((target, power))
    target, power = (np.stack(column) for column in zip(*each, strict=True))
    return CentreOrders(target, power.astype(np.int8))


def play(engine, centres=range(CENTRES), steps=range(STEPS)):
    for step in steps:
        engine.step(orders_of(step, centres))
    return engine


def assert_same(one, other, rows=slice(None)):
    for name in Tables._fields:
        if "constants" not in name:
            np.testing.assert_array_equal(getattr(one, name)[rows], getattr(other, name), name)


def test_threads_change_nothing(scenarios):
    threaded = engine_of(scenarios, num_threads=3)
    assert threaded.work.num_threads == 3
    assert_same(play(threaded), play(engine_of(scenarios)))


def test_company_changes_nothing(scenarios):
    together = play(engine_of(scenarios))
    for c in (0, 7, CENTRES - 1):
        alone = play(engine_of([scenarios[c]]), [c])
        assert_same(together, alone, slice(c, c + 1))


def test_a_twin_goes_on_alike(scenarios):
    original = play(engine_of(scenarios), steps=range(5))
    twins = engine_of(scenarios[:2])
    twins.copy_centres(original, np.array([9, 3]))
    play(twins, [9, 3], range(5, STEPS))
    play(original, steps=range(5, STEPS))
    assert_same(original, twins, [9, 3])


def test_one_step_is_as_good_as_its_ticks(scenarios):
    whole, ticks = engine_of(scenarios[:4]), engine_of(scenarios[:4])
    none = CentreOrders.none(4, HOSTS, VMS)
    for step in range(3):
        told = orders_of(step, range(4))
        whole.step(told)
        for tick in range(30):
            ticks.step(none if tick else told, 1)
    for name in ("host", "vm", "move"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(ticks, name), name)
