"""Whole clusters: two clocks, the toy's optimum, terms and measures, zero is the stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.scenarios.centre_config import Arrivals
from gymbal_envs.scenarios.cluster_config import ClusterConfig, whole_cluster
from gymbal_envs.scenarios.cluster_night_toy import NightShift
from gymbal_envs.scenarios.cluster_power import PowerConfig
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import ClusterSettings, LocalBalancing, default_task
from gymbal_envs.tasks.layered_worlds import (
    LAYERED_COUNTS,
    LAYERED_MEASURES,
    LayeredWorlds,
    layered_measures,
)
from gymbal_envs.tasks.open import shape_of
from gymbal_envs.tasks.reward import terms_of
from gymbal_runtime.bundle_file import BundleError
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ON
from gymbal_runtime.cluster.orders import MIGRATE, Orders
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.tasks import CLUSTER, OVERLOAD

POLICIES = Path(__file__).parents[3] / "policies"
TASK = default_task(CLUSTER)
SMALL = ScenarioConfig(
    cluster=replace(
        whole_cluster(), num_hosts=(2, 4), max_hosts=4, slots=10, episode_s=3600.0,
        arrivals=Arrivals(frac=0.3, stay_s=(600.0, 7200.0), forever_frac=0.5),
    )
)  # fmt: skip


def small_worlds(num_worlds: int = 3, seed: int = 2, **options) -> LayeredWorlds:
    shape = shape_of(SMALL, TASK)
    return LayeredWorlds(make_source(SMALL, "train", seed), num_worlds, shape, TASK, **options)


def zero(worlds: LayeredWorlds) -> np.ndarray:
    return np.zeros((worlds.num_worlds, *worlds.action_space.shape))


def test_zero_is_exactly_the_stack():
    chosen, plain = small_worlds(), small_worlds()
    chosen.reset()
    plain.reset()
    for _ in range(30):
        result, other = chosen.step(zero(chosen)), plain.step_base()
        np.testing.assert_array_equal(result.reward, other.reward)
        np.testing.assert_array_equal(chosen.engine.member, plain.engine.member)


def test_who_is_thrifty_has_more_room():
    """Until the next decision: local agents decide six times meanwhile."""
    room = []
    for thrift in (-1.0, 1.0):
        worlds = small_worlds(1)
        worlds.reset()
        for _ in range(3):
            action = zero(worlds)
            action[..., worlds.codec.ACTIONS.index("thrift")] = thrift
            worlds.step(action)
        there = worlds.telemetry.open_hosts
        room.append(worlds.telemetry.room_bytes[there].sum() / there.sum())
    assert room[1] > 1.5 * room[0]


def test_a_cluster_does_not_depend_on_its_batch():
    many, alone = small_worlds(3), small_worlds(1)
    many.reset()
    alone.reset()
    for _ in range(20):
        a, b = many.step_base(), alone.step_base()
        np.testing.assert_array_equal(a.reward[:1], b.reward)


def test_observations_lie_in_their_space_whatever_is_asked():
    worlds, rng = small_worlds(), np.random.default_rng(0)
    seen = worlds.reset()
    moved = slept = placed = 0.0
    for _ in range(59):
        for w in range(worlds.num_worlds):
            assert worlds.observation_space.contains({k: v[w] for k, v in seen.items()})
        result = worlds.step(rng.uniform(-1, 1, zero(worlds).shape))
        seen, counts = result.observation, worlds.measured()
        assert set(counts) == set(LAYERED_COUNTS)
        assert set(result.terms) == set(terms_of(CLUSTER))
        for value in (*result.terms.values(), *counts.values()):
            assert (value >= 0).all()
        moved += counts["moves_begun"].sum()
        slept += (worlds.telemetry.state[worlds.telemetry.exists] != ON).sum()
        placed += worlds.engine.guest[:, at.PLACED].sum()
    assert min(moved, slept, placed) > 0


def test_hosts_divide_their_memory_between_two_decisions():
    """With one clock everything else is the same, and balloons follow demand more slowly."""
    local = replace(TASK.cluster.local, interval_s=None)
    slow = replace(TASK, cluster=replace(TASK.cluster, local=local))
    lost = {}
    for name, task in (("two", TASK), ("one", slow)):
        shape = shape_of(SMALL, task)
        worlds = LayeredWorlds(make_source(SMALL, "train", 2), 4, shape, task, encode=False)
        assert worlds.ticks_per_part == ((10, 6) if name == "two" else (60, 1))
        worlds.reset()
        lost[name] = np.mean([worlds.step_base().terms["progress_lost"] for _ in range(40)])
        assert worlds.engine.interval_s == 60.0
        assert (worlds.telemetry.time_s == 2400.0).all()
    assert lost["two"] < lost["one"]


def test_energy_is_what_hosts_draw_over_what_they_could():
    worlds = small_worlds(encode=False)
    worlds.reset()
    for _ in range(10):
        terms = worlds.step_base().terms
    engine = worlds.engine
    peak = (engine.watts.max(axis=1) * engine.member[:, at.EXISTS]).reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose(
        worlds.measured()["energy_j"], terms["energy"] * peak * 60.0, rtol=1e-9
    )
    assert ((terms["energy"] > 0.05) & (terms["energy"] < 1.0)).all()


def test_measures_are_totals_of_an_episode():
    means = {name: np.array([2.0, 4.0]) for name in LAYERED_COUNTS}
    found = layered_measures(means, steps=100)
    assert tuple(found) == LAYERED_MEASURES or set(found) == set(LAYERED_MEASURES)
    assert found["hosts_on"].tolist() == [2.0, 4.0]
    assert found["wakes"].tolist() == [200.0, 400.0]
    assert found["energy_kwh"].tolist() == [200.0 / 3.6e6, 400.0 / 3.6e6]


@pytest.mark.parametrize("name", sorted(heuristics_of(CLUSTER)))
def test_every_stack_can_be_played(name):
    worlds, agent = small_worlds(encode=False, propose=False), make_heuristic(name)
    worlds.reset()
    agent.reset(worlds.num_worlds, worlds.num_vms)
    for _ in range(5):
        worlds.apply(agent.act(worlds.telemetry))
    assert worlds.measured()["orders_refused"].sum() == 0


class TestNightShift:
    """The optimum of the toy's docstring, played."""

    def reward(self, script: dict[int, tuple[str, ...]]) -> float:
        toy = NightShift()()
        shape = WorldShape(toy.slots, toy.num_knots, 61, 2)
        worlds = LayeredWorlds(lambda index: toy, 1, shape, TASK, encode=False, propose=False)
        worlds.reset()
        total = 0.0
        for step in range(60):
            orders = Orders.none(1, 2, toy.slots)
            power = np.zeros((1, 2), dtype=np.int8)
            for what in script.get(step, ()):
                if what == "gather":
                    orders.verb[0, 0, 0], orders.target[0, 0, 0], power[0, 0] = MIGRATE, 1, SLEEP
                elif what == "wake":
                    power[0, 0] = WAKE
                else:
                    slot = np.flatnonzero(worlds.telemetry.present[0, 1])[-1]
                    orders.verb[0, 1, slot], orders.target[0, 1, slot] = MIGRATE, 0
            total += float(worlds.apply(replace(orders, power=power)).reward[0])
        return total

    def test_gather_wake_and_part_in_time(self):
        best = self.reward({0: ("gather",), 46: ("wake",), 50: ("part",)})
        assert best == pytest.approx(-4.06, abs=0.05)
        for worse in (
            {},
            {0: ("gather",)},
            {1: ("gather",), 46: ("wake",), 50: ("part",)},
            {0: ("gather",), 45: ("wake",), 49: ("part",)},
            {0: ("gather",), 47: ("wake",), 51: ("part",)},
        ):
            assert self.reward(worse) < best - 0.01


class TestSettings:
    def test_the_local_clock_fits_the_others(self):
        for seconds, said in ((7.0, "control_interval_s"), (0.5, "tick_s"), (-1.0, "above 0")):
            with pytest.raises(ValueError, match=said):
                replace(TASK, cluster=ClusterSettings(local=LocalBalancing(interval_s=seconds)))
        overload = default_task(OVERLOAD)
        with pytest.raises(ValueError, match=r"interval_s is for gymbal/Cluster-v0"):
            replace(overload, cluster=TASK.cluster)

    @pytest.mark.parametrize("name", ["balloon", "host"])
    def test_hosts_can_be_led_by_a_policy(self, name):
        local = replace(TASK.cluster.local, bundle=str(POLICIES / f"{name}.gymbal"))
        led = replace(TASK, cluster=replace(TASK.cluster, local=local))
        shape = shape_of(SMALL, led)
        worlds = LayeredWorlds(make_source(SMALL, "train", 2), 2, shape, led)
        worlds.reset()
        reward = [worlds.step_base().reward for _ in range(3)][-1]
        assert ((reward > -1.0) & (reward < 0.0)).all()

    def test_a_policy_of_another_task_cannot_lead_hosts(self):
        with pytest.raises(BundleError, match=r"choose one of gymbal/Balloon-v0 or gymbal/Host-v0"):
            LocalBalancing(bundle=str(POLICIES / "consolidation.gymbal")).agent()

    def test_scenarios_have_a_day_and_a_lobby(self):
        scenario = make_source(SMALL, "train", 0)(1)
        assert scenario.num_hosts == SMALL.cluster.num_places == 5
        assert scenario.lobbies[-1] is not None
        assert not scenario.exists[-1]
        coming = scenario.vm_arrives_s[-1][scenario.lobbies[-1].present]
        assert ((coming >= 0) & (coming <= 3600.0)).all()
        stops = scenario.vm_stops_s[-1][scenario.lobbies[-1].present]
        assert (stops > coming).all()
        assert scenario.power is not None

    def test_clusters_without_a_day_are_drawn_as_ever(self):
        plain = ScenarioConfig(cluster=ClusterConfig())
        day = ScenarioConfig(
            cluster=ClusterConfig(power=PowerConfig(), swing=(0.5, 0.5), arrivals=Arrivals())
        )
        one, other = (make_source(config, "train", 4)(3) for config in (plain, day))
        assert one.power is None
        assert not one.lobbies
        assert other.num_hosts == one.num_hosts + 1
        there = one.first_host.present
        factor = other.first_host.cores[:, there] / one.first_host.cores[:, there]
        np.testing.assert_allclose(factor, factor[:, :1].repeat(there.sum(), axis=1), rtol=1e-4)
        assert (factor >= 0.5 - 1e-4).all()
        assert (factor <= 1.0 + 1e-6).all()

    @pytest.mark.parametrize("swing", [(0.5, 0.2), (0.5, 1.2)])
    def test_a_wrong_swing_is_named(self, swing):
        with pytest.raises(ScenarioError, match="swing"):
            ClusterConfig(swing=swing)

    def test_an_unknown_curve_is_named(self):
        with pytest.raises(ScenarioError, match=r"power.curves \['abacus'\] unknown"):
            PowerConfig(curves=("abacus",))
