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
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.lookahead import Lookahead
from gymbal_agents.oracles.cluster_twins import ClusterTwins, branch
from gymbal_agents.oracles.placement_oracle import tried_in_copies
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_envs.tasks.placement_worlds import PlacementWorlds
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.placement.codec import WAIT

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
        gain: (N, ..., A) return of each action minus that of the proposed one, in the shape of the
            mask; 0 where it forbids. Where several VMs choose, the others do as proposed.
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


def look_ahead(
    worlds: ClusterWorlds | PlacementWorlds, settings: Lookahead, seed: int, on_state: OnState
) -> Known:
    """Play the base heuristic and look at all actions of some moments.

    Args:
        worlds: clusters or data centres, with observations and proposals; they are reset.
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
    allowed = (mask > 0).sum(axis=-1).reshape(len(mask), -1)  # of each VM that chooses
    choices = np.where(allowed > 1, allowed, 0).sum(axis=1)
    drawn = np.flatnonzero((choices > 1) & (rng.random(len(mask)) * settings.every < 1.0))
    batch = (choices[drawn].cumsum() - 1) // settings.at_once
    return [drawn[batch == number] for number in np.unique(batch)]


def _gains(
    worlds: ClusterWorlds | PlacementWorlds, rows: Rows, clusters: Places, settings: Lookahead
) -> Floats:
    """What each allowed action is worth in the given worlds (n,), in the shape of their mask."""
    mask = rows["mask"] > 0
    proposed = rows["proposed"].astype(np.int64).reshape(mask.shape[:-1])
    tried = mask & (mask.sum(axis=-1, keepdims=True) > 1)
    place = np.nonzero(tried)
    origin, action = clusters[place[0]], _one_by_one(proposed, place)
    if isinstance(worlds, PlacementWorlds):
        value = _of_centres(worlds, origin, action, settings)
    else:
        value = _of_clusters(worlds, origin, action, settings)
    gain = np.zeros(mask.shape, dtype=np.float64)
    gain[place] = value
    reference = np.take_along_axis(gain, proposed[..., None], axis=-1)
    return np.where(tried, gain - reference, 0.0).astype(np.float32)


def _one_by_one(proposed: Places, place: tuple[Places, ...]) -> Places:
    """What is done in each copy: what is proposed, but for the one action that is tried."""
    action = proposed[place[0]]  # (copies, ...)
    one = (np.arange(len(action)), *place[1:-1])
    action[one] = place[-1]
    return action


def _of_clusters(
    worlds: ClusterWorlds, origin: Places, action: Places, settings: Lookahead
) -> NDArray[np.float64]:
    """Return of each action (N,) in a copy of its cluster in which the heuristic goes on."""
    twins = ClusterTwins(worlds, origin.size, 1)
    twins.follow(worlds, origin)
    agent: ClusterAgent = branch(worlds.base_agent, origin, worlds.num_worlds)
    told = Orders(**_taken(worlds.base, origin))
    value = twins.step(worlds.codec.decode(action, twins.telemetry, told))
    weight = 1.0
    for _ in range(settings.horizon - 1):
        weight *= settings.discount
        value = value + weight * twins.step(agent.act(twins.telemetry))
    return value


def _of_centres(
    worlds: PlacementWorlds, origin: Places, action: Places, settings: Lookahead
) -> NDArray[np.float64]:
    """Return of the choices (N, M) in copies of data centres to which nobody else comes.

    There whoever waits once waits for ever, so that waiting is not tried: it counts as the worst.
    """
    base = worlds.codec.choices(worlds.telemetry, worlds.base).proposed[origin]
    puts_off = ((action == WAIT) & (base != WAIT)).any(axis=1)
    value = np.zeros(origin.size)
    value[~puts_off] = tried_in_copies(
        worlds, worlds.telemetry, worlds.base, origin[~puts_off], action[~puts_off],
        settings.horizon, settings.discount,
    )  # fmt: skip
    value[puts_off] = value[~puts_off].min(initial=0.0) - 1.0
    return value


def _taken(orders: Orders, origin: Places) -> dict[str, Any]:
    """The fields of the orders of some clusters, in the order of ``origin``."""
    parts = {one.name: getattr(orders, one.name) for one in fields(orders)}
    return {name: None if part is None else part[origin] for name, part in parts.items()}
