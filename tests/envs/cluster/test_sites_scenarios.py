from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.sites import SitesConfig, SitesScenarios
from gymbal_envs.scenarios.sites_scenario import SitesScenario, Wan
from gymbal_envs.scenarios.sites_toy import TOYS, QuietSpell, TwoSizes, plain_sites
from gymbal_envs.scenarios.source import ScenarioConfig, default_scenario, make_source
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.migration_layout import SIZE
from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.sites.orders import COPY, REPLICATE, STOP, SitesOrders
from gymbal_runtime.sites.telemetry import ARRIVED, PRECOPY
from gymbal_runtime.tasks import SITES

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def trace():
    return SyntheticFleet().generate(60, 1200, 3)


@pytest.fixture(scope="module")
def drawn(trace):
    return [SitesScenarios(trace, SitesConfig(), "train", 0)(i) for i in range(40)]


def same(one: SitesScenario, other: SitesScenario) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(SitesScenario)
    )


def test_a_scenario_is_the_same_whenever_it_is_drawn(trace):
    one, other = (SitesScenarios(trace, SitesConfig(), "test", 5) for _ in range(2))
    for _ in range(3):
        one(7)
    assert same(one(3), other(3))
    assert not same(one(3), one(4))
    assert not same(one(3), SitesScenarios(trace, SitesConfig(), "test", 6)(3))


def test_splits_share_neither_vms_nor_time(trace):
    sources = [SitesScenarios(trace, SitesConfig(), split, 0) for split in SPLITS]
    for i, one in enumerate(sources):
        for other in sources[i + 1 :]:
            assert not set(one._vms) & set(other._vms)
            assert one._last <= other._first or other._last <= one._first


def test_draws_lie_in_their_ranges(drawn):
    cfg = SitesConfig()
    for s in drawn:
        here = s.present
        assert cfg.num_vms[0] <= here.sum() <= cfg.num_vms[1]
        assert cfg.load[0] * 0.99 <= s.load <= cfg.load[1] * 1.01
        assert np.all(s.dirty[here, :, SIZE].sum(axis=1) <= s.memory_bytes[here])
        assert s.activity.min() >= 0
        assert s.activity.max() <= 1
        assert s.background.max() <= cfg.busiest + 1e-6
        assert s.activity[:, ~here].max(initial=0.0) == 0.0
        assert s.num_knots == 721
    assert len({int(s.present.sum()) for s in drawn}) > 3
    assert any(s.wan.flow_limit_bytes_s < s.wan.bytes_s for s in drawn)


def test_activity_has_peaks_and_lulls(drawn):
    quiet = [np.mean(s.activity[:, s.present] < 0.1) for s in drawn]
    spread = [s.activity[:, s.present].std(axis=0).mean() for s in drawn]
    assert 0.05 < np.mean(quiet) < 0.5
    assert np.mean(spread) > 0.1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_vms", (3, 9), "num_vms"),
        ("load", (0.5, 0.2), "load"),
        ("disk_redundancy", (0.2, 1.0), "disk_redundancy"),
        ("write_set_frac", (0.5, 1.5), "write_set_frac"),
        ("warm_frac", (0.05, 0.95), "together"),
        ("busiest", 1.0, "busiest"),
    ],
)
def test_settings_that_make_no_sense_are_refused(field, value, message):
    with pytest.raises(ScenarioError, match=message):
        replace(SitesConfig(), **{field: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": 0.0}, "shares"),
        ({"memory_redundancy": 1.0}, "memory_redundancy"),
        ({"write_set_bytes": 1.0}, "write_set_bytes must not exceed disk_bytes"),
        ({"background": np.full(361, 1.0, dtype=np.float32)}, "background"),
        ({"activity": np.full((361, 2), 0.5, dtype=np.float32)}, "activity has shape"),
        ({"present": np.zeros(1, dtype=np.bool_)}, "no VM"),
    ],
)
def test_scenarios_that_no_line_could_carry_are_refused(changes, message):
    with pytest.raises(ScenarioError, match=message):
        plain_sites(1e9, **changes)


def test_lines_that_make_no_sense_are_refused():
    for wrong in ({"bytes_s": 0.0}, {"rtt_s": -1.0}, {"loss": 1.0}):
        with pytest.raises(ScenarioError, match=next(iter(wrong))):
            replace(Wan(1e8, 0.02), **wrong)


def test_a_source_is_made_from_plain_settings():
    config = default_scenario(SITES)
    assert (config.num_vms, config.num_knots, config.num_hosts) == (8, 721, 1)
    assert config.episode_steps(10.0) == 720
    source = make_source(config, "validation", 3)
    assert source(0).name.endswith("validation/3/0")
    turns = ScenarioConfig(sites=SitesConfig(), trace=("synthetic", "synthetic"))
    assert same(make_source(turns, "train", 0)(3), make_source(config, "train", 0)(1))
    toy = ScenarioConfig(sites=SitesConfig(), toy="two-sizes")
    assert (toy.num_vms, toy.num_knots) == (2, 361)
    assert make_source(toy, "train", 0)(9).name == "two-sizes"
    assert set(TOYS) == {"two-sizes", "quiet-spell"}


def away_s(scenario, agent_name, **options):
    """Seconds until each VM has arrived."""
    engine = SitesEngine(1, scenario.num_vms, scenario.num_knots)
    engine.load([0], [scenario])
    agent = make_sites_heuristic(agent_name, **options)
    for _ in range(360):
        engine.step(agent.act(engine.telemetry()))
    assert (engine.vm[0, at.PHASE] == ARRIVED).all()
    return engine.vm[0, at.ARRIVED_S]


def test_two_sizes_the_smaller_goes_first_and_alone():
    scenario = TwoSizes()()
    seconds = scenario.memory_bytes * 1.0534 / 100e6
    optimum = 2 * seconds.min() + seconds.max()
    found = {
        (order, at_once): away_s(scenario, "smart_stop", order=order, concurrency=at_once).sum()
        for order in ("worth", "smallest", "largest")
        for at_once in (1.0, 2.0)
    }
    best = found["smallest", 1.0]
    assert best == found["worth", 1.0] == min(found.values())
    # orders come every 10 s: the replication of no disk, the stop and the next one's start wait
    assert optimum < best < optimum + 4 * 30.0
    assert found["largest", 1.0] > best + 0.9 * (seconds.max() - seconds.min())
    assert found["worth", 2.0] > best + 0.4 * seconds.min()


def paused_if_stopped_at(scenario, stop_s):
    engine = SitesEngine(1, 1, scenario.num_knots)
    engine.load([0], [scenario])
    paused = 0.0
    for step in range(180):
        verb = {0: REPLICATE, 1: COPY, round(stop_s / 10): STOP}.get(step, 0)
        engine.step(SitesOrders.of(np.array([[verb]])))
        paused += engine.outcome[0, at.PAUSED, 0]
    assert engine.vm[0, at.PHASE, 0] == ARRIVED
    return paused


def test_quiet_spell_waiting_for_it_spares_the_downtime():
    scenario = QuietSpell()()
    busy, quiet = paused_if_stopped_at(scenario, 200.0), paused_if_stopped_at(scenario, 330.0)
    assert busy == pytest.approx(1.0737e9 * 1.0534 / 100e6 + 0.36, rel=0.05)
    assert quiet == pytest.approx(0.36, abs=0.01)
    waits = 130.0 * scenario.away_cost[0]
    assert 10.0 * (busy - quiet) > 10 * waits


def test_precopy_of_the_quiet_spell_never_ends_by_itself():
    engine = SitesEngine(1, 1, 181)
    engine.load([0], [QuietSpell()()])
    for step in range(100):
        engine.step(SitesOrders.of(np.array([[{0: REPLICATE, 1: COPY}.get(step, 0)]])))
    assert engine.vm[0, at.PHASE, 0] == PRECOPY
