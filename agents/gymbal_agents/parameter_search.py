"""Learning by changing parameters instead of actions: the last layer of a policy, by episodes.

Noise that is added to single actions shows little where hosts are packed: what one decision changes
is small, and the boldest of many draws decides. Here every world plays a whole episode with a last
layer of its own, and the same scenario once more with the opposite change; half the difference of
the two returns is the slope along the change. The layer then follows the mean slope.

Source: Sehnke et al., "Parameter-exploring policy gradients" (Neural Networks 23(4), 2010) for
episodes with symmetric samples; Salimans et al., "Evolution strategies as a scalable alternative to
reinforcement learning" (2017) for following the slope alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray

from gymbal_agents.run_folder import write_whole
from gymbal_agents.search import Search
from gymbal_agents.set_network import SetNetwork
from gymbal_envs.tasks.batch import ScenarioSource, Worlds
from gymbal_runtime.signature import Arrays

Floats = NDArray[np.float64]

LOOK_DECISIONS = 32
"""Decisions of the heuristic over which the layer's inputs are measured."""
PERCENT = 100.0

OnRound = Callable[[int, dict[str, float]], None]
"""Told the number of a round that is over, and its figures."""


def in_pairs(source: ScenarioSource) -> ScenarioSource:
    """Every scenario twice: worlds 2k and 2k + 1 play the same one."""
    return lambda number: source(number // 2)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The last layer as W + 1 numbers for each of A actions, all about equally important.

    The first W belong to its inputs, each less its mean and over its standard deviation and the
    root of W; the last is added.
    """

    mean: Floats  # (W,)
    scale: Floats  # (W,)

    @classmethod
    def of(cls, network: SetNetwork, worlds: Worlds[Any, Any]) -> Coordinates:
        """From the layer's inputs while the heuristic decides; begins new episodes."""
        seen = worlds.reset()
        rows = [_rows(network, seen)]
        for _ in range(min(LOOK_DECISIONS, worlds.episode_steps - 1)):
            seen = worlds.step_base().observation
            rows.append(_rows(network, seen))
        every = np.concatenate(rows)
        # An input that never changes would otherwise count as infinitely important.
        return cls(every.mean(axis=0), (every.std(axis=0) + 1e-3) * np.sqrt(every.shape[1]))

    def features(self, hidden: th.Tensor) -> th.Tensor:
        """Inputs of the layer (B, R, W) as what the coordinates are factors of, (B, R, W + 1)."""
        scaled = (hidden - th.as_tensor(self.mean)) / th.as_tensor(self.scale)
        return th.cat([scaled, th.ones(*scaled.shape[:-1], 1)], dim=-1)

    def apply(self, network: SetNetwork, center: Floats) -> None:
        """Give the network the layer with these coordinates, (W + 1, A)."""
        weight = center[:-1] / self.scale[:, None]
        with th.no_grad():
            network.head_out.weight.copy_(th.as_tensor(weight.T))
            network.head_out.bias.copy_(th.as_tensor(center[-1] - self.mean @ weight))


def search(
    network: SetNetwork,
    worlds: Worlds[Any, Any],
    settings: Search,
    seed: int,
    file: Path,
    tell: OnRound,
) -> None:
    """Move the network's last layer, in place. A search that was killed goes on from its file.

    What is kept is the mean over the second half of the rounds: single ones are noisy.

    Args:
        network: fresh, so that its last layer is zero.
        worlds: twice as many as pairs, of a source `in_pairs`.
        settings: of the search.
        seed: of the changes.
        file: where the state is kept, written after every round.
        tell: told about each round.

    Raises:
        ValueError: the settings name an action that the policy does not have.
    """
    places = Coordinates.of(network, worlds)
    searched = _searched(settings, worlds.codec.actions)
    path = _load(file, (network.head_out.in_features + 1, searched.size))
    for number in range(len(path) - 1, settings.rounds):
        rng = np.random.default_rng([seed, 79, number])
        change = rng.standard_normal((settings.pairs, *path[-1].shape)) * searched
        change *= settings.spread / np.sqrt(2.0)  # half of it through the inputs, half constant
        both = np.stack([path[-1] + change, path[-1] - change], axis=1)
        layers = both.reshape(-1, *path[-1].shape)
        returns = PERCENT * _play(network, places, worlds, layers, number)
        rise = (returns[0::2] - returns[1::2]) / 2.0
        variance = settings.spread**2 / 2.0
        slope = (rise[:, None, None] * change).mean(axis=0) / variance
        path = np.concatenate([path, (path[-1] + settings.step * slope)[None]])
        _save(file, path)
        tell(number, {"reward_percent": float(returns.mean()), "rise": float(rise.std())})
    places.apply(network, path[(len(path) + 1) // 2 :].mean(axis=0))


def _play(
    network: SetNetwork,
    places: Coordinates,
    worlds: Worlds[Any, Any],
    layers: Floats,
    number: int,
) -> Floats:
    """Mean reward per decision of one episode of every world with its own layer, (B,)."""
    seen = worlds.reset(number * worlds.num_worlds)
    total, steps = np.zeros(worlds.num_worlds), worlds.episode_steps
    factors = th.as_tensor(layers)
    for _ in range(steps):
        features = places.features(_hidden(network, seen))
        action = th.tanh(th.einsum("brw,bwa->bra", features, factors)).numpy()
        result = worlds.step(action * seen[network.inputs[2]][..., None])
        total += result.reward
        seen = result.observation
    return total / steps


def _hidden(network: SetNetwork, seen: Arrays) -> th.Tensor:
    with th.no_grad():
        hidden, _ = network.hidden(*(th.as_tensor(seen[name]) for name in network.inputs))
    return hidden.double()


def _rows(network: SetNetwork, seen: Arrays) -> Floats:
    """The layer's inputs of all rows that are there, (n, W)."""
    rows: Floats = _hidden(network, seen).numpy()[seen[network.inputs[2]] > 0]
    return rows


def _searched(settings: Search, actions: tuple[str, ...]) -> Floats:
    """(A,) 1 where an action is searched."""
    unknown = set(settings.actions) - set(actions)
    if unknown:
        raise ValueError(
            f"search.actions: there is no {', '.join(sorted(unknown))}; the policy gives "
            f"{', '.join(actions)}"
        )
    return np.array([float(not settings.actions or name in settings.actions) for name in actions])


def _save(file: Path, path: Floats) -> None:
    content = io.BytesIO()
    np.save(content, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content.getvalue())


def _load(file: Path, shape: tuple[int, int]) -> Floats:
    """Coordinates after each round so far, (rounds + 1, W + 1, A); zero before the first."""
    if not file.is_file():
        return np.zeros((1, *shape))
    path: Floats = np.load(file)
    return path
