"""Small worlds of choices, with a right answer: stands in for clusters and sites in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.tasks.batch import Transition

HOSTS, CANDIDATES, VERBS = 3, 1, 4
STEPS = 10


class ToyChoices:
    """Every step is a new question; the reward is 1 for the right legal answer, else 0.

    Each legal action has a number that the observation shows, and the right one has the largest.
    The heuristic always proposes action 0.

    Args:
        num_worlds: B.
        rows: None asks one question about a cluster; else R, a question about each of R VMs.
    """

    def __init__(self, num_worlds: int, rows: int | None = None) -> None:
        self.num_worlds, self.rows = num_worlds, rows
        self.rng = np.random.default_rng(0)
        self.actions = 3 if rows else 1 + HOSTS * CANDIDATES * (VERBS + HOSTS)
        self.episodes = np.arange(num_worlds)
        self.steps = np.zeros(num_worlds, dtype=np.int64)
        self.illegal = 0
        self._ask()
        self.observation_space = spaces.Dict(
            {k: spaces.Box(-10.0, 100.0, v.shape[1:], np.float32) for k, v in self.seen.items()}
        )
        shape = [self.actions] * (rows or 0)
        self.action_space: spaces.Space[Any] = (
            spaces.MultiDiscrete(shape) if rows else spaces.Discrete(self.actions)
        )

    def reset(self, first_episode: int = 0, stagger: int = 1) -> dict[str, NDArray[np.float32]]:
        self.episodes = first_episode + np.arange(self.num_worlds)
        self.steps = np.arange(self.num_worlds) % max(stagger, 1)
        self._ask()
        return self.seen

    def step(self, action: NDArray[Any]) -> Transition:
        chosen = np.take_along_axis(self.mask, np.asarray(action)[..., None], axis=-1)[..., 0]
        here = np.ones_like(chosen) if self.rows is None else self.seen["present"] > 0
        self.illegal += int((~chosen & here).sum())
        right = (action == self.right) & here
        reward = right.astype(float) if self.rows is None else right.sum(1) / here.sum(1)
        self.steps += 1
        ended = self.steps >= STEPS
        self.episodes[ended] += self.num_worlds
        self.steps[ended] = 0
        self._ask()
        return Transition(self.seen, reward, {"wrong": 1.0 - reward}, ended, self.seen)

    def step_base(self) -> Transition:
        return self.step(np.zeros_like(self.right))

    def _ask(self) -> None:
        batch, rng = self.num_worlds, self.rng
        axes = (batch, self.rows, self.actions) if self.rows else (batch, self.actions)
        self.mask = rng.random(axes) < 0.5
        self.mask[..., 0] = True
        worth = rng.random(axes).astype(np.float32)
        self.right = np.where(self.mask, worth, -1.0).argmax(axis=-1)
        if self.rows:
            present = rng.random((batch, self.rows)) < 0.7
            present[:, 0] = True
            self.seen = {
                "vms": worth * present[..., None],
                "host": np.zeros((batch, 1), np.float32),
                "present": present.astype(np.float32),
                "proposed": np.zeros((batch, self.rows), np.float32),
                "mask": self.mask.astype(np.float32),
            }
            return
        blocks = worth[:, 1:].reshape(batch, HOSTS, CANDIDATES, VERBS + HOSTS)
        self.seen = {
            "vms": blocks[..., :VERBS].copy(),
            "vm_present": np.ones((batch, HOSTS, CANDIDATES), np.float32),
            "hosts": np.ones((batch, HOSTS, 1), np.float32),
            "host_present": np.ones((batch, HOSTS), np.float32),
            "cluster": worth[:, :1].copy(),
            "proposed": np.zeros((batch, 1), np.float32),
            "mask": self.mask.astype(np.float32),
        }
        # Moves are never right: what tells hosts apart is not shown.
        moves = 1 + np.arange(HOSTS * CANDIDATES * (VERBS + HOSTS)).reshape(-1, VERBS + HOSTS)
        hidden = np.where(self.mask, worth, -1.0)
        hidden[:, moves[:, VERBS:].ravel()] = -1.0
        self.right = hidden.argmax(axis=-1)


@pytest.fixture
def toy_choices() -> type[ToyChoices]:
    return ToyChoices


@pytest.fixture(params=[None, 4], ids=["cluster", "rows"])
def worlds(request: pytest.FixtureRequest) -> ToyChoices:
    """64 worlds of either kind."""
    return ToyChoices(64, request.param)
