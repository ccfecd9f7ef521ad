"""One place where environments, training and evaluation get their scenarios."""

from dataclasses import replace

import pytest

from gymbal_envs.demand.trace import TraceError
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.fleet import FleetConfig
from gymbal_envs.scenarios.machine import MachineConfig
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.source import (
    ScenarioConfig,
    default_scenario,
    load_trace,
    make_cluster_source,
    make_source,
)
from gymbal_runtime.tasks import OVERLOAD


def test_the_config_knows_the_size_of_what_it_draws():
    for config in (ScenarioConfig(), ScenarioConfig(toy="opposite-peaks")):
        scenario = make_source(config, "train", 0)(0)
        assert scenario.num_vms == config.num_vms
        assert scenario.num_knots == config.num_knots
        assert config.num_hosts == 1


@pytest.mark.parametrize(
    "config",
    [
        default_scenario(OVERLOAD),
        ScenarioConfig(cluster=ClusterConfig(slots=10, max_hosts=20), machine=MachineConfig()),
        ScenarioConfig(toy="long-overload"),
    ],
)
def test_the_config_knows_the_size_of_clusters(config):
    for make in (make_source, make_cluster_source):
        cluster = make(config, "validation", 0)(3)
        assert (cluster.num_hosts, cluster.slots) == (config.num_hosts, config.num_vms)
        assert (cluster.num_knots, cluster.knot_s) == (config.num_knots, config.knot_s)
        last = (cluster.num_knots - 1) * cluster.knot_s
        assert config.episode_steps(10.0) == last / 10.0


def test_hosts_are_not_clusters():
    with pytest.raises(ScenarioError, match="cluster is null"):
        make_cluster_source(ScenarioConfig(), "train", 0)
    with pytest.raises(ScenarioError, match="opposite-peaks' is one host"):
        make_cluster_source(ScenarioConfig(toy="opposite-peaks"), "train", 0)


def test_episodes_last_as_long_as_their_demand():
    assert ScenarioConfig().episode_steps(10.0) == 180
    half = ScenarioConfig(fleet=FleetConfig(episode_s=900.0))
    assert half.episode_steps(10.0) == 90
    assert half.episode_steps(30.0) == 30


def test_the_default_trace_is_made_once():
    assert load_trace("synthetic", False) is load_trace("synthetic", False)


def test_a_toy_has_no_chance_in_it():
    source = make_source(ScenarioConfig(toy="opposite-peaks"), "test", 5)
    assert source(0) is source(99)


def test_what_does_not_exist_is_named(tmp_path):
    with pytest.raises(ScenarioError, match="toy 'tetris' unknown; there are opposite-peaks"):
        make_source(ScenarioConfig(toy="tetris"), "train", 0)
    nowhere = ScenarioConfig(trace=str(tmp_path / "nowhere.parquet"))
    with pytest.raises((TraceError, OSError), match="nowhere"):
        make_source(nowhere, "train", 0)


def test_a_trace_from_a_file_is_read(tmp_path):
    from gymbal_envs.demand.parquet import write_parquet
    from gymbal_envs.demand.synthetic import SyntheticFleet

    path = tmp_path / "fleet.parquet"
    write_parquet(SyntheticFleet().generate(60, 400, seed=1), path)
    config = ScenarioConfig(trace=str(path))
    scenario = make_source(replace(config, repair=True), "validation", 0)(0)
    assert "validation" in scenario.name


def test_several_traces_take_turns() -> None:
    alone = make_source(ScenarioConfig(), "train", 3)
    both = make_source(ScenarioConfig(trace=("synthetic", "synthetic")), "train", 3)
    for index in range(6):
        assert both(index).seed == alone(index // 2).seed


def test_no_trace_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="trace"):
        make_source(ScenarioConfig(trace=()), "train", 3)
