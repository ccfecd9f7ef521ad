"""The optimum that a toy's docstring works out is what the engine finds."""

import pytest

from gymbal_envs.scenarios.centre_toy import BriefLull, TwoHalves
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_runtime.centre.orders import SLEEP, WAKE, CentreOrders


def joules(scenario, plan):
    """Energy of an episode in which step i is told ``plan[i]``: {vm: host}, {host: verb}."""
    engine = CentreEngine(1, scenario.num_hosts, scenario.num_vms, scenario.num_knots)
    engine.load([0], [scenario])
    energy, lost = 0.0, 0.0
    for step in range(scenario.num_knots - 1):
        orders = CentreOrders.none(1, scenario.num_hosts, scenario.num_vms)
        moves, power = plan.get(step, ({}, {}))
        for v, h in moves.items():
            orders.target[0, v] = h
        for h, verb in power.items():
            orders.power[0, h] = verb
        engine.step(orders)
        sums = engine.measured(["energy_j", "wanted_mips_s", "got_mips_s"])
        energy += sums["energy_j"][0]
        lost += sums["wanted_mips_s"][0] - sums["got_mips_s"][0]
    return energy, lost


def test_two_halves_move_at_once_and_sleep():
    scenario = TwoHalves()()
    alone, _ = joules(scenario, {})
    best, lost = joules(scenario, {0: ({0: 1}, {0: SLEEP})})
    late, _ = joules(scenario, {1: ({0: 1}, {0: SLEEP})})
    both, _ = joules(scenario, {0: ({0: 1, 1: 0}, {0: SLEEP})})
    assert alone == pytest.approx(240 * 3600)
    copying = 0.3 * 100 * 2 * 10  # J at most: daemons at both ends for a tick
    assert best == pytest.approx(240 * 20 + 150 * 3580, abs=copying)
    assert late - best == pytest.approx(27e3, abs=1.0)
    assert both > alone
    assert lost < 0.3 * 1000


@pytest.mark.parametrize(("lull_s", "spared_kj"), [(900.0, -4.8), (1200.0, 22.2), (3600.0, 238.2)])
def test_brief_lull_is_left_alone_and_a_long_one_is_used(lull_s, spared_kj):
    scenario = BriefLull(lull_s)()
    alone, lost_alone = joules(scenario, {})
    last = round(lull_s / 300)
    plan = {0: ({1: 0}, {1: SLEEP}), last - 2: ({}, {1: WAKE}), last - 1: ({1: 1}, {})}
    used, lost = joules(scenario, plan)
    assert (alone - used) / 1e3 == pytest.approx(spared_kj, abs=1.0)
    assert lost - lost_alone < 1000.0
    too_late = {**plan, last - 2: ({}, {}), last - 1: ({}, {1: WAKE}), last: ({1: 1}, {})}
    _, lost = joules(scenario, too_late)
    assert lost - lost_alone > 50_000.0
