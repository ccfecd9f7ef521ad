"""One thing at a time on hand-written centres: what happens, when, and what it costs."""

import numpy as np
import pytest

from gymbal_envs.scenarios.centre_toy import IDLE_W, SLEEP_W, plain_centre
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.centre.params import CentreParams, centre_physics
from gymbal_envs.simulator.params import Clock, PhysicsParams
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.rules.power import watts_table
from gymbal_runtime.centre.telemetry import ASLEEP, HISTORY, NOWHERE, ON, SUSPENDING, WAKING


def states(engine):
    return engine.host[0, at.STATE].tolist()


def test_a_host_falls_asleep_and_wakes_with_delay_and_energy(engine_of, tell):
    engine = engine_of(plain_centre((0,)))
    tell(engine, power={1: SLEEP}, ticks=1)
    assert states(engine) == [ON, ASLEEP]
    tell(engine, ticks=1)
    assert engine.host_outcome[0, at.ENERGY + ASLEEP, 1] == SLEEP_W * 10
    tell(engine, power={1: WAKE}, ticks=20)
    assert states(engine) == [ON, ON]
    out = engine.host_outcome[0, :, 1]
    assert out[at.ENERGY + WAKING] == 250 * 200
    assert (out[at.WAKES], out[at.SLEEPS], out[at.STATE_TIME + ON]) == (1, 0, 0)
    tell(engine, ticks=1)
    assert engine.host_outcome[0, at.ENERGY + ON, 1] == IDLE_W * 10
    assert engine.telemetry().state_s[0, 1] == 10


def test_states_end_inside_of_a_tick(engine_of, tell):
    engine = engine_of(plain_centre((0,), suspend_s=3.0, wake_s=12.5))
    tell(engine, power={1: SLEEP}, ticks=1)
    out = engine.host_outcome[0, :, 1]
    assert out[at.ENERGY + SUSPENDING] == IDLE_W * 3
    assert out[at.ENERGY + ASLEEP] == SLEEP_W * 7
    assert engine.host[0, at.WATTS, 1] == pytest.approx((IDLE_W * 3 + SLEEP_W * 7) / 10)
    tell(engine, power={1: WAKE}, ticks=2)
    out = engine.host_outcome[0, :, 1]
    assert out[at.ENERGY + WAKING] == 250 * 12.5
    assert out[at.ENERGY + ON] == IDLE_W * 7.5
    assert engine.host[0, at.STATE_S, 1] == 7.5


def test_sleep_waits_for_an_empty_host_and_is_forgotten_for_a_vm(engine_of, tell):
    engine = engine_of(plain_centre((0, 1)))
    tell(engine, power={1: SLEEP}, ticks=3)
    assert states(engine) == [ON, ON]
    assert engine.telemetry().draining[0].tolist() == [False, True]
    tell(engine, power={1: WAKE}, ticks=1)
    assert not engine.telemetry().draining.any()
    tell(engine, power={1: SLEEP}, ticks=1)
    tell(engine, moves={0: 1}, ticks=5)
    assert states(engine) == [ON, ON]
    tell(engine, moves={0: 0, 1: 0}, power={1: SLEEP}, ticks=4)
    assert states(engine) == [ON, ASLEEP]


def test_wake_during_suspending_waits_until_the_host_sleeps(engine_of, tell):
    engine = engine_of(plain_centre((0,), suspend_s=35.0, wake_s=15.0))
    tell(engine, power={1: SLEEP}, ticks=1)
    assert states(engine)[1] == SUSPENDING
    tell(engine, power={1: WAKE}, ticks=3)
    assert states(engine)[1] == WAKING
    tell(engine, power={1: SLEEP}, ticks=1)
    assert states(engine)[1] == ON
    assert engine.host_outcome[0, at.HOST_REFUSED, 1] == 1


def test_shares_of_a_full_host_go_by_weight(engine_of, tell):
    scenario = plain_centre((0, 0, 0), demand=np.array([0.9, 0.9, 0.1]), shares=(3.0, 1.0, 1.0))
    engine = engine_of(scenario)
    tell(engine)
    np.testing.assert_allclose(engine.vm[0, at.GRANTED], [675, 225, 100], rtol=1e-6)
    out = engine.host_outcome[0, :, 0]
    assert (out[at.FULL_S], out[at.ACTIVE_S]) == (300, 300)
    assert out[at.USED_WORK] == pytest.approx(1000 * 300)
    np.testing.assert_allclose(engine.telemetry().got_frac[0], [0.75, 0.25, 1.0], rtol=1e-6)
    sums = engine.measured(["wanted_weight", "got_weight"])
    lost = sums["wanted_weight"] - sums["got_weight"]
    np.testing.assert_allclose(lost, (3 * 225 + 675) * 300, rtol=1e-5)


def test_a_vm_gets_no_more_cores_than_it_has(engine_of, tell):
    scenario = plain_centre((0, 1), demand=1.0, cpu_mips=4000.0, vm_mips=1500.0, vcpus=(1.0, 2.0))
    engine = engine_of(scenario)
    tell(engine)
    assert engine.vm[0, at.GRANTED].tolist() == [1000, 1500]
    assert engine.host_outcome[0, at.FULL_S].tolist() == [0, 0]


def test_power_follows_the_curve(engine_of, tell):
    watts = watts_table(["ml110_g4", "ml110_g5"])
    engine = engine_of(plain_centre(demand=np.array([0.25, 1.0]), power_w=watts))
    tell(engine)
    expected = [(92.6 + 96.0) / 2 * 300, 135 * 300]
    np.testing.assert_allclose(engine.host_outcome[0, at.ENERGY + ON], expected, rtol=1e-6)


def test_demand_is_linear_between_knots_and_remembered(engine_of, tell):
    demand = np.array([[0.0], [0.6], [0.2]])
    engine = engine_of(plain_centre((0,), demand=demand, knots=3))
    tell(engine, ticks=10)
    assert engine.telemetry().wanted_frac[0, 0] == pytest.approx(0.2)
    tell(engine, ticks=20)
    assert engine.outcome[0, at.WANTED_WORK, 0] == pytest.approx(
        10 * 1000 * sum(range(10, 30)) / 50
    )
    tell(engine)
    tell(engine)
    history = engine.telemetry().history[0, 0]
    np.testing.assert_allclose(history[:5], [0.2, 0.2, 0.6, 0.2, 0.0], rtol=1e-6)
    assert np.isnan(history[5:]).all()
    assert history.size == HISTORY


def test_vms_arrive_wait_are_placed_and_leave(engine_of, tell):
    scenario = plain_centre(
        (0, NOWHERE), demand=0.3, arrive_s=(0.0, 300.0), leave_s=(np.inf, 915.0)
    )
    engine = engine_of(scenario)
    assert engine.telemetry().present[0].tolist() == [True, False]
    tell(engine, moves={1: 1})
    assert engine.outcome[0, at.REFUSED, 1] == 1
    record = engine.telemetry()
    assert record.present[0].tolist() == [True, True]
    assert record.host_of[0].tolist() == [0, NOWHERE]
    tell(engine)
    assert engine.outcome[0, at.LOST_WAITING, 1] == pytest.approx(0.3 * 1000 * 300)
    assert engine.telemetry().got_frac[0].tolist() == [1, 0]
    tell(engine, moves={1: 1})
    out = engine.outcome[0, :, 1]
    assert (out[at.PLACED], out[at.WAITED_S]) == (1, 0)
    assert engine.telemetry().hosted_s[0, 1] == 300
    tell(engine)
    assert engine.outcome[0, at.PRESENT_S, 1] == 20
    assert not engine.telemetry().present[0, 1]
    assert np.isnan(engine.telemetry().history[0, 1, 0])
    assert engine.host[0, at.HELD, 1] == 0


def test_measures_have_names(engine_of, tell):
    engine = engine_of(plain_centre())
    tell(engine, power={0: SLEEP})
    everything = engine.measured()
    assert everything["energy_j"][0] == pytest.approx(240 * 300)
    assert everything["active_hosts"][0] == 2
    assert everything["on_s"][0] == 600
    with pytest.raises(KeyError, match="no measure"):
        engine.measured(["speed"])


def test_an_engine_refuses_what_does_not_fit():
    scenario = plain_centre()
    small = CentreEngine(1, 1, 2, 13)
    with pytest.raises(ScenarioError, match="do not fit"):
        small.load([0], [scenario])
    other = CentreEngine(1, 2, 2, 13, PhysicsParams(clock=Clock(10.0, 300.0), knot_s=60.0))
    with pytest.raises(ScenarioError, match="knot_s"):
        other.load([0], [scenario])
    assert centre_physics().clock.ticks_per_decision == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [("slowdown", 1.5), ("most_sent", 0.5), ("sample_s", 0.0), ("daemon_cores", -1.0)],
)
def test_constants_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        CentreParams(**{name: value})


def test_an_episode_leaves_nothing_to_the_next(engine_of, tell):
    engine = engine_of(plain_centre((0, 1), demand=0.4))
    tell(engine, moves={0: 1}, power={0: SLEEP})
    engine.load([0], [plain_centre((0, 1), demand=0.4)])
    fresh = engine_of(plain_centre((0, 1), demand=0.4))
    for name in ("world", "host", "vm", "move", "outcome", "host_outcome", "history"):
        np.testing.assert_array_equal(getattr(engine, name), getattr(fresh, name))
