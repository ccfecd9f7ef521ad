"""Copies live through the same, and recorded plans do exactly what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gymbal_agents.oracles.cluster_plans import Item, Plan, Player
from gymbal_agents.oracles.cluster_trials import Moment, Rival, play_agents, try_plans
from gymbal_agents.oracles.cluster_twins import ClusterTwins, branch
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_runtime.agent import Agent
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, RECALL, WAIT, Orders
from gymbal_runtime.cluster.telemetry import NOBODY
from gymbal_runtime.heuristics import make_heuristic

STEPS = 60


@pytest.fixture(scope="module")
def worlds(open_clusters: Callable[..., ClusterWorlds]) -> ClusterWorlds:
    return open_clusters(3)


def now(worlds: ClusterWorlds) -> Moment:
    twins = ClusterTwins(worlds, worlds.num_worlds)
    twins.follow(worlds, np.arange(worlds.num_worlds))
    return Moment(twins, 0, [[] for _ in range(worlds.num_worlds)])


def shipped_policy() -> Agent:
    agent: Agent = read_bundle(Path(__file__).parents[2] / "policies/balloon.gymbal").agent()
    return agent


@pytest.mark.parametrize("make", [lambda: make_heuristic("senpai"), shipped_policy])
def test_an_agents_memory_can_be_copied_host_by_host(
    worlds: ClusterWorlds, make: Callable[[], Agent]
) -> None:
    hosts = worlds.engine.telemetry().hosts
    agent = make()
    agent.reset(hosts.num_hosts, hosts.num_vms)
    for seconds in (10.0, 20.0):
        agent.act(replace(hosts, time_s=hosts.time_s + seconds))
    rows = np.array([4, 0, 0])
    twin = branch(agent, rows, hosts.num_hosts)
    later = replace(hosts, time_s=hosts.time_s + 40.0)
    expected = agent.act(later).balloon_bytes[rows]
    found = twin.act(later.take_hosts(rows)).balloon_bytes
    np.testing.assert_array_equal(found, expected)


def test_copies_live_through_the_same(worlds: ClusterWorlds) -> None:
    original, orders = now(worlds).twins, Orders.none(3, 3, 6)
    for _ in range(7):
        original.step(orders)
    copies = ClusterTwins(worlds, 2)
    copies.follow(original, np.array([2, 1]))
    for _ in range(5):
        ours, theirs = copies.step(Orders.none(2, 3, 6)), original.step(orders)
        np.testing.assert_array_equal(ours, theirs[[2, 1]])
    np.testing.assert_array_equal(copies.avoidable_s(), original.avoidable_s()[[2, 1]])


@pytest.mark.parametrize("name", ["ski_rental", "overdriver", "always_migrate"])
def test_a_recorded_plan_repeats_itself(worlds: ClusterWorlds, name: str) -> None:
    here = now(worlds)
    plans, rewards = play_agents(here.twins, [make_cluster_heuristic(name)], STEPS, worlds)
    trial = try_plans(here, np.arange(3), plans[0], 10, worlds)
    np.testing.assert_allclose(trial.value, rewards[0], rtol=1e-12)


def test_a_plan_goes_on_from_the_middle(worlds: ClusterWorlds) -> None:
    here = now(worlds)
    rules = [make_cluster_heuristic("mom_migrate")]
    plans, rewards = play_agents(here.twins, rules, STEPS, worlds)
    before = here.go_on(plans[0], 25)
    rest = try_plans(here, np.array([1, 1]), [plans[0][1]] * 2, 10, worlds)
    np.testing.assert_allclose(before[1] + rest.value, rewards[0, 1], rtol=1e-12)


def test_who_is_far_behind_is_given_up(worlds: ClusterWorlds) -> None:
    here, plans = now(worlds), [Plan.nothing(STEPS, 3)] * 2
    reward = np.zeros((STEPS, 2))  # nobody is as good as that
    rival = Rival(reward, step=10, lead=np.inf)
    assert np.isfinite(try_plans(here, np.array([0, 1]), plans, 5, worlds, rival).value).all()
    rival = Rival(reward, step=10, lead=1e-6)
    assert np.isinf(try_plans(here, np.array([0, 1]), plans, 5, worlds, rival).value).all()


def some_vm(worlds: ClusterWorlds, c: int) -> tuple[int, int]:
    """Host and identity of a VM."""
    h, v = np.argwhere(worlds.telemetry.vm_id[c] >= 0)[0]
    return int(h), int(worlds.telemetry.vm_id[c, h, v])


def test_orders_wait_until_they_are_legal_or_have_expired(worlds: ClusterWorlds) -> None:
    telemetry = worlds.telemetry
    host, vm = some_vm(worlds, 0)
    impossible = Item(0, vm, MIGRATE, host, until=2)  # to where it is
    recall = Item(1, vm, RECALL, NOBODY, until=5)  # it does not borrow
    plan = Plan.nothing(10, 3).with_items(recall, impossible)
    player = Player([plan] * 3)
    counts = []
    for _ in range(7):
        assert not player.orders(telemetry).verb.any()
        counts.append(len(player.waiting[0]))
    assert counts == [1, 2, 1, 1, 1, 0, 0]


def test_a_plan_names_vms_not_places(worlds: ClusterWorlds) -> None:
    telemetry = worlds.telemetry
    _, vm = some_vm(worlds, 1)
    player = Player([Plan.nothing(10, 3).with_items(Item(2, vm, BORROW))] * 3)
    seen = [player.orders(telemetry).verb for _ in range(4)]
    told = seen[2][1]
    assert telemetry.vm_id[1][told != WAIT].tolist() == [vm]
    assert not seen[1].any()
    assert not seen[3].any()
    assert not seen[2][0][telemetry.vm_id[0] != vm].any()


def test_plans_change_without_changing_the_old_one() -> None:
    item = Item(4, 7, BORROW)
    plan = Plan.nothing(10, 2).with_items(item)
    changed = plan.without(item).balanced(3, 5, balance=False)
    assert plan.items == (item,)
    assert plan.balance.all()
    assert changed.items == ()
    assert np.flatnonzero(~changed.balance).tolist() == [3, 4]
