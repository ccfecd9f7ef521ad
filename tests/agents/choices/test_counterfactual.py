"""Trying every action in copies, and fitting a policy to what came of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch as th

from gymbal_agents.config import ConfigError, TrainConfig, typed
from gymbal_agents.counterfactual import Known, look_ahead
from gymbal_agents.counterfactual_fit import fit, mean_gain
from gymbal_agents.lookahead import Lookahead
from gymbal_agents.masked_policy import MaskedPolicy
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.tasks import OVERLOAD

SMALL = ScenarioConfig(
    cluster=ClusterConfig(
        num_hosts=(2, 3), max_hosts=3, vms_per_host=(3, 4), slots=6, episode_s=600.0,
        overload_frac=1.0,
    )
)  # fmt: skip
SETTINGS = Lookahead(states=40, horizon=6, every=4, at_once=64)


def open_some(count: int = 6) -> ClusterWorlds:
    task = default_task(OVERLOAD)
    shape = shape_of(SMALL, task)
    return ClusterWorlds(make_source(SMALL, "train", 3), count, shape, task)


@pytest.fixture(scope="module")
def known() -> Known:
    return look_ahead(open_some(), SETTINGS, 0, lambda states: None)


def test_the_proposed_action_gains_nothing_and_what_is_forbidden_is_not_tried(known):
    proposed = known.seen["proposed"].astype(int)
    assert known.count == SETTINGS.states
    assert (np.take_along_axis(known.gain, proposed, axis=1) == 0).all()
    assert (known.gain[known.seen["mask"] == 0] == 0).all()
    assert ((known.seen["mask"] > 0).sum(axis=1) > 1).all()
    assert np.abs(known.gain).max() > 0


def test_the_same_seed_finds_the_same_and_another_other_moments(known):
    again = look_ahead(open_some(), SETTINGS, 0, lambda states: None)
    np.testing.assert_array_equal(again.gain, known.gain)
    other = look_ahead(open_some(), SETTINGS, 1, lambda states: None)
    assert not np.array_equal(other.gain, known.gain)


def test_a_gain_is_what_the_world_itself_would_have_paid():
    worlds, twin = open_some(1), open_some(1)
    first = look_ahead(worlds, replace(SETTINGS, states=1, every=1, horizon=4), 0, lambda _: None)
    action = int(np.flatnonzero(first.seen["mask"][0])[-1])
    seen = twin.reset()
    while not np.array_equal(seen["vms"][0], first.seen["vms"][0]):
        seen = twin.step_base().observation
    begun = int(twin.steps[0])
    rewards = {}
    for choice in (action, int(first.seen["proposed"][0, 0])):
        again = open_some(1)
        again.reset()
        for _ in range(begun):
            again.step_base()
        paid = [again.step(np.array([choice])).reward[0]]
        paid += [again.step_base().reward[0] for _ in range(3)]
        rewards[choice] = sum(SETTINGS.discount**n * each for n, each in enumerate(paid))
    expected = rewards[action] - rewards[int(first.seen["proposed"][0, 0])]
    assert first.gain[0, action] == pytest.approx(expected, abs=1e-7)


def fresh_policy() -> MaskedPolicy:
    worlds = open_some(1)
    th.manual_seed(0)
    return MaskedPolicy(
        worlds.observation_space, worlds.action_space, lambda _: 1e-3, width=16, head_start=2.0
    )


def test_a_fit_finds_what_is_good_and_a_fresh_policy_follows(known):
    gain = np.where(known.seen["mask"] > 0, -0.01, 0.0).astype(np.float32)
    np.put_along_axis(gain, known.seen["proposed"].astype(int), 0.0, axis=1)
    harmful = Known(known.seen, gain)
    policy = fresh_policy()
    assert mean_gain(policy, harmful) == 0.0
    settings = replace(SETTINGS, passes=30, learning_rate=1e-2)
    assert fit(policy, harmful, settings, 0, lambda *_: None) == 0.0
    assert mean_gain(policy, harmful) == 0.0
    nothing_is_best = np.where(known.seen["mask"] > 0, -0.01, 0.0).astype(np.float32)
    nothing_is_best[:, 0] = 0.02
    known_better = Known(known.seen, nothing_is_best)
    assert fit(policy, known_better, settings, 0, lambda *_: None) > 0.0
    assert mean_gain(policy, known_better) > 0.0


def test_other_tasks_refuse_it():
    with pytest.raises(ConfigError, match=r"lookahead.states \(5\)"):
        typed(TrainConfig, {"lookahead": {"states": 5}})
