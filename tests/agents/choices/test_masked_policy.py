from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import make_masked_proba_distribution

from gymbal_agents.masked_policy import MaskedPolicy, make_network
from gymbal_agents.pair_network import PairNetwork
from gymbal_agents.set_network import ChoiceNetwork


def policy_for(worlds: Any, head_start: float = 1.0) -> MaskedPolicy:
    th.manual_seed(0)
    policy = MaskedPolicy(
        worlds.observation_space, worlds.action_space, lambda _: 1e-3, 16, head_start
    )
    for name, parameter in policy.named_parameters():
        if not name.endswith("head_start"):
            th.nn.init.normal_(parameter, 0.0, 0.5)
    return policy


def tensors(worlds: Any) -> dict[str, th.Tensor]:
    return {name: th.as_tensor(values) for name, values in worlds.seen.items()}


def test_what_it_does_it_evaluates_alike(worlds: Any) -> None:
    policy, seen = policy_for(worlds), tensors(worlds)
    actions, values, log_prob = policy(seen)
    shape = worlds.action_space.shape
    assert actions.shape == (64, *shape)
    assert values.shape == (64, 1)
    again, same, entropy = policy.evaluate_actions(seen, actions.float().reshape(64, -1))
    th.testing.assert_close(again, values)
    th.testing.assert_close(same, log_prob)
    assert (entropy > 0).all()
    th.testing.assert_close(policy.predict_values(seen), values)


def test_it_agrees_with_sb3_contribs_distributions(worlds: Any) -> None:
    policy, seen = policy_for(worlds), tensors(worlds)
    if worlds.rows:
        seen["present"] = th.ones_like(seen["present"])
    scores, _ = policy.network(*(seen[name] for name in policy.network.inputs[:-1]), None)
    theirs = make_masked_proba_distribution(worlds.action_space)
    theirs.proba_distribution(scores.flatten(1))
    theirs.apply_masking(worlds.mask.reshape(64, -1))
    actions = theirs.sample()
    _, log_prob, entropy = policy.evaluate_actions(seen, actions, worlds.mask.reshape(64, -1))
    th.testing.assert_close(log_prob, theirs.log_prob(actions))
    th.testing.assert_close(entropy, theirs.entropy())


def test_a_fresh_policy_at_its_best_is_the_heuristic(worlds: Any) -> None:
    policy = MaskedPolicy(worlds.observation_space, worlds.action_space, lambda _: 1e-3)
    worlds.seen["proposed"] = worlds.right.reshape(worlds.seen["proposed"].shape).astype(np.float32)
    actions, _ = policy.predict(worlds.seen, deterministic=True)
    np.testing.assert_array_equal(actions, worlds.right)


def test_other_masks_than_the_observations_are_obeyed(worlds: Any) -> None:
    policy = policy_for(worlds)
    only = np.zeros_like(worlds.mask)
    only[..., 2] = True
    for masks in (only, only.reshape(64, -1), only.astype(np.float32)):
        actions, _ = policy.predict(worlds.seen, action_masks=masks)
        assert (actions == 2).all()
    one = {name: values[0] for name, values in worlds.seen.items()}
    alone, _ = policy.predict(one, action_masks=only[0], deterministic=True)
    assert alone.shape == worlds.action_space.shape


def test_no_illegal_action_is_ever_taken(worlds: Any) -> None:
    policy = policy_for(worlds)
    for _ in range(100):
        actions, _ = policy.predict(worlds.seen)
        worlds.step(actions)
    assert worlds.illegal == 0


def test_rows_without_a_vm_have_no_say(toy_choices: Any) -> None:
    worlds = toy_choices(32, 5)
    policy, seen = policy_for(worlds), tensors(worlds)
    here = seen["present"] > 0
    actions, _, log_prob = policy(seen)
    other = th.where(here, actions, 0)
    _, same, entropy = policy.evaluate_actions(seen, other)
    th.testing.assert_close(same, log_prob)
    seen["mask"] = th.where(here.unsqueeze(2), seen["mask"], 0.0)  # nothing is legal for nobody
    _, same, alike = policy.evaluate_actions(seen, other)
    th.testing.assert_close(same, log_prob)
    th.testing.assert_close(alike, entropy)
    (same.sum() + alike.sum()).backward()
    assert all(p.grad.isfinite().all() for p in policy.parameters() if p.grad is not None)


def test_networks_follow_from_the_spaces(toy_choices: Any) -> None:
    one, many = toy_choices(2), toy_choices(2, 4)
    assert isinstance(make_network(one.observation_space, one.action_space, 8), PairNetwork)
    assert isinstance(make_network(many.observation_space, many.action_space, 8), ChoiceNetwork)
    uneven: Any = spaces.MultiDiscrete([2, 3])
    with pytest.raises(ValueError, match="the same number of choices"):
        make_network(many.observation_space, uneven, 8)


def test_it_offers_no_distribution(worlds: Any) -> None:
    with pytest.raises(TypeError, match="evaluate_actions"):
        policy_for(worlds).get_distribution(tensors(worlds))


def test_idle_rows_have_a_head_start_of_their_own():
    network = ChoiceNetwork(5, 2, 3, width=8, head_start=2.0, idle_head_start=9.0)
    vms, host, present = th.zeros(1, 2, 5), th.zeros(1, 2), th.ones(1, 2)
    scores, _ = network(vms, host, present, th.tensor([[0.0, 1.0]]), None)
    ahead_of_rest = scores.max(-1).values - scores.median(-1).values
    np.testing.assert_allclose(ahead_of_rest[0].detach(), [9.0, 2.0], atol=1e-6)
    assert ChoiceNetwork(5, 2, 3, head_start=2.0).idle_head_start.item() == 2.0
