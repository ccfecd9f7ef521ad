"""One categorical distribution for each row of scores, all rows of a batch at once.

sb3-contrib makes a torch ``Categorical`` for every row, twice (before and after masking), and each
checks that its probabilities add up. Here is what of it learning needs, as a few tensor operations.
"""

from __future__ import annotations

import torch as th

ILLEGAL = -1e8
"""Score of an illegal action: its probability is exactly 0, and no infinity reaches a gradient."""

HEAD_START = 8.0
"""Score of the heuristic's proposal above the rest, before training: e^8 is about 3000 to 1."""


def masked(scores: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
    """Scores (..., A) with `ILLEGAL` where the mask is not positive."""
    return scores if mask is None else th.where(mask > 0, scores, ILLEGAL)


def ahead(scores: th.Tensor, proposed: th.Tensor, head_start: th.Tensor) -> th.Tensor:
    """Scores (..., A) with a head start for the proposed action (...) of each row."""
    index = proposed.long().unsqueeze(-1)
    return scores.scatter_add(-1, index, head_start.expand_as(index))


def sample(log_prob: th.Tensor) -> th.Tensor:
    """One action from each row (..., A) of log-probabilities, never one of probability 0.

    By inverting the cumulative distribution: one random number a row, where torch draws A.
    """
    reached = _probability(log_prob).cumsum(-1)
    # total * u < total also after rounding, so the first one above has a probability of its own.
    drawn = reached[..., -1:] * th.rand_like(reached[..., -1:])
    return (reached <= drawn).sum(-1)


def log_prob_of(log_prob: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """Log-probabilities (...) of the actions (...) taken in each row (..., A)."""
    return log_prob.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def entropy(log_prob: th.Tensor) -> th.Tensor:
    """Entropy (...) of each row (..., A) of log-probabilities."""
    return -(_probability(log_prob) * log_prob).sum(-1)


def _probability(log_prob: th.Tensor) -> th.Tensor:
    # A second softmax changes nothing, and takes a tenth of exp's time where exp underflows.
    return th.softmax(log_prob, -1)
