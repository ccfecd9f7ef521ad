"""A policy in the CloudSim mode: what it sees, and that it reaches the very rule."""

import numpy as np
import pytest

from gymbal_envs.simulator.centre.cloudsim import CloudSimCentre
from gymbal_envs.simulator.centre.cloudsim_corrected import CorrectedCentre
from gymbal_envs.simulator.centre.cloudsim_example import example_hosts, example_vms
from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.centre.codec_agent import CentreCodecAgent
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, ON

HOSTS, VMS = 40, 60


def traces():
    rng = np.random.default_rng(3)
    level = rng.uniform(5, 60, (VMS, 1))
    return np.clip(level + rng.normal(0, 12, (VMS, 60)), 1, 100).round()


def corrected(answer, policy="LR-MMT-1.2"):
    """A centre whose policy always answers the same three numbers, and what it was shown."""
    seen = []

    def always(observation):
        seen.append(observation)
        shape = (*observation["present"].shape, 3)
        return np.broadcast_to(np.array(answer, dtype=np.float32), shape).copy()

    agent = CentreCodecAgent(CentreCodec(heuristic="lr_mmt"), always)
    return CorrectedCentre(example_hosts(HOSTS), example_vms(VMS), traces(), policy, agent), seen


def test_a_policy_that_answers_zero_is_the_rule_to_the_last_bit():
    centre, seen = corrected((0.0, 0.0, 0.0))
    plain = CloudSimCentre(example_hosts(HOSTS), example_vms(VMS), traces(), "LR-MMT-1.2")
    assert centre.run() == plain.run()
    assert len(seen) == centre.num_events


def test_what_it_sees_lies_in_the_bounds_of_the_codec():
    centre, seen = corrected((0.0, 0.0, 0.0))
    centre.run()
    bounds = CentreCodec().bounds()
    for observation in seen:
        for name in ("hosts", "centre"):
            low, high = bounds[name]
            assert (observation[name] >= low).all()
            assert (observation[name] <= high).all()


def test_lower_thresholds_leave_more_hosts_on():
    careful, _ = corrected((-1.0, -1.0, 0.0))
    bold, _ = corrected((1.0, 1.0, 0.0))
    assert careful.run().energy_kwh > 1.02 * bold.run().energy_kwh


def test_hosts_that_are_kept_are_not_emptied():
    kept, _ = corrected((0.0, 0.0, 1.0))
    plain, _ = corrected((0.0, 0.0, 0.0))
    kept, plain = kept.run(), plain.run()
    assert kept.migrations < 0.2 * plain.migrations
    assert kept.energy_kwh > plain.energy_kwh


class Witness:
    """Lets the rule decide, and keeps what it was shown, what was so, and what was ordered."""

    heuristic = None

    def __init__(self):
        self.seen = []

    def reset(self, num_worlds, num_vms, worlds=None):
        self.size = (num_worlds, num_vms)

    def act(self, telemetry):
        used, orders = self.heuristic.centre.used_mips.copy(), self.heuristic.act(telemetry)
        self.seen.append((telemetry, used, orders))
        return orders


def test_records_are_what_is_so_and_orders_what_is_planned():
    witness = Witness()
    args = (example_hosts(HOSTS), example_vms(VMS), traces(), "LR-MMT-1.2", witness)
    result = CorrectedCentre(*args).run()
    assert witness.size == (1, VMS)
    ordered = 0
    for record, used, orders in witness.seen:
        on = record.state[0] == ON
        np.testing.assert_array_equal(on, used > 0)
        assert (record.state[0][~on] == ASLEEP).all()
        moves = orders.target[0] != NOWHERE
        ordered += moves.sum()
        assert on[record.host_of[0][moves]].all()
        place = np.where(moves, orders.target[0], record.host_of[0])
        assert not np.isin(np.flatnonzero(orders.power[0] == SLEEP), place).any()
        assert np.isin(np.flatnonzero(orders.power[0] == WAKE), place).all()
    assert 0 < ordered <= result.migrations


def test_a_policy_without_a_rule_to_correct_is_refused():
    with pytest.raises(ValueError, match="NPA never migrates"):
        corrected((0.0, 0.0, 0.0), "NPA")
