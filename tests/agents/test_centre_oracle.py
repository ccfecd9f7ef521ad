"""The oracle of data centres: it sees what is coming, and follows the best of its plans."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_agents.evaluate import evaluate
from gymbal_agents.oracles.centre_plans import AHEAD_S, CentreOracle, foreseen, plans
from gymbal_envs.scenarios.centre_config import CentreConfig
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import open_worlds, shape_of
from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.tasks import CONSOLIDATION

STEPS = 24
TASK = default_task(CONSOLIDATION)
CENTRES = CentreConfig(num_hosts=(4, 8), max_hosts=8, episode_s=STEPS * 300.0)


@pytest.fixture(scope="module")
def scenario():
    return replace(default_scenario(CONSOLIDATION), centre=CENTRES)


@pytest.fixture
def worlds(scenario):
    source, shape = make_source(scenario, "train", 0), shape_of(scenario, TASK)
    opened = open_worlds(TASK, source, 3, shape, propose=False, encode=False)
    opened.reset()
    return opened


def test_it_sees_the_most_that_vms_will_want(worlds):
    engine, record = worlds.engine, foreseen(worlds.engine, 600.0)
    present = record.present
    np.testing.assert_allclose(
        record.wanted_frac[present], engine.demand[:, :3].max(axis=1)[present], rtol=1e-6
    )
    ahead = [foreseen(engine, seconds).wanted_frac for seconds in AHEAD_S]
    assert (ahead[0] <= ahead[-1]).all()
    assert (ahead[0] < ahead[-1]).any()


def test_it_does_not_touch_the_worlds_before_it_decides(worlds):
    oracle = CentreOracle(worlds)
    oracle.reset(3, worlds.num_vms)
    before = worlds.engine.vm.copy(), worlds.engine.host.copy()
    oracle.act(worlds.telemetry).check(worlds.telemetry.shape)
    np.testing.assert_array_equal(worlds.engine.vm, before[0])
    np.testing.assert_array_equal(worlds.engine.host, before[1])


def test_it_is_as_good_as_the_best_of_its_plans_and_better_than_the_rules(scenario):
    class Fixed:
        def __init__(self, worlds, plan):
            self.engine, self.plan = worlds.engine, plan

        def reset(self, num_worlds, num_vms, worlds=None):
            self.plan.rule.reset(num_worlds, num_vms, worlds)

        def act(self, telemetry):
            return self.plan.orders(self.engine)

    agents = {
        f"plan{i}": (lambda worlds, plan=plan: Fixed(worlds, plan))
        for i, plan in enumerate(plans())
    }
    agents["oracle"] = CentreOracle
    agents["lr_mmt"] = lambda worlds: make_centre_heuristic("lr_mmt")
    source, shape = make_source(scenario, "validation", 0), shape_of(scenario, TASK)
    result = evaluate(agents, source, 4, shape, TASK)
    best = np.max([result.values(name) for name in agents if name.startswith("plan")], axis=0)
    # Its copies play one interval more than is counted, so it may choose a neighbour.
    np.testing.assert_allclose(result.values("oracle"), best, atol=2e-4)
    assert result.values("oracle").mean() > result.values("lr_mmt").mean()
