from __future__ import annotations

import pytest
import torch as th
from sb3_contrib.common.maskable.distributions import MaskableCategorical

from gymbal_agents.masked import ILLEGAL, ahead, entropy, log_prob_of, masked, sample


def rows(shape: tuple[int, ...], legal: float = 0.3) -> tuple[th.Tensor, th.Tensor]:
    generator = th.Generator().manual_seed(len(shape))
    scores = 3.0 * th.randn(shape, generator=generator)
    mask = th.rand(shape, generator=generator) < legal
    mask[..., -1] = True
    return scores, mask


@pytest.mark.parametrize("shape", [(50, 7), (20, 6, 3), (4, 961)])
def test_it_is_sb3_contribs_distribution(shape: tuple[int, ...]) -> None:
    scores, mask = rows(shape)
    theirs = MaskableCategorical(logits=scores, masks=mask)
    log_prob = th.log_softmax(masked(scores, mask), -1)
    actions = theirs.sample()
    th.testing.assert_close(log_prob_of(log_prob, actions), theirs.log_prob(actions))
    th.testing.assert_close(entropy(log_prob), theirs.entropy())
    assert th.equal(masked(scores, None), scores)


def test_gradients_are_sb3_contribs() -> None:
    scores, mask = rows((30, 9))
    mine, other = (scores.clone().requires_grad_() for _ in range(2))
    theirs = MaskableCategorical(logits=other, masks=mask)
    actions = theirs.sample()
    (theirs.log_prob(actions) + theirs.entropy()).sum().backward()
    log_prob = th.log_softmax(masked(mine, mask), -1)
    (log_prob_of(log_prob, actions) + entropy(log_prob)).sum().backward()
    th.testing.assert_close(mine.grad, other.grad)
    assert mine.grad is not None
    assert not mine.grad[~mask].any()


def test_samples_are_legal_and_as_frequent_as_they_should_be() -> None:
    th.manual_seed(0)
    scores, mask = rows((1, 1, 8), legal=0.5)
    log_prob = th.log_softmax(masked(scores, mask), -1)
    drawn = sample(log_prob.expand(1000, 200, 8))
    found = th.bincount(drawn.flatten(), minlength=8) / drawn.numel()
    th.testing.assert_close(found, log_prob.exp().flatten(), atol=5e-3, rtol=0.0)


@pytest.mark.parametrize("legal", [0.0, 0.02, 0.5])
def test_no_illegal_action_in_many_draws(legal: float) -> None:
    th.manual_seed(1)
    scores, mask = rows((2000, 97), legal)
    log_prob = th.log_softmax(masked(30.0 * scores, mask), -1)
    for _ in range(50):
        assert mask.gather(-1, sample(log_prob).unsqueeze(-1)).all()


def test_the_least_random_number_draws_a_legal_action(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, mask = rows((2000, 97), 0.05)
    log_prob = th.log_softmax(masked(scores, mask), -1)
    for number in (0.0, 1.0 - 2.0**-24):
        monkeypatch.setattr(th, "rand_like", lambda t, number=number: th.full_like(t, number))
        assert mask.gather(-1, sample(log_prob).unsqueeze(-1)).all()


def test_a_row_where_nothing_is_legal_gives_no_nan() -> None:
    scores = th.randn(3, 5, requires_grad=True)
    log_prob = th.log_softmax(masked(scores, th.zeros(3, 5)), -1)
    (entropy(log_prob) + log_prob_of(log_prob, sample(log_prob))).sum().backward()
    assert scores.grad is not None
    assert not scores.grad.any()
    assert (masked(scores, th.zeros(3, 5)) == ILLEGAL).all()


def test_a_head_start_is_for_the_proposed_action_only() -> None:
    scores, proposed = th.zeros(2, 3, 4), th.tensor([[0.0, 1.0, 2.0], [3.0, 3.0, 0.0]])
    raised = ahead(scores, proposed, th.tensor(8.0))
    assert th.equal(raised.argmax(-1), proposed.long())
    assert float(raised.sum()) == 6 * 8.0
