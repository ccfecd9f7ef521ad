from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.centre import CentreScenarios, scale_to_mean
from gymbal_envs.scenarios.centre_config import Arrivals, CentreConfig
from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.scenarios.centre_toy import TOYS, plain_centre
from gymbal_envs.scenarios.centre_types import HOST_TYPES, SLEEP_TYPES, VM_TYPES, HostType, VmType
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS, SIZE, TAU
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.centre.telemetry import NOWHERE

SPLITS = ("train", "validation", "test")
HOURS = CentreConfig(episode_s=14400.0)


@pytest.fixture(scope="module")
def trace():
    return SyntheticFleet().generate(80, 1200, 3)


@pytest.fixture(scope="module")
def drawn(trace):
    return [CentreScenarios(trace, HOURS, "train", 0)(i) for i in range(60)]


def same(one, other):
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(CentreScenario)
    )


def test_a_scenario_is_the_same_whenever_it_is_drawn(trace):
    one, other = (CentreScenarios(trace, HOURS, "test", 5) for _ in range(2))
    for _ in range(3):
        one(7)
    assert same(one(3), other(3))
    assert not same(one(3), one(4))
    assert not same(one(3), CentreScenarios(trace, HOURS, "test", 6)(3))
    assert not same(one(3), CentreScenarios(trace, HOURS, "validation", 5)(3))


def test_splits_share_neither_vms_nor_time(trace):
    sources = [CentreScenarios(trace, HOURS, split, 0) for split in SPLITS]
    for i, one in enumerate(sources):
        for other in sources[i + 1 :]:
            assert not set(one.vms) & set(other.vms)
            assert one.last <= other.first or other.last <= one.first


def test_draws_lie_in_their_ranges(drawn):
    cfg = HOURS
    sizes = {round(s.exists.sum()) for s in drawn}
    assert cfg.num_hosts[0] <= min(sizes) < 20 < max(sizes) <= cfg.num_hosts[1]
    for s in drawn:
        hosts, vms = s.exists, s.present
        assert (s.num_hosts, s.num_vms, s.num_knots) == (cfg.max_hosts, cfg.max_vms, 49)
        assert vms.sum() <= hosts.sum() * cfg.vms_per_host[1] + 1
        assert (s.host_of[vms] >= 0).all()
        memory = s.vm_memory_bytes[vms].sum() / s.memory_bytes[hosts].sum()
        assert memory <= cfg.memory_load
        use = s.demand[:, vms].mean()
        assert cfg.mean_use[0] * 0.8 < use < cfg.mean_use[1] * 1.2
        assert not s.demand[:, ~vms].any()
        assert 10 <= s.wake_s[hosts].min() <= s.wake_s.max() <= 260
    rules, waking = {s.migration.name for s in drawn}, {s.wake_s.max() > 100 for s in drawn}
    assert rules == set(cfg.rules)
    assert waking == {True, False}


def test_vms_start_spread_packed_or_anywhere(trace):
    def used(start):
        scenarios = CentreScenarios(trace, replace(HOURS, starts=(start,)), "train", 0)
        drawn = [scenarios(i) for i in range(10)]
        hosts = [np.unique(s.host_of[s.present]).size / s.exists.sum() for s in drawn]
        return np.mean(hosts), sum(int(s.asleep.sum()) for s in drawn)

    (spread, a), (random, b), (packed, c) = used("spread"), used("random"), used("packed")
    assert packed < 0.7 * random < random < spread
    assert (a, b) == (0, 0) < (c, 0)


def test_packed_vms_do_not_begin_with_too_little_cpu_time(trace):
    config = replace(HOURS, starts=("packed",), mean_use=(0.5, 0.5), memory_load=0.3)
    for index in range(5):
        s = CentreScenarios(trace, config, "train", 1)(index)
        wanted = np.zeros(s.num_hosts)
        np.add.at(wanted, s.host_of[s.present], (s.vm_mips * s.demand[0])[s.present])
        assert (wanted <= s.cpu_mips * config.packed_use + 1e-6).all()


def test_vms_come_and_go(trace):
    config = replace(HOURS, arrivals=Arrivals(frac=0.5, stay_s=(600.0, 7200.0)))
    drawn = [CentreScenarios(trace, config, "train", 0)(i) for i in range(10)]
    late = np.concatenate([s.arrive_s[s.present] > 0 for s in drawn])
    leaves = np.concatenate([np.isfinite(s.leave_s[s.present]) for s in drawn])
    assert 0.35 < late.mean() < 0.65
    assert 0.5 < leaves.mean() < 0.9
    for s in drawn:
        assert (s.host_of[s.arrive_s > 0] == NOWHERE).all()
        assert (s.host_of[s.present & (s.arrive_s == 0)] != NOWHERE).all()


def test_a_small_trace_is_played_at_several_times(trace):
    few = CentreScenarios(trace, replace(HOURS, vms_per_host=(3.0, 3.0)), "test", 0)
    s = few(1)
    assert s.present.sum() > few.vms.size
    columns = s.demand[:, s.present].T
    alike = {column.tobytes() for column in columns if column.std() > 0.01}
    assert len(alike) == sum(column.std() > 0.01 for column in columns)


def test_demand_is_scaled_by_one_factor_and_cut():
    use = np.random.default_rng(0).beta(0.3, 3.0, (50, 40))
    for mean in (0.02, 0.1, 0.4):
        scaled = scale_to_mean(use, mean)
        assert scaled.mean() == pytest.approx(mean, rel=1e-6)
        below = scaled < 1.0
        factor = scaled[below] / use[below]
        assert np.ptp(factor) < 1e-9 * factor.max()
    assert not scale_to_mean(np.zeros((3, 2)), 0.1).any()
    assert scale_to_mean(np.array([[0.0], [0.5]]), 0.9).tolist() == [[0.0], [1.0]]


def test_demand_is_the_traces_own_where_no_mean_is_asked_for(trace):
    plain = CentreScenarios(trace, replace(HOURS, mean_use=None), "train", 0)
    s = plain(0)
    values = trace.cpu_frac[np.ix_(plain.vms, np.arange(plain.first, plain.last))]
    assert np.isin(s.demand[:, s.present], values).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hosts": (10, 60)}, "num_hosts"),
        ({"vms_per_host": (2.0, 1.0)}, "vms_per_host"),
        ({"memory_scale": (0.0, 1.0)}, "memory_scale"),
        ({"memory_load": 1.2}, "memory_load"),
        ({"mean_use": (0.1, 0.9)}, "mean_use"),
        ({"shares": ()}, "shares"),
        ({"host_types": ("g4", "g9")}, "host_types .*g9"),
        ({"vm_types": ()}, "vm_types"),
        (
            {"vm_types": ("quad",), "host_types": ("g4",), "memory_scale": (1.0, 1.0)},
            "fit on none",
        ),
        ({"rules": ("until_told",)}, "rules .*until_told"),
        ({"sleep_types": ("deep",)}, "sleep_types"),
        ({"starts": ("sorted",)}, "starts"),
        ({"knot_s": 0.0}, "episode_s"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ScenarioError, match=message):
        replace(CentreConfig(), **changes)


@pytest.mark.parametrize("changes", [{"frac": 1.5}, {"stay_s": (0.0, 1.0)}, {"forever_frac": -1.0}])
def test_arrivals_that_make_no_sense_are_refused(changes):
    with pytest.raises(ScenarioError, match=next(iter(changes))):
        Arrivals(**changes)


def test_types_that_make_no_sense_are_refused():
    with pytest.raises(ScenarioError, match="curve 'none'"):
        HostType("h", "none", 2, 1000.0, GIB)
    with pytest.raises(ScenarioError, match="memory_bytes"):
        VmType("v", 1, 1000.0, 0.0)
    with pytest.raises(ScenarioError, match="wake_s"):
        replace(SLEEP_TYPES["s3"], wake_s=(15.0, 10.0))
    assert max(kind.memory_bytes for kind in VM_TYPES.values()) < HOST_TYPES["x3250"].memory_bytes


TOO_DIRTY = np.zeros((2, NUM_GROUPS, NUM_DIRTY))
TOO_DIRTY[:, :, TAU] = 1.0
TOO_DIRTY[1, 0, SIZE] = 2 * GIB


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vm_mips": (1000.0, 0.0)}, "vm_mips of VM 1 is 0.0; give finite values above 0"),
        ({"sleep_w": (5.0, -1.0)}, "sleep_w of host 1 is -1.0"),
        ({"memory_bytes": (4 * GIB, GIB / 2)}, "memory_bytes of host 1 .* move one"),
        ({"asleep": (False, True)}, "host_of of VM 1 is 1; .*host that is on"),
        ({"arrive_s": (0.0, 10.0)}, "host_of of VM 1 is 1; .*from the beginning"),
        ({"host_of": np.array([0, 2])}, "host_of of VM 1 is 2; name a host below 2"),
        ({"leave_s": (0.0, 10.0)}, "leave_s of VM 0 is 0.0; put it after"),
        ({"core_mips": 2000.0}, "core_mips of host 0 is 2000.0; lower it"),
        ({"demand": 1.5}, "demand of VM 0 is 1.5"),
        ({"demand": (0.2, -0.5)}, "demand of VM 1 is -0.5"),
        ({"knots": 1}, "at least 2"),
        ({"dirty": np.zeros((2, 2))}, "dirty has shape"),
        ({"dirty": TOO_DIRTY}, "dirty of VM 1 .*vm_memory_bytes"),
        ({"present": False}, "no host or no VM"),
        ({"knot_s": -1.0}, "knot_s"),
        ({"migration": RULES["until_told"]}, "until_told"),
    ],
)
def test_centres_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ScenarioError, match=message):
        plain_centre(**changes)


def test_a_source_is_made_from_plain_settings():
    config = ScenarioConfig(centre=HOURS)
    assert (config.num_vms, config.num_hosts, config.num_knots) == (150, 50, 49)
    assert (config.knot_s, config.episode_steps(300.0)) == (300.0, 48)
    source = make_source(config, "validation", 3)
    assert source(0).name.endswith("validation/3/0")
    turns = replace(config, trace=("synthetic", "synthetic"))
    assert same(make_source(turns, "train", 0)(3), make_source(config, "train", 0)(1))
    toy = replace(config, toy="two-halves")
    assert (toy.num_vms, toy.num_hosts, toy.num_knots) == (2, 2, 13)
    assert make_source(toy, "train", 0)(9).name == "two-halves"
    assert set(TOYS) == {"two-halves", "brief-lull", "good-neighbours"}
