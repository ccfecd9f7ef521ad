from dataclasses import fields, replace

import gymnasium
import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.centre import CentreScenarios
from gymbal_envs.scenarios.centre_config import Arrivals, CentreConfig
from gymbal_envs.scenarios.centre_scenario import _PER_HOST
from gymbal_envs.scenarios.source import default_scenario, toy_scenario
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.params import CentreParams
from gymbal_envs.simulator.params import Clock, PhysicsParams
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.centre_terms import (
    CENTRE_COUNTS,
    CENTRE_MEASURES,
    centre_measures,
    centre_terms,
)
from gymbal_envs.tasks.centre_worlds import CentreWorlds
from gymbal_envs.tasks.config import CentreSettings, default_task
from gymbal_envs.tasks.reward import RewardWeights, terms_of
from gymbal_runtime.centre.codec import correctable
from gymbal_runtime.centre.telemetry import NOWHERE
from gymbal_runtime.tasks import CONSOLIDATION

SMALL = CentreConfig(
    num_hosts=(4, 8), max_hosts=8, mean_use=(0.2, 0.35), episode_s=21600.0, arrivals=Arrivals()
)


@pytest.fixture(scope="module")
def source():
    trace = SyntheticFleet().generate(80, 1200, 3)
    return CentreScenarios(trace, SMALL, "train", 0)


def centre_task(**changed):
    return replace(default_task(CONSOLIDATION), **changed)


def worlds_of(source, num_worlds=4, steps=72, config=None, **options):
    shape = WorldShape(SMALL.max_vms, SMALL.num_knots, steps, SMALL.max_hosts)
    return CentreWorlds(source, num_worlds, shape, config, **options)


def zero(worlds):
    return np.zeros((worlds.num_worlds, worlds.num_hosts, 3))


@pytest.mark.parametrize("heuristic", correctable())
def test_zero_is_exactly_the_heuristic(source, heuristic):
    config = centre_task(heuristic=heuristic, options={})
    chosen, plain = (worlds_of(source, config=config) for _ in range(2))
    chosen.reset()
    plain.reset()
    for _ in range(60):
        result, other = chosen.step(zero(chosen)), plain.step_base()
        np.testing.assert_array_equal(chosen.engine.vm, plain.engine.vm)
        np.testing.assert_array_equal(chosen.engine.host, plain.engine.host)
        np.testing.assert_array_equal(result.reward, other.reward)


def test_observations_lie_in_their_space_and_orders_are_legal(source):
    worlds, rng = worlds_of(source), np.random.default_rng(0)
    seen = worlds.reset()
    for _ in range(80):
        for w in range(worlds.num_worlds):
            assert worlds.observation_space.contains({k: v[w] for k, v in seen.items()})
        action = rng.uniform(-1, 1, zero(worlds).shape).astype(np.float32)
        assert worlds.action_space.contains(action[0])
        seen = worlds.step(action).observation
        assert worlds.engine.outcome[:, at.REFUSED].sum() == 0
        assert worlds.engine.host_outcome[:, at.HOST_REFUSED].sum() == 0


def test_the_reward_is_minus_the_weighted_terms(source):
    weights = RewardWeights(energy=3.0, progress_lost=2.0, migration_traffic=0.5)
    worlds = worlds_of(source, config=centre_task(weights=weights))
    worlds.reset()
    rng, seen = np.random.default_rng(2), set()
    for _ in range(60):
        result = worlds.step(rng.uniform(-1, 1, zero(worlds).shape))
        assert tuple(result.terms) == terms_of(CONSOLIDATION)
        expected = -sum(getattr(weights, name) * result.terms[name] for name in result.terms)
        np.testing.assert_allclose(result.reward, expected, rtol=1e-12)
        assert all((values >= 0).all() for values in result.terms.values())
        seen |= {name for name, values in result.terms.items() if values.max() > 0}
    assert seen == set(terms_of(CONSOLIDATION))
    assert set(worlds.measured()) == set(CENTRE_COUNTS)


def test_terms_are_what_the_engine_counted(source):
    settings = CentreSettings(CentreParams(slowdown=0.3))
    worlds = worlds_of(source, config=centre_task(centre=settings))
    worlds.reset()
    for _ in range(5):
        terms = worlds.step(zero(worlds)).terms
    engine = worlds.engine
    assert engine.params.slowdown == 0.3
    exists = engine.world_host[:, at.EXISTS] > 0
    peak = (engine.curve.max(axis=2) * exists).sum(axis=1) * 300.0
    joules = engine.host_outcome[:, at.ENERGY : at.ENERGY + 4].sum(axis=(1, 2))
    np.testing.assert_allclose(terms["energy"], joules / peak)
    assert (terms["energy"] < 1).all()
    shares, outcome = engine.world_vm[:, at.SHARES], engine.outcome
    wanted, got = ((shares * outcome[:, k]).sum(axis=1) for k in (at.WANTED_WORK, at.GOT_WORK))
    np.testing.assert_allclose(terms["progress_lost"], 1 - got / wanted, atol=1e-12)
    assert centre_terms(engine).keys() == terms.keys()


def test_nothing_asleep_at_peak_costs_1():
    toy = toy_scenario("brief-lull")
    shape = WorldShape(toy.num_vms, toy.num_knots, 8, toy.num_hosts)
    worlds = CentreWorlds(lambda index: toy, 1, shape, propose=False)
    worlds.reset()
    orders = worlds.base_agent.act(worlds.telemetry)
    orders = replace(orders, target=orders.target * 0 + NOWHERE, power=orders.power * 0)
    energy = [worlds.apply(orders).terms["energy"][0] for _ in range(7)]
    np.testing.assert_allclose(energy[4:], 1.0)
    assert energy[0] == pytest.approx(0.6)


def test_measures_of_an_episode_are_those_of_the_literature():
    means = {name: np.array([1.0]) for name in CENTRE_COUNTS}
    means |= {"energy_j": np.array([3.6e6]), "active_s": np.array([20.0])}
    means |= {"wanted_mips_s": np.array([1000.0])}
    measures = centre_measures(means, 10)
    assert set(measures) == set(CENTRE_MEASURES)
    assert measures["energy_kwh"] == 10.0
    assert measures["slatah"] == 0.05
    assert measures["pdm"] == 0.001
    assert measures["slav"] == pytest.approx(5e-5)
    assert measures["esv"] == pytest.approx(5e-4)
    assert (measures["migrations"], measures["active_hosts"]) == (10.0, 1.0)


def test_episodes_end_after_their_time_and_the_next_scenario_follows(source):
    worlds = worlds_of(source, num_worlds=4, steps=20)
    first = worlds.reset(stagger=2)
    ends = []
    for _ in range(30):
        result = worlds.step_base()
        ends.append(result.ended.tolist())
        if result.ended.any():
            assert result.final is not None
            again = worlds.telemetry
            assert (again.time_s[result.ended] == 0).all()
            assert (again.time_s[~result.ended] > 0).all()
    assert ends[9] == ends[29] == [False, True, False, True]
    assert ends[19] == [True, False, True, False]
    assert worlds.episodes.tolist() == [4, 9, 6, 11]
    assert first["hosts"].shape == (4, SMALL.max_hosts, worlds.codec.layout.row.width)


def test_a_batch_is_many_single_worlds(source):
    many = worlds_of(source, num_worlds=3)
    seen = many.reset(first_episode=5)
    singles = [worlds_of(source, num_worlds=1) for _ in range(3)]
    for w, single in enumerate(singles):
        np.testing.assert_array_equal(single.reset(5 + w)["hosts"][0], seen["hosts"][w])
    rng = np.random.default_rng(3)
    for _ in range(30):
        action = rng.uniform(-1, 1, zero(many).shape)
        result = many.step(action)
        for w, single in enumerate(singles):
            alone = single.step(action[w : w + 1])
            assert alone.reward[0] == result.reward[w]
            for name, values in alone.observation.items():
                np.testing.assert_array_equal(values[0], result.observation[name][w])


def permuted(scenario, order):
    """The same centre with its hosts in other places."""
    values = {f.name: getattr(scenario, f.name) for f in fields(scenario)}
    values |= {name: values[name][order] for name in _PER_HOST}
    inverse = np.argsort(order)
    values["host_of"] = np.where(scenario.host_of < 0, NOWHERE, inverse[scenario.host_of])
    return type(scenario)(**values)


def test_permuting_the_hosts_permutes_what_is_seen(source):
    """And what is done, as long as no two hosts are equal to a rule: it takes the first of them."""
    order = np.random.default_rng(4).permutation(SMALL.max_hosts)
    one, other = worlds_of(source), worlds_of(lambda i: permuted(source(i), order))
    mine, its = one.reset(), other.reset()
    turn = [q.name for q in one.codec.layout.row.now].index("turn")
    mine["hosts"][..., turn] = its["hosts"][..., turn] = 0.0
    fixed = slice(0, [q.name for q in one.codec.layout.row.now].index("to_sleep"))
    np.testing.assert_allclose(
        mine["hosts"][:, order][..., fixed], its["hosts"][..., fixed], atol=1e-6
    )
    np.testing.assert_array_equal(mine["present"][:, order], its["present"])


def test_every_feature_varies(source):
    """At decisions every 60 s: within 300 s moves and changes of hosts mostly come to their end."""
    low, high = None, None
    physics = PhysicsParams(clock=Clock(10.0, 60.0), knot_s=300.0)
    rng = np.random.default_rng(5)
    worlds = worlds_of(source, num_worlds=16, steps=360, config=centre_task(physics=physics))
    seen = worlds.reset()
    for _ in range(200):
        rows = seen["hosts"][seen["present"] > 0]
        now = np.concatenate([rows.min(axis=0), seen["centre"].min(axis=0)])
        top = np.concatenate([rows.max(axis=0), seen["centre"].max(axis=0)])
        low = now if low is None else np.minimum(low, now)
        high = top if high is None else np.maximum(high, top)
        seen = worlds.step(rng.uniform(-1, 1, zero(worlds).shape)).observation
    layout = worlds.codec.layout
    names = [q.name for q in (*layout.row.now, *layout.row.changes * 3, *layout.whole.columns)]
    assert {names[i] for i in np.flatnonzero(low == high)} == set()


def test_worlds_without_observation_or_proposal(source):
    worlds = worlds_of(source, encode=False, propose=False)
    assert worlds.reset()["hosts"].size == 0
    assert worlds.step(zero(worlds)).terms["energy"].max() > 0.0


def test_the_picture_shows_an_episode(source):
    worlds = worlds_of(source, num_worlds=1, steps=30)
    worlds.reset()
    viewer = worlds.viewer()
    empty = viewer.image()
    assert empty.shape == (680, 900, 3)
    for _ in range(30):
        worlds.step_base()
        viewer.record()
    assert len(viewer._time_s) == 30  # the last interval belongs to a world that is gone
    assert np.abs(viewer.image().astype(int) - empty).max() > 100


def test_the_task_names_its_codec_and_heuristic():
    task = centre_task(heuristic="lr_mmt", options={"dwell_s": 600.0})
    assert task.base_agent().dwell_s == 600.0
    assert task.codec.fingerprint() != centre_task().codec.fingerprint()
    with pytest.raises(ValueError, match="decides nothing"):
        centre_task(heuristic="senpai", options={})
    with pytest.raises(ValueError, match=r"task\.centre must be given"):
        centre_task(centre=None)
    assert default_scenario(CONSOLIDATION).num_hosts == 50


def test_a_single_env_can_be_made():
    env = gymnasium.make(CONSOLIDATION, render_mode="rgb_array").unwrapped
    observation, _ = env.reset(seed=1)
    assert observation["hosts"].shape == (50, 47)
    assert observation["centre"].shape == (25,)
    env.step(env.action_space.sample())
    assert env.render().shape == (680, 900, 3)
