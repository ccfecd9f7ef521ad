"""Pictures of clusters: right size, from the right episode, true to what happened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.cluster_toy import OneOverload
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.cluster_events import ARRIVED, moves_of, orders_of
from gymbal_envs.tasks.cluster_overloads import overloads_of
from gymbal_envs.tasks.cluster_panels import cluster_colors, lanes_of
from gymbal_envs.tasks.cluster_record import ClusterRecorder
from gymbal_envs.tasks.cluster_viewer import ClusterViewer, describe, height_inches
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.overload import OverloadEnv
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, Orders
from gymbal_runtime.tasks import OVERLOAD

QUIET_VM = 1
"""Slot of the toy's VM that fits into the other host."""


def worlds_of(scenario: ClusterScenario, episode_steps: int = 1000) -> ClusterWorlds:
    """The task on one cluster, reset; orders come from the test."""
    shape = WorldShape(scenario.slots, scenario.num_knots, episode_steps, scenario.num_hosts)
    config = default_task(OVERLOAD)
    worlds = ClusterWorlds(lambda index: scenario, 1, shape, config, encode=False, propose=False)
    worlds.reset()
    return worlds


def told(worlds: ClusterWorlds, verb: int, host: int, slot: int, target: int = -1) -> Orders:
    """One order."""
    orders = Orders.none(*worlds.telemetry.shape)
    orders.verb[0, host, slot], orders.target[0, host, slot] = verb, target
    return orders


def play(worlds: ClusterWorlds, steps: int, orders: dict[int, Callable[[], Orders]]) -> None:
    """Let time pass; orders by the number of the decision."""
    for step in range(steps):
        nothing = Orders.none(*worlds.telemetry.shape)
        worlds.apply(orders[step]() if step in orders else nothing)
        yield


def fleet(num_hosts: int) -> ScenarioConfig:
    """Small clusters with exactly so many hosts."""
    cluster = ClusterConfig(
        num_hosts=(num_hosts, num_hosts), max_hosts=num_hosts, vms_per_host=(2, 3), slots=4
    )
    return ScenarioConfig(cluster=cluster)


def test_a_picture_of_each_moment_has_the_same_size():
    env = OverloadEnv(fleet(3), episode_steps=5, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(5):
        env.step(0)
        pictures.append(env.render())
    height = round(100 * height_inches(3))
    assert {picture.shape for picture in pictures} == {(height, 1200, 3)}
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert all(np.any(a != b) for a, b in pairwise(pictures[:-1]))


def test_the_next_episode_does_not_leak_into_the_picture_of_the_last():
    """At its end a cluster is given the next scenario at once; the picture must not show it."""
    env = OverloadEnv(fleet(2), episode_steps=4, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    before = env.render()
    assert env.step(0)[3]
    np.testing.assert_array_equal(env.render(), before)


def test_a_new_episode_starts_with_nothing_lost():
    env = OverloadEnv(fleet(2), episode_steps=30, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(30):
        env.step(0)
    env.reset()
    start = ClusterRecorder(env.worlds).episode()  # type: ignore[arg-type]
    assert start.time_s.tolist() == [0.0]
    for values in (start.lost_frac, start.killed, start.moved_bytes, start.idle_byte_s):
        assert not values.any()


@pytest.mark.parametrize("num_hosts", [2, 8, 16])
def test_any_number_of_hosts_can_be_drawn(num_hosts):
    worlds = worlds_of(make_source(fleet(num_hosts), "train", 0)(0))
    viewer = ClusterViewer(worlds)
    for _ in play(worlds, 2, {}):
        viewer.record()
    picture = viewer.image()
    assert picture.shape[0] == round(100 * height_inches(num_hosts))
    assert picture.std() > 10  # not blank


def test_lanes_hold_what_the_hosts_have():
    worlds = worlds_of(make_source(fleet(3), "train", 0)(1))
    recorder = ClusterRecorder(worlds)
    for _ in play(worlds, 5, {}):
        recorder.record()
    episode = recorder.episode()
    assert (episode.held_bytes.sum(axis=2) <= episode.available_bytes * (1 + 1e-9) + 1.0).all()
    for lane in lanes_of(episode):
        assert (np.diff(lane.edges, axis=1) >= 0).all()
        assert lane.edges[:, -1].max() <= lane.bottom + 0.71 + 1e-6
    assert len(cluster_colors(episode)) == episode.tracks.num_vms
    assert f"{int(worlds.telemetry.present.sum())} VMs" in describe(episode.scenario)


@pytest.mark.parametrize(("rule", "kind"), [("qemu", "pre-copy"), ("postcopy", "post-copy")])
def test_a_move_is_seen_from_its_order_to_its_end(rule, kind):
    worlds = worlds_of(OneOverload(migration=RULES[rule])())
    recorder = ClusterRecorder(worlds)
    for _ in play(worlds, 20, {5: lambda: told(worlds, MIGRATE, 0, QUIET_VM, 1)}):
        recorder.record()
    episode = recorder.episode()
    (move,) = moves_of(episode)
    assert (move.kind, move.source, move.target, move.outcome) == (kind, 0, 1, ARRIVED)
    assert move.begins_s == 50.0
    assert 50.0 < move.switches_s <= move.ends_s <= 90.0
    assert [(order.verb, order.time_s) for order in orders_of(episode)] == [(MIGRATE, 50.0)]
    moved = episode.moved_bytes.sum()
    assert 2.0 * 2**30 < moved < 2.2 * 2**30  # kernel and working set, once


def test_the_toy_is_overloaded_when_its_docstring_says():
    worlds = worlds_of(OneOverload(overload_s=300.0)())
    recorder = ClusterRecorder(worlds)
    for _ in play(worlds, 60, {15: lambda: told(worlds, BORROW, 0, 0)}):
        recorder.record()
    episode = recorder.episode()
    (one,) = overloads_of(episode)
    assert one.host == 0
    assert 90.0 < one.begins_s <= 120.0  # demand rises from knot to knot
    assert 390.0 < one.ends_s <= 420.0
    assert one.peak_bytes == pytest.approx(0.5 * 2**30, rel=1e-3)
    borrowed = [order for order in orders_of(episode) if order.verb == BORROW]
    assert [(order.time_s, order.host, order.vm) for order in borrowed] == [
        (150.0, 0, int(episode.vm_id[0, 0, 0]))
    ]
    assert episode.far_bytes[:, 0].max() > 0.0
    assert episode.lent_bytes[:, 1].max() == pytest.approx(episode.far_bytes[:, 0].sum(1).max())


def test_no_global_state_of_matplotlib_is_used():
    env = OverloadEnv(fleet(2), render_mode="rgb_array")
    env.reset(seed=0)
    env.render()
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )
    env.close()
    assert env.render() is None
