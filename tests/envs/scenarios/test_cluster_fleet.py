"""Clusters drawn from a trace: reproducible, in range, overloaded in parts and roomy as a whole."""

from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_envs.demand.statistics import overload_runs
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_fleet import ClusterFleetScenarios
from gymbal_envs.scenarios.cluster_scenario import FAR_TIERS, GIGABIT, ClusterScenario
from gymbal_envs.scenarios.cluster_writes import WriteConfig, draw_writes
from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.machine import MachineConfig, MachineDraw, programs_of
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator.cluster.migration_layout import NUM_GROUPS, SWEEP
from gymbal_envs.simulator.params import MIB, TIERS

CONFIG = ClusterConfig()
SMALL = ClusterConfig(num_hosts=(2, 3), max_hosts=3, vms_per_host=(2, 3), slots=4, episode_s=900.0)
NUM_DRAWN = 40


@pytest.fixture(scope="module")
def trace():
    return SyntheticFleet().generate(160, 1200, seed=5)


@pytest.fixture(scope="module")
def drawn(trace):
    source = ClusterFleetScenarios(trace, CONFIG, "train", seed=3)
    return [source(index) for index in range(NUM_DRAWN)]


def same(one, other, kind):
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(kind)]
    return all(equal(a, b) for a, b in pairs)


def equal(a, b):
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return same(a, b, Scenario) if isinstance(a, Scenario) else a == b


def hosts_of(cluster):
    return [host for host in cluster.hosts if host is not None]


def room(host):
    return host.capacity_bytes - host.kernel_bytes.sum()


def load(host):
    return host.working_set_bytes.sum(axis=1) / room(host)


def test_a_number_names_the_same_cluster_whenever_it_is_drawn(trace, drawn):
    again = ClusterFleetScenarios(trace, CONFIG, "train", seed=3)
    for index in (39, 0, 17):
        assert same(again(index), drawn[index], ClusterScenario)


def test_numbers_seeds_splits_and_hosts_all_differ(trace, drawn):
    others = [
        ClusterFleetScenarios(trace, CONFIG, "train", seed=4)(0),
        ClusterFleetScenarios(trace, CONFIG, "validation", seed=3)(0),
        ClusterFleetScenarios(trace, CONFIG, "test", seed=3)(0),
        drawn[0],
        drawn[1],
    ]
    hosts = [host for cluster in others for host in hosts_of(cluster)]
    assert len({host.seed for host in hosts}) == len(hosts)


def test_what_is_drawn_lies_in_the_configured_ranges(drawn):
    for cluster in drawn:
        assert CONFIG.num_hosts[0] <= cluster.exists.sum() <= CONFIG.num_hosts[1]
        assert cluster.num_hosts == CONFIG.max_hosts
        assert (cluster.slots, cluster.num_knots) == (CONFIG.slots, CONFIG.num_knots)
        assert cluster.knot_s == CONFIG.knot_s
        counts = cluster.present.sum(axis=1)[cluster.exists]
        assert CONFIG.vms_per_host[0] <= counts.min()
        assert counts.max() <= CONFIG.vms_per_host[1]
        assert len({host.tier for host in hosts_of(cluster)}) == 1
        assert hosts_of(cluster)[0].tier in [TIERS[name] for name in CONFIG.tiers]
        assert cluster.migration.name in CONFIG.rules
        assert cluster.far in FAR_TIERS.values()
        gbit = cluster.nic_bytes_s / GIGABIT
        assert np.all(np.isin(gbit, CONFIG.nic_gbit_s))
        assert (cluster.far.name == "tcp_1g") == (gbit[0] == 1.0)
        assert not cluster.clonable[~cluster.present].any()
    clonable = sum(c.clonable.sum() for c in drawn) / sum(c.present.sum() for c in drawn)
    assert clonable == pytest.approx(CONFIG.clonable_frac, abs=0.06)


def test_hosts_are_overcommitted_as_configured(drawn):
    for cluster in drawn:
        hosts = hosts_of(cluster)
        ratio = [host.memory_max_bytes.sum() / room(host) for host in hosts]
        working = sum(host.working_set_bytes.sum(axis=1) for host in hosts)
        peak = working.max() / sum(map(room, hosts))
        assert peak <= CONFIG.headroom * (1 + 1e-6)
        assert max(ratio) <= CONFIG.overcommit[1] * (1 + 1e-9)
        if peak < CONFIG.headroom * (1 - 1e-6):  # else memory was added
            assert min(ratio) >= CONFIG.overcommit[0] * (1 - 1e-9)


def test_most_episodes_have_an_overload_and_most_overloads_are_short(drawn):
    runs = [overload_runs(load(host)[None]) for c in drawn for host in hosts_of(c)]
    assert np.mean([any(load(h).max() > 1 for h in hosts_of(c)) for c in drawn]) > 0.6
    lasted = np.concatenate([r.length[r.complete] for r in runs]) * CONFIG.knot_s
    assert np.mean(lasted < 120.0) > 0.7
    assert np.mean([load(host).max() > 1 for c in drawn for host in hosts_of(c)]) < 0.6


def test_what_nobody_uses_is_free_at_the_start(drawn):
    free = []
    for cluster in drawn:
        for host in hosts_of(cluster):
            held = host.initial_bytes[host.present]
            assert held.sum() <= host.capacity_bytes * (1 + 1e-9)
            assert np.all(held >= host.memory_min_bytes[host.present] * (1 - 1e-9))
            assert np.all(held <= host.memory_max_bytes[host.present] * (1 + 1e-9))
            free.append(1 - held.sum() / host.capacity_bytes)
    assert np.median(free) > 0.1


def test_dirty_rates_span_from_idle_to_faster_than_qemu_sends(drawn):
    rates = []
    for cluster in drawn:
        for h, host in enumerate(cluster.hosts):
            if host is None:
                continue
            here = host.present
            size = cluster.dirty_set_frac[h, here] * host.working_set_bytes.mean(axis=0)[here, None]
            rates.append((size / cluster.dirty_tau_s[h, here])[:, 0])
    rates = np.concatenate(rates)
    assert np.mean(rates < 5e6) > 0.2
    assert 0.05 < np.mean(rates > 128 * MIB) < 0.4
    none = ~drawn[0].present
    assert not drawn[0].dirty_set_frac[none].any()
    assert np.isinf(drawn[0].dirty_tau_s[none]).all()


def test_nothing_breaks_unless_it_is_asked_for(trace, drawn):
    for cluster in drawn:
        assert np.isinf(cluster.link_cut).all()
        assert np.isinf(cluster.memory_service_fails_s).all()
        assert np.isinf(cluster.vm_stops_s).all()
    faulty = replace(CONFIG, link_cut_prob=0.5, memory_service_fail_prob=0.5, vm_stop_prob=0.5)
    source = ClusterFleetScenarios(trace, faulty, "train", seed=3)
    broken = [source(index) for index in range(10)]
    cut = np.concatenate([c.link_cut for c in broken])
    assert 0.3 < np.mean(np.isfinite(cut[:, 0])) < 0.7
    lasted = np.diff(cut[np.isfinite(cut[:, 0])]).ravel()
    assert np.all((lasted >= faulty.link_cut_s[0]) & (lasted <= faulty.link_cut_s[1] * (1 + 1e-9)))
    assert 0.3 < np.mean([np.isfinite(c.memory_service_fails_s).mean() for c in broken]) < 0.7
    assert 0.3 < np.mean([np.isfinite(c.vm_stops_s).mean() for c in broken]) < 0.7


def test_the_splits_draw_from_disjoint_vms_and_disjoint_times(trace):
    """Each VM and sample of a doctored trace carries a mark; a scenario shows which it used."""
    plain = FleetConfig(excursion_height=0.0, footprint_frac=(0.0, 0.0))
    config = replace(SMALL, host=plain)
    cells = np.arange(160 * 1200, dtype=np.float64).reshape(160, 1200) / (160 * 1200)
    marked = replace(
        trace,
        active_frac=(cells * 0.5 + 0.1).astype(np.float32),
        memory_bytes=np.full(160, 2.0**36),
    )
    used = {}
    for split in ("train", "validation", "test"):
        source = ClusterFleetScenarios(marked, config, split, seed=0)
        found = np.concatenate([marks(host) for i in range(30) for host in hosts_of(source(i))])
        used[split] = (set(found // 1200), (found % 1200).min(), (found % 1200).max())
    assert not used["train"][0] & used["validation"][0]
    assert not used["train"][0] & used["test"][0]
    assert not used["validation"][0] & used["test"][0]
    assert used["train"][2] < used["validation"][1]
    assert used["validation"][2] < used["test"][1]


def marks(host):
    frac = host.working_set_bytes[[0, -1]][:, host.present].astype(np.float64) / 2.0**36
    return np.round((frac.ravel() - 0.1) / 0.5 * 160 * 1200).astype(int)


def test_thirty_two_hosts_of_a_small_trace_do_not_do_the_same(trace):
    config = replace(CONFIG, num_hosts=(32, 32), max_hosts=32, vms_per_host=(10, 10))
    cluster = ClusterFleetScenarios(trace, config, "test", seed=0)(0)
    assert cluster.exists.all()
    demand = np.concatenate([h.working_set_bytes[:, h.present] for h in cluster.hosts], axis=1)
    assert demand.shape == (CONFIG.num_knots, 320)
    assert np.unique(demand, axis=1).shape[1] == 320


def test_a_machine_is_drawn_for_every_host(trace):
    machine = MachineDraw(
        MachineConfig(devices=True), programs_of("", "train"), SMALL.slots, SMALL.num_knots, 30.0
    )
    with_rest = ClusterFleetScenarios(trace, SMALL, "train", 0, machine)(1)
    without = ClusterFleetScenarios(trace, SMALL, "train", 0)(1)
    for one, other in zip(with_rest.hosts, without.hosts, strict=True):
        if one is None:
            continue
        assert one.resources is not None
        np.testing.assert_array_equal(one.working_set_bytes, other.working_set_bytes)
        assert one.capacity_bytes == other.capacity_bytes


def test_writes_are_the_configured_ones():
    rng = np.random.Generator(np.random.Philox(key=1))
    config = WriteConfig(sweep_frac=0.5)
    working_set = np.full(400, 2.0**30)
    size, tau, kind = draw_writes(rng, config, working_set)
    assert size.shape == tau.shape == kind.shape == (400, NUM_GROUPS)
    rate = size[:, 0] * working_set / tau[:, 0] / 1e6
    assert config.hot_mb_s[0] <= rate.min() * (1 + 1e-9)
    assert rate.max() <= config.hot_mb_s[1] * (1 + 1e-9)
    assert np.mean(kind[:, 0] == SWEEP) == pytest.approx(0.5, abs=0.1)
    assert np.all(size.sum(axis=1) <= 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_hosts": (2, 9)}, r"num_hosts \(2, 9\).*max_hosts \(8\)"),
        ({"num_hosts": (0, 3)}, "num_hosts"),
        ({"vms_per_host": (4, 13)}, r"vms_per_host \(4, 13\).*slots \(12\)"),
        ({"tiers": ("floppy",)}, "tiers"),
        ({"far_tiers": ("pigeon",)}, r"far_tiers \['pigeon'\] unknown.*rdma"),
        ({"rules": ()}, "rules"),
        ({"overcommit": (5.0, 4.0)}, "overcommit"),
        ({"headroom": 1.2}, "headroom"),
        ({"size_band": 0.5}, "size_band"),
        ({"nic_gbit_s": ()}, "nic_gbit_s"),
        ({"link_cut_prob": 1.5}, r"link_cut_prob \(1.5\)"),
        ({"overload_frac": -0.1}, "overload_frac"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(changes, named):
    with pytest.raises(ScenarioError, match=named):
        ClusterConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hot_frac": (0.5, 0.9)}, "writes: hot_frac, warm_frac"),
        ({"warm_s": (0.0, 3.0)}, "writes.warm_s"),
        ({"sweep_frac": 2.0}, "writes.sweep_frac"),
        ({"always_s": 0.0}, "writes.always_s"),
    ],
)
def test_writes_that_make_no_sense_are_named(changes, named):
    with pytest.raises(ScenarioError, match=named):
        WriteConfig(**changes)
