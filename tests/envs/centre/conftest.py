"""A centre on its own and what it is told, for the tests."""

import pytest

from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_runtime.centre.orders import CentreOrders


@pytest.fixture(scope="session")
def engine_of():
    """Load one scenario into an engine of its size."""

    def build(scenario):
        shape = (scenario.num_hosts, scenario.num_vms, scenario.num_knots)
        engine = CentreEngine(1, *shape)
        engine.load([0], [scenario])
        return engine

    return build


@pytest.fixture(scope="session")
def tell():
    """Step with targets {vm: host} and verbs {host: verb}."""

    def step(engine, moves=None, power=None, ticks=None):
        orders = CentreOrders.none(1, engine.num_hosts, engine.num_vms)
        for v, h in (moves or {}).items():
            orders.target[0, v] = h
        for h, verb in (power or {}).items():
            orders.power[0, h] = verb
        engine.step(orders, ticks)

    return step
