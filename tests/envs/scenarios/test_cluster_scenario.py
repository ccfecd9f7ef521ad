"""A cluster that could not be is refused, with the field, the value and what to do."""

from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_envs.scenarios.cluster_scenario import (
    FAR_TIERS,
    CloneParams,
    ClusterScenario,
    FarTier,
    cluster_of,
)
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.toy import OppositePeaks
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import TIERS

HOST = OppositePeaks(phase_s=60.0, num_phases=2)()


@pytest.fixture
def cluster():
    return cluster_of("pair", (HOST, None, HOST), RULES["qemu"])


def changed(array, place, value):
    copy = array.copy()
    copy[place] = value
    return copy


def test_a_plain_cluster_knows_its_size(cluster):
    assert (cluster.num_hosts, cluster.slots) == (3, 2)
    assert (cluster.num_knots, cluster.knot_s) == (HOST.num_knots, HOST.knot_s)
    assert cluster.exists.tolist() == [True, False, True]
    assert cluster.present.tolist() == [[True, True], [False, False], [True, True]]
    assert not np.isfinite(cluster.link_cut).any()


def test_columns_can_be_given():
    site = np.array([1, 2])
    cluster = cluster_of("two", (HOST, HOST), RULES["postcopy"], nic_bytes_s=1e9, site=site)
    assert cluster.site.tolist() == [1, 2]
    assert cluster.nic_bytes_s.tolist() == [1e9, 1e9]


@pytest.mark.parametrize(
    ("name", "make", "named"),
    [
        ("hosts", lambda c: (None, None, None), "hosts has no host"),
        (
            "hosts",
            lambda c: (HOST, None, replace(HOST, knot_s=5.0)),
            r"knot_s \[5.0, 10.0\]; draw them all with the same",
        ),
        ("nic_bytes_s", lambda c: np.ones(2), r"nic_bytes_s has shape \(2,\).*need \(3,\)"),
        ("vm_stops_s", lambda c: np.ones((3, 3)), r"vm_stops_s has shape.*need \(3, 2\)"),
        ("nic_bytes_s", lambda c: changed(c.nic_bytes_s, 2, 0.0), "nic_bytes_s.* above 0"),
        ("site", lambda c: changed(c.site, 1, -1), r"site \(-1 at \[1\]\)"),
        (
            "dirty_set_frac",
            lambda c: changed(c.dirty_set_frac, (0, 1), (0.5, 0.5, 0.2)),
            "dirty_set_frac.*at most 1: scale it",
        ),
        (
            "dirty_tau_s",
            lambda c: changed(c.dirty_tau_s, (0, 1, 2), 0.0),
            r"dirty_tau_s \(0.0 at \[0, 1, 2\]\) must be above 0; say inf",
        ),
        ("dirty_kind", lambda c: changed(c.dirty_kind, (2, 0, 0), 7), r"dirty_kind \(7 at"),
        ("clonable", lambda c: changed(c.clonable, (1, 0), True), r"clonable \(True at \[1, 0\]\)"),
        ("link_cut", lambda c: changed(c.link_cut, 0, (9.0, 3.0)), "link_cut.*swap the two"),
        ("link_cut", lambda c: changed(c.link_cut, 0, (np.nan, 3.0)), "link_cut"),
        ("memory_service_fails_s", lambda c: np.full(3, -1.0), "memory_service_fails_s"),
        ("vm_stops_s", lambda c: changed(c.vm_stops_s, (0, 0), np.nan), r"vm_stops_s \(nan at"),
    ],
)
def test_what_makes_no_sense_is_named(cluster, name, make, named):
    with pytest.raises(ScenarioError, match=f"pair: .*{named}"):
        replace(cluster, **{name: make(cluster)})


def test_two_sites_need_a_wan(cluster):
    with pytest.raises(ScenarioError, match=r"wan_bytes_s.*several sites"):
        replace(cluster, site=np.array([0, 0, 1]), wan_bytes_s=0.0)
    assert replace(cluster, wan_bytes_s=0.0).wan_bytes_s == 0.0


def test_far_tiers_are_those_that_hosts_swap_to():
    assert set(FAR_TIERS) == {"tcp_1g", "tcp_10g", "rdma", "cxl"}
    for name, far in FAR_TIERS.items():
        tier = TIERS[name]
        assert far.latency_s == tier.latency_s
        assert far.request_bytes == tier.cluster_pages * 4096
        assert far.useful_pages == tier.useful_pages


def test_parameters_of_far_memory_and_clones_are_checked():
    with pytest.raises(ScenarioError, match="far tier x: latency_s"):
        FarTier("x", 0.0)
    with pytest.raises(ScenarioError, match=r"clone\.tax"):
        CloneParams(tax=1.5)
    with pytest.raises(ScenarioError, match=r"clone\.fork_s"):
        CloneParams(fork_s=-1.0)


def test_every_field_is_told_in_the_docstring():
    for field in fields(ClusterScenario):
        assert f"{field.name}:" in (ClusterScenario.__doc__ or "")
