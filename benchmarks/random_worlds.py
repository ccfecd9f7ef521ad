"""Stand-ins for worlds with masks: right shapes, random numbers, no time spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_agents.vec_env import MASK
from gymbal_envs.tasks.batch import Transition

NUM_WORLDS = 128
EPISODE = 64
LEGAL = 0.3
"""Share of actions that are legal."""
FEATURES = {"vms": 40, "hosts": 30, "host": 30, "cluster": 12}


@dataclass(frozen=True)
class Shape:
    """Axes of one world's inputs, and how many choices it has: A, or V times A."""

    name: str
    rows: dict[str, tuple[int, ...]]
    action_space: spaces.Space[Any]
    masks: tuple[int, ...]


def cluster(hosts: int, candidates: int = 3) -> Shape:
    actions = 1 + hosts * candidates * (4 + hosts)
    rows = {
        "vms": (hosts, candidates, FEATURES["vms"]),
        "vm_present": (hosts, candidates),
        "hosts": (hosts, FEATURES["hosts"]),
        "host_present": (hosts,),
        "cluster": (FEATURES["cluster"],),
        "proposed": (1,),
    }
    name = f"{hosts} hosts, Discrete({actions})"
    return Shape(name, rows, spaces.Discrete(actions), (actions,))


def sites(vms: int, choices: int) -> Shape:
    rows = {
        "vms": (vms, FEATURES["vms"]),
        "host": (FEATURES["host"],),
        "present": (vms,),
        "proposed": (vms,),
    }
    space = spaces.MultiDiscrete([choices] * vms)
    return Shape(f"MultiDiscrete([{choices}] * {vms})", rows, space, (vms, choices))


class RandomWorlds:
    """Worlds that draw everything beforehand, and end their episodes in turn."""

    def __init__(self, shape: Shape, with_mask: bool) -> None:
        rng = np.random.default_rng(0)
        self.num_worlds, self.action_space = NUM_WORLDS, shape.action_space
        self.episodes = np.arange(NUM_WORLDS)
        self.masks = rng.random((8, NUM_WORLDS, *shape.masks)) < LEGAL
        self.masks[..., 0] = True
        self.seen = [
            {
                name: np.zeros((NUM_WORLDS, *axes), np.float32)
                if name == "proposed"
                else rng.random((NUM_WORLDS, *axes), dtype=np.float32)
                for name, axes in shape.rows.items()
            }
            | {name: np.ones((NUM_WORLDS, *shape.rows[name]), np.float32) for name in shape.rows
               if name.endswith("present")}
            | ({MASK: masks.astype(np.float32)} if with_mask else {})
            for masks in self.masks
        ]  # fmt: skip
        self.observation_space = spaces.Dict(
            {name: spaces.Box(-np.inf, np.inf, v.shape[1:]) for name, v in self.seen[0].items()}
        )
        self.rewards = rng.normal(0.0, 1.0, (8, NUM_WORLDS))
        self.now = 0

    def reset(self, first_episode: int = 0, stagger: int = 1) -> dict[str, Any]:
        """Begin."""
        return self.seen[0]

    def step(self, action: NDArray[Any]) -> Transition:
        """Go on, whatever was chosen."""
        self.now += 1
        ended = (np.arange(NUM_WORLDS) + self.now) % EPISODE == 0
        seen = self.seen[self.now % 8]
        return Transition(seen, self.rewards[self.now % 8], {}, ended, seen)
