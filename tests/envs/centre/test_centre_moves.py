"""Live migrations inside a centre: how long they take, what they cost, which are refused."""

import numpy as np
import pytest

from gymbal_envs.scenarios.centre_toy import IDLE_W, PEAK_W, plain_centre
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster.migration_prediction import predict_migration
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import NOWHERE, ON, WAKING

NIC = 125e6


def states(engine):
    return engine.host[0, at.STATE].tolist()


def writing(groups, n=1):
    dirty = np.zeros((n, mig.NUM_GROUPS, mig.NUM_DIRTY))
    dirty[:, :, mig.TAU] = np.inf
    dirty[:, : len(groups)] = groups
    return dirty


def test_a_move_takes_its_time_slows_the_vm_down_and_costs_both_hosts(engine_of, tell):
    engine = engine_of(plain_centre(demand=0.5))
    alone = predict_migration(GIB, [], RULES["qemu"], NIC)
    assert 8 < alone.total_s < 10
    tell(engine, moves={0: 1}, ticks=1)
    rate = alone.sent_bytes / 10
    out = engine.outcome[0, :, 0]
    assert out[at.MOVE_BYTES] == pytest.approx(alone.sent_bytes)
    assert out[at.DOWN_S] == pytest.approx(alone.downtime_s, rel=0.05)
    ran = (1 - out[at.DOWN_S] / 10) * (1 - 0.1 * rate / NIC)
    assert out[at.GOT_WORK] == pytest.approx(5000 * ran, rel=1e-6)
    assert out[at.LOST_MOVING] == pytest.approx(5000 * (1 - ran), rel=1e-6)
    np.testing.assert_allclose(engine.host[0, at.COPY_MIPS], 300 * rate / NIC)
    used = engine.host[0, at.USED]
    np.testing.assert_allclose(engine.host[0, at.WATTS], IDLE_W + (PEAK_W - IDLE_W) * used / 1000)
    assert engine.telemetry().host_of[0].tolist() == [1, 1]
    assert (out[at.BEGUN], out[at.ENDED]) == (1, 1)
    tell(engine, ticks=1)
    assert engine.host[0, at.USED].tolist() == pytest.approx([0, 1000])


def test_memory_is_held_at_both_ends_until_the_move_ends(engine_of, tell):
    engine = engine_of(plain_centre(vm_memory_bytes=3 * GIB, demand=0.5))
    tell(engine, moves={0: 1}, ticks=1)
    assert engine.outcome[0, at.REFUSED, 0] == 1
    engine = engine_of(plain_centre((0,), vm_memory_bytes=3 * GIB, demand=0.5))
    tell(engine, moves={0: 1}, ticks=2)
    assert engine.host[0, at.HELD].tolist() == [3 * GIB, 3 * GIB]
    assert engine.telemetry().moving_to[0, 0] == 1
    tell(engine, ticks=1)
    assert engine.host[0, at.HELD].tolist() == [0, 3 * GIB]
    assert engine.telemetry().moving_to[0, 0] == NOWHERE


def test_moves_out_of_one_port_share_it(engine_of, tell):
    scenario = plain_centre((0, 0, 0), num_hosts=4, demand=0.1)
    engine = engine_of(scenario)
    tell(engine, moves={0: 1, 1: 2, 2: 3}, ticks=2)
    sent = engine.outcome[0, at.MOVE_BYTES]
    np.testing.assert_allclose(sent, NIC * 20 / 3, rtol=1e-9)
    assert engine.host_outcome[0, at.SENT, 0] == pytest.approx(NIC * 20)
    assert engine.host[0, at.COPY_MIPS, 0] == pytest.approx(300)
    tell(engine, ticks=1)
    assert engine.outcome[0, at.ENDED].tolist() == [1, 1, 1]


def test_ways_in_and_out_are_two_ports(engine_of, tell):
    engine = engine_of(plain_centre((0, 1), demand=0.1))
    tell(engine, moves={0: 1, 1: 0}, ticks=1)
    assert engine.telemetry().host_of[0].tolist() == [1, 0]


def test_what_is_written_is_copied_again_and_an_endless_move_is_stopped(engine_of, tell):
    hot = writing([(0.5 * GIB, 0.5, mig.RANDOM)])
    engine = engine_of(plain_centre((0,), dirty=hot, demand=1.0))
    quiet = engine_of(plain_centre((0,), dirty=hot, demand=0.0))
    for each in (engine, quiet):
        tell(each, moves={0: 1})
    assert quiet.outcome[0, at.MOVE_BYTES, 0] < 1.01 * GIB
    out = engine.outcome[0, :, 0]
    assert out[at.ENDED] == 1
    assert 3 * GIB < out[at.MOVE_BYTES] < 5 * GIB
    assert out[at.DOWN_S] > 2
    assert quiet.telemetry().dirty_bytes_s[0, 0] == 0


def test_dirty_rate_is_what_a_log_of_one_second_shows(engine_of, tell):
    hot = writing([(0.5 * GIB, 0.5, mig.RANDOM), (0.1 * GIB, 10.0, mig.SWEEP)])
    engine = engine_of(plain_centre((0,), dirty=hot, demand=0.5))
    expected = 0.5 * GIB * (1 - np.exp(-1.0)) + 0.1 * GIB * 0.05
    for _ in range(2):
        assert engine.telemetry().dirty_bytes_s[0, 0] == pytest.approx(expected)
        tell(engine)


def test_postcopy_runs_at_the_target_while_its_memory_follows(engine_of, tell):
    engine = engine_of(plain_centre((0,), migration=RULES["postcopy"], vm_memory_bytes=3 * GIB))
    tell(engine, moves={0: 1}, power={0: SLEEP}, ticks=2)
    record = engine.telemetry()
    assert (record.host_of[0, 0], record.moving_to[0, 0]) == (1, 1)
    assert engine.host[0, at.HELD].tolist() == [3 * GIB, 3 * GIB]
    assert states(engine)[0] == ON
    tell(engine, moves={0: 0}, ticks=1)
    assert engine.outcome[0, at.REFUSED, 0] == 1
    assert engine.host[0, at.HELD].tolist() == [0, 3 * GIB]


@pytest.mark.parametrize("rule", [name for name in RULES if name != "until_told"])
def test_every_rule_ends(rule, engine_of, tell):
    hot = writing([(0.2 * GIB, 5.0, mig.RANDOM)])
    engine = engine_of(plain_centre((0,), migration=RULES[rule], dirty=hot, demand=0.6))
    tell(engine, moves={0: 1}, ticks=30)
    assert engine.outcome[0, at.ENDED, 0] == 1
    assert engine.telemetry().host_of[0, 0] == 1


def test_a_vm_that_leaves_on_its_way_frees_both_hosts(engine_of, tell):
    engine = engine_of(plain_centre((0,), vm_memory_bytes=3 * GIB, leave_s=15.0))
    tell(engine, moves={0: 1}, ticks=3)
    assert engine.host[0, at.HELD].tolist() == [0, 0]
    assert engine.host[0, at.BUSY_MOVES].tolist() == [0, 0]
    assert engine.outcome[0, at.FAILED, 0] == 1


def test_what_cannot_be_is_refused_and_counted(engine_of, tell):
    scenario = plain_centre(
        (0, 0), num_hosts=4, exists=(True, True, True, False), asleep=(False, False, True, False)
    )
    engine = engine_of(scenario)
    tell(engine, moves={0: 2, 1: 3}, power={3: WAKE}, ticks=1)
    assert engine.outcome[0, at.REFUSED].tolist() == [1, 1]
    assert engine.measured(["host_orders_refused"])["host_orders_refused"][0] == 1
    tell(engine, moves={0: 0, 1: NOWHERE}, power={2: SLEEP}, ticks=1)
    assert engine.outcome[0, at.REFUSED].sum() == 0
    assert engine.host_outcome[0, at.HOST_REFUSED].sum() == 0
    tell(engine, power={2: WAKE}, ticks=1)
    tell(engine, moves={0: 2}, ticks=1)
    assert states(engine)[2] == WAKING
    assert engine.outcome[0, at.REFUSED, 0] == 1
    with pytest.raises(ValueError, match="target"):
        tell(engine, moves={0: 4})
    with pytest.raises(ValueError, match="num_ticks"):
        tell(engine, ticks=0)


def test_a_vm_on_its_way_is_not_told_elsewhere(engine_of, tell):
    engine = engine_of(plain_centre((0,), num_hosts=3, vm_memory_bytes=3 * GIB))
    tell(engine, moves={0: 1}, ticks=1)
    tell(engine, moves={0: 1}, ticks=1)
    assert engine.outcome[0, at.REFUSED, 0] == 0
    tell(engine, moves={0: 2}, ticks=1)
    assert engine.outcome[0, at.REFUSED, 0] == 1
    assert engine.telemetry().host_of[0, 0] == 1
