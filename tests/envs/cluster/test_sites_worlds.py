from dataclasses import fields, replace

import gymnasium
import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.sites import SitesConfig, SitesScenarios
from gymbal_envs.scenarios.source import toy_scenario
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_params import SitesParams
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import SitesSettings, default_task
from gymbal_envs.tasks.reward import RewardWeights, terms_of
from gymbal_envs.tasks.sites_terms import SITES_MEASURES, sites_terms
from gymbal_envs.tasks.sites_worlds import SitesWorlds
from gymbal_runtime.sites.heuristics import SITES_HEURISTICS
from gymbal_runtime.sites.orders import NUM_VERBS
from gymbal_runtime.tasks import SITES


@pytest.fixture(scope="module")
def source():
    trace = SyntheticFleet().generate(60, 1200, 3)
    return SitesScenarios(trace, SitesConfig(), "train", 0)


def sites_task(**changed):
    return replace(default_task(SITES), **changed)


def worlds_of(source, num_worlds=6, steps=720, config=None, **options):
    return SitesWorlds(source, num_worlds, WorldShape(8, 721, steps), config, **options)


def any_legal(worlds, rng):
    mask = worlds.action_masks()
    return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1)


@pytest.mark.parametrize("heuristic", sorted(SITES_HEURISTICS))
def test_doing_what_is_proposed_is_exactly_the_heuristic(source, heuristic):
    config = sites_task(heuristic=heuristic, options={})
    chosen, plain = (worlds_of(source, config=config) for _ in range(2))
    seen = chosen.reset()
    plain.reset()
    for _ in range(150):
        result = chosen.step(seen["proposed"])
        other = plain.step_base()
        np.testing.assert_array_equal(chosen.engine.vm, plain.engine.vm)
        np.testing.assert_array_equal(result.reward, other.reward)
        seen = result.observation


def test_observations_lie_in_their_space_and_masks_agree(source):
    worlds = worlds_of(source)
    seen, rng = worlds.reset(), np.random.default_rng(0)
    for step in range(120):
        for w in range(worlds.num_worlds):
            one = {name: values[w] for name, values in seen.items()}
            assert worlds.observation_space.contains(one)
        mask = worlds.action_masks()
        np.testing.assert_array_equal(mask, seen["mask"] > 0)
        assert mask[..., 0].all()
        proposed = seen["proposed"].astype(int)
        assert np.take_along_axis(mask, proposed[..., None], axis=2).all()
        action = any_legal(worlds, rng) if step % 10 == 0 else proposed
        assert worlds.action_space.contains(action[0])
        seen = worlds.step(action).observation
        assert worlds.engine.outcome[:, at.REFUSED].sum() == 0


def test_what_is_not_legal_counts_as_continue(source):
    one, other = worlds_of(source), worlds_of(source)
    one.reset()
    other.reset()
    rng = np.random.default_rng(1)
    for _ in range(20):
        wild = rng.integers(0, NUM_VERBS, (6, 8))
        legal = np.take_along_axis(one.action_masks(), wild[..., None], axis=2)[..., 0]
        one.step(wild)
        other.step(np.where(legal, wild, 0))
        np.testing.assert_array_equal(one.engine.vm, other.engine.vm)
        assert one.engine.outcome[:, at.REFUSED].sum() == 0


def test_the_reward_is_minus_the_weighted_terms(source):
    weights = RewardWeights(downtime=3.0, degradation=2.0, wan_traffic=0.5, away=0.7)
    worlds = worlds_of(
        source, config=sites_task(weights=weights, sites=SitesSettings(longest_pause_s=np.inf))
    )
    worlds.reset()
    rng, seen = np.random.default_rng(2), set()
    for _ in range(300):
        result = worlds.step(any_legal(worlds, rng))
        assert tuple(result.terms) == terms_of(SITES)
        expected = -sum(getattr(weights, name) * result.terms[name] for name in terms_of(SITES))
        np.testing.assert_allclose(result.reward, expected, rtol=1e-12)
        assert all((values >= 0).all() for values in result.terms.values())
        seen |= {name for name, values in result.terms.items() if values.max() > 0}
    assert seen == set(terms_of(SITES))
    assert set(worlds.measured()) == set(SITES_MEASURES)


def test_terms_are_what_the_engine_counted(source):
    worlds = worlds_of(source, config=sites_task(sites=SitesSettings(SitesParams(late_cost=0.9))))
    worlds.reset()
    worlds.engine.world[:, at.DEADLINE] = 15.0
    for _ in range(2):
        terms = worlds.step(np.full((6, 8), 3)).terms
    engine = worlds.engine
    shares = engine.world_vm[:, at.SHARES]
    weight = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        terms["degradation"], (weight * engine.outcome[:, at.LOST]).sum(axis=1) / 10.0
    )
    away = (weight * engine.world_vm[:, at.AWAY_COST]).sum(axis=1)
    np.testing.assert_allclose(terms["away"], 0.5 * away + 0.5 * 0.9)
    wire = engine.outcome[:, at.DISK_WIRE].sum(axis=1) / engine.world[:, at.WAN] / 10.0
    np.testing.assert_allclose(terms["wan_traffic"], wire)
    assert sites_terms(engine).keys() == terms.keys()


def test_episodes_end_after_their_time_and_the_next_scenario_follows(source):
    worlds = worlds_of(source, num_worlds=4, steps=20)
    first = worlds.reset(stagger=2)
    ends = []
    for _ in range(30):
        result = worlds.step(worlds.base.verb)
        ends.append(result.ended.tolist())
        if result.ended.any():
            assert result.final is not None
            again = worlds.telemetry
            assert (again.time_s[result.ended] == 0).all()
            assert (again.time_s[~result.ended] > 0).all()
    assert ends[9] == [False, True, False, True]
    assert ends[19] == [True, False, True, False]
    assert ends[29] == [False, True, False, True]
    assert worlds.episodes.tolist() == [4, 9, 6, 11]
    assert first["vms"].shape == (4, 8, worlds.codec.num_vm_features)


def test_a_batch_is_many_single_worlds(source):
    many = worlds_of(source, num_worlds=3)
    seen = many.reset(first_episode=5)
    singles = [worlds_of(source, num_worlds=1) for _ in range(3)]
    for w, single in enumerate(singles):
        alone = single.reset(first_episode=5 + w)
        np.testing.assert_array_equal(alone["vms"][0], seen["vms"][w])
    rng = np.random.default_rng(3)
    for _ in range(50):
        action = any_legal(many, rng)
        result = many.step(action)
        for w, single in enumerate(singles):
            alone = single.step(action[w : w + 1])
            assert alone.reward[0] == result.reward[w]
            for name, values in alone.observation.items():
                np.testing.assert_array_equal(values[0], result.observation[name][w])


def permuted(scenario, order):
    """The same world with its VMs in other slots."""
    values = {}
    for f in fields(scenario):
        value = getattr(scenario, f.name)
        if isinstance(value, np.ndarray) and f.name != "background":
            value = value[:, order] if f.name == "activity" else value[order]
        values[f.name] = value
    return type(scenario)(**values)


def test_permuting_the_vms_permutes_everything_and_changes_nothing(source):
    """Without the sensors' noise, which is drawn in the order of the slots."""
    rng = np.random.default_rng(4)
    order = rng.permutation(8)
    config = sites_task(sites=SitesSettings(SitesParams(noise=0.0)))
    one = worlds_of(source, config=config)
    other = worlds_of(lambda i: permuted(source(i), order), config=config)
    mine, its = one.reset(), other.reset()
    for _ in range(60):
        for name in ("vms", "present", "mask", "proposed"):
            np.testing.assert_allclose(mine[name][:, order], its[name], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(mine["host"], its["host"], atol=1e-5)
        action = any_legal(one, rng) * (rng.random((6, 8)) < 0.1)
        first, second = one.step(action), other.step(action[:, order])
        np.testing.assert_allclose(first.reward, second.reward, rtol=1e-6, atol=1e-9)
        mine, its = first.observation, second.observation


def test_every_feature_varies_under_heuristics_and_chance(source):
    low, high = None, None
    rng = np.random.default_rng(5)
    for heuristic in ("smart_stop_cbr", "smart_stop", "cold"):
        worlds = worlds_of(
            source, num_worlds=24, config=sites_task(heuristic=heuristic, options={})
        )
        seen = worlds.reset()
        for _ in range(250):
            rows = seen["vms"][seen["present"] > 0]
            least, most = rows.min(axis=0), rows.max(axis=0)
            low = least if low is None else np.minimum(low, least)
            high = most if high is None else np.maximum(high, most)
            chance = rng.random((24, 8)) < 0.01
            seen = worlds.step(
                np.where(chance, any_legal(worlds, rng), seen["proposed"])
            ).observation
    layout = worlds.codec.layout
    names = [q.name for q in (*layout.vm, *layout.history * 3)]
    constant = {names[i] for i in np.flatnonzero(low == high)}
    assert constant == {"proposes_suspend"}, "no heuristic suspends"


def test_worlds_without_observation_or_proposal(source):
    worlds = worlds_of(source, encode=False, propose=False)
    assert worlds.reset()["vms"].size == 0
    result = worlds.step(np.zeros((6, 8), dtype=int))
    assert result.terms["downtime"].max() == 0.0


def test_the_picture_shows_an_episode(source):
    worlds = worlds_of(source, num_worlds=1, steps=60)
    worlds.reset()
    viewer = worlds.viewer()
    empty = viewer.image()
    assert empty.shape == (600, 900, 3)
    for step in range(60):
        worlds.step(np.full((1, 8), 6) if step == 30 else worlds.base.verb)
        viewer.record()
    assert len(viewer._time_s) == 60  # the last interval belongs to a world that is gone
    assert np.abs(viewer.image().astype(int) - empty).max() > 100


def test_the_task_names_its_codec_and_heuristic():
    task = sites_task(options={"concurrency": 2.0})
    assert task.id == SITES
    assert task.base_agent().concurrency == 2.0
    assert task.codec.fingerprint() != sites_task(options={}).codec.fingerprint()
    with pytest.raises(ValueError, match="decides nothing"):
        sites_task(heuristic="senpai", options={})


def test_a_toy_can_be_played():
    toy = toy_scenario("two-sizes")
    shape = WorldShape(toy.num_vms, toy.num_knots, 100)
    worlds = SitesWorlds(lambda index: toy, 1, shape)
    worlds.reset()
    total = sum(worlds.step_base().reward[0] for _ in range(100))
    assert -20.0 < total < -1.0


registered = pytest.mark.skipif(SITES not in gymnasium.registry, reason="is not registered yet")


@registered
def test_it_passes_gymnasiums_checker():
    from gymnasium.utils.env_checker import check_env

    check_env(gymnasium.make(SITES, render_mode="rgb_array").unwrapped)


@registered
def test_masks_of_a_single_env_are_flat(source):
    env = gymnasium.make(SITES).unwrapped
    observation, _ = env.reset(seed=1)
    np.testing.assert_array_equal(env.action_masks(), observation["mask"].ravel() > 0)
    assert replace(env.config, options={}).id == SITES
