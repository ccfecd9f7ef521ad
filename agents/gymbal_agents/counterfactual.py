"""What would have come of it: every action that a policy may choose, tried in exact copies.

Exploring finds out about one action of one moment at a time, and blames it for all that happens
next. A simulator can do better. From states that the base heuristic leads to, every allowed action
is carried out in a copy of the cluster, the heuristic goes on in all of them, and the difference of
the rewards is what the action was worth: on the same demand and the same noise. One improvement
step of policy iteration by rollouts (Bertsekas, Tsitsiklis, Wu, "Rollout algorithms for
combinatorial optimization", J. Heuristics 1997) starts a policy that way; PPO goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.lookahead import Lookahead
from gymbal_agents.oracles.cluster_twins import ClusterTwins, branch
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.orders import Orders

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
Rows = dict[str, NDArray[np.float32]]

OnState = Callable[[int], None]
"""Told how many states were looked at so far."""


@dataclass(frozen=True, eq=False)
class Known:
    """N states and what each of their actions is worth.

    Attributes:
        seen: observations, arrays of N rows.
        gain: (N, A) return of each action minus that of the proposed one; 0 where the mask forbids.
    """

    seen: Rows
    gain: Floats

    @property
    def count(self) -> int:
        """N."""
        return len(self.gain)

    def take(self, index: Places) -> Known:
        """Some of the states."""
        return Known({name: rows[index] for name, rows in self.seen.items()}, self.gain[index])


def look_ahead(worlds: ClusterWorlds, settings: Lookahead, seed: int, on_state: OnState) -> Known:
    """Play the base heuristic and look at all actions of some moments.

    Args:
        worlds: the clusters, with observations and proposals; they are reset.
        settings: how much.
        seed: of which moments.
        on_state: told about progress.
    """
    rng = np.random.default_rng([seed, 77])
    seen, found, total = worlds.reset(stagger=8), [], 0
    while total < settings.states:
        for cluster in _drawn(rng, seen["mask"], settings):
            rows = {name: values[cluster].copy() for name, values in seen.items()}
            found.append(Known(rows, _gains(worlds, rows, cluster, settings)))
            total += len(cluster)
            on_state(min(total, settings.states))
        seen = worlds.step_base().observation
    return Known(
        {name: np.concatenate([one.seen[name] for one in found]) for name in seen},
        np.concatenate([one.gain for one in found]),
    ).take(np.arange(settings.states))


def _drawn(
    rng: np.random.Generator, mask: NDArray[np.float32], settings: Lookahead
) -> list[Places]:
    """Clusters with a choice, each with probability 1 / every, in batches that fit ``at_once``."""
    choices = (mask > 0).sum(axis=1)
    drawn = np.flatnonzero((choices > 1) & (rng.random(len(mask)) * settings.every < 1.0))
    batch = (choices[drawn].cumsum() - 1) // settings.at_once
    return [drawn[batch == number] for number in np.unique(batch)]


def _gains(worlds: ClusterWorlds, rows: Rows, clusters: Places, settings: Lookahead) -> Floats:
    """(n, A) what each allowed action is worth in the given clusters (n,)."""
    which, action = np.nonzero(rows["mask"] > 0)
    origin = clusters[which]
    twins = ClusterTwins(worlds, origin.size, 1)
    twins.follow(worlds, origin)
    agent: ClusterAgent = branch(worlds.base_agent, origin, worlds.num_worlds)
    base = worlds.base
    told = Orders(
        base.verb[origin], base.target[origin], base.balance[origin], base.pool_bytes[origin]
    )
    value = twins.step(worlds.codec.decode(action, twins.telemetry, told))
    weight = 1.0
    for _ in range(settings.horizon - 1):
        weight *= settings.discount
        value = value + weight * twins.step(agent.act(twins.telemetry))
    gain = np.zeros(rows["mask"].shape, dtype=np.float32)
    gain[which, action] = value
    proposed = rows["proposed"].astype(np.int64)
    reference = np.take_along_axis(gain, proposed, axis=1)
    return np.where(rows["mask"] > 0, gain - reference, 0.0).astype(np.float32)
