"""Rules of consolidation run simulated data centres: nothing is refused, and energy is saved."""

import pytest

from gymbal_envs.scenarios.centre_config import Arrivals, CentreConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_runtime.centre.heuristics import CENTRE_HEURISTICS, make_centre_heuristic

HOSTS, CENTRES, STEPS = 8, 4, 48
CONFIG = ScenarioConfig(
    # Memory keeps rules from packing VMs that will want more CPU time than a host has.
    centre=CentreConfig(
        num_hosts=(HOSTS, HOSTS),
        max_hosts=HOSTS,
        vms_per_host=(1.5, 2.5),
        arrivals=Arrivals(),
        memory_scale=(1.0, 2.0),
        mean_use=(0.08, 0.25),
    )
)
MOVING = ("thr_mmt", "iqr_mmt", "mad_mmt", "lr_mmt", "drs", "vm_workload_consolidation",
          "basic_consolidation")  # fmt: skip


@pytest.fixture(scope="module")
def scenarios():
    source = make_source(CONFIG, "train", 0)
    return [source(number) for number in range(CENTRES)]


@pytest.fixture(scope="module")
def played(scenarios):
    """What four hours under each rule bring, by name."""

    def play(name):
        engine = CentreEngine(CENTRES, HOSTS, CONFIG.num_vms, CONFIG.num_knots)
        engine.load(range(CENTRES), scenarios)
        rule, sums = make_centre_heuristic(name), {}
        rule.reset(CENTRES, CONFIG.num_vms)
        for _ in range(STEPS):
            engine.step(rule.act(engine.telemetry()))
            for measure, values in engine.measured().items():
                sums[measure] = sums.get(measure, 0.0) + values.sum()
        return sums

    return {name: play(name) for name in CENTRE_HEURISTICS}


@pytest.mark.parametrize("name", CENTRE_HEURISTICS)
def test_no_order_is_refused(played, name):
    assert played[name]["vm_orders_refused"] == 0
    assert played[name]["host_orders_refused"] == 0


@pytest.mark.parametrize("name", MOVING)
def test_consolidation_saves_energy_at_little_loss(played, name):
    sums, null = played[name], played["always_on"]
    assert null["moves_begun"] == 0
    assert sums["moves_begun"] > 0
    assert sums["energy_j"] < 0.8 * null["energy_j"]
    lost = 1.0 - sums["got_mips_s"] / sums["wanted_mips_s"]
    assert lost < 1.0 - null["got_mips_s"] / null["wanted_mips_s"] + 0.05


def test_what_moves_nothing_moves_nothing(played):
    for name in ("always_on", "delayed_off", "saving_energy"):
        assert played[name]["moves_begun"] == 0
    assert played["always_on"]["sleeps"] == 0
    assert played["delayed_off"]["energy_j"] < played["always_on"]["energy_j"]
