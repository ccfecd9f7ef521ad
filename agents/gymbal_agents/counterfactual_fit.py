"""Fits a policy to what all actions of many states are known to be worth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch as th
from numpy.typing import NDArray

from gymbal_agents.counterfactual import Known
from gymbal_agents.lookahead import Lookahead
from gymbal_agents.masked_policy import MaskedPolicy

HELD_OUT_FRAC = 0.2
BATCH = 512
MOST_GAIN = 0.1
"""A gain counts for at most this much, or a few lucky moments decide everything."""

OnPass = Callable[[int, float, float], None]
"""Told the pass and the mean gain of the best-scored action, on seen and on held-out states."""


def fit(policy: MaskedPolicy, known: Known, settings: Lookahead, seed: int, tell: OnPass) -> float:
    """Raise the expected gain of the policy's choices, ``sum_a p(a | s) gain(s, a)``, in place.

    The fit of the pass whose *best-scored* actions gain most on held-out states stays, or the
    policy as it was where none gains anything: what is deployed takes the best-scored action.

    Args:
        policy: scores actions.
        known: states in the order in which they were met; the last part is held out.
        settings: of the fit.
        seed: of the batches.
        tell: told about each pass.

    Returns:
        Mean gain per held-out state.
    """
    split = round(known.count * (1.0 - HELD_OUT_FRAC))
    train, held_out = known.take(np.arange(split)), known.take(np.arange(split, known.count))
    optimizer = th.optim.AdamW(
        policy.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, kept = 0.0, copy.deepcopy(policy.network.state_dict())
    rng = np.random.default_rng([seed, 78])
    scale = float(np.abs(_bounded(train)).max(axis=-1).sum() / train.count) + 1e-9
    for number in range(settings.passes):
        for batch in _batches(rng, train):
            gain = th.as_tensor(_bounded(batch) / scale)
            loss = -(_probability(policy, batch) * gain).flatten(1).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            th.nn.utils.clip_grad_norm_(policy.network.parameters(), 1.0)
            optimizer.step()
        reached = mean_gain(policy, held_out)
        if reached > best:
            best, kept = reached, copy.deepcopy(policy.network.state_dict())
        tell(number, mean_gain(policy, train), reached)
    policy.network.load_state_dict(kept)
    return best


def mean_gain(policy: MaskedPolicy, known: Known) -> float:
    """Mean gain of the best-scored action over the states, bounded as in the fit."""
    with th.no_grad():
        chosen = np.concatenate(
            [
                _probability(policy, known.take(index)).argmax(-1).numpy()
                for index in np.array_split(np.arange(known.count), -(-known.count // 2048))
            ]
        )
    reached = np.take_along_axis(_bounded(known), chosen[..., None], axis=-1)
    return float(reached.sum() / known.count)


def _bounded(known: Known) -> NDArray[np.float32]:
    return np.clip(known.gain, -MOST_GAIN, MOST_GAIN)


def _probability(policy: MaskedPolicy, known: Known) -> th.Tensor:
    seen = [th.as_tensor(known.seen[name]) for name in policy.network.inputs]
    scores, _ = policy.network(*seen)
    return th.softmax(scores, -1)


def _batches(rng: np.random.Generator, known: Known) -> Iterator[Known]:
    order = rng.permutation(known.count)
    for first in range(0, known.count, BATCH):
        yield known.take(order[first : first + BATCH])
