"""A quadratic surface over trials of corrections, and a policy that stands where it is highest.

gain(a, z) = sum_i a_i (b_i + w_i z) + sum_(i <= j) c_ij a_i a_j

for corrections a and standardised inputs z: nothing is gained by correcting nothing, and where the
best correction lies depends on what the world is like.

Source: Box and Wilson, "On the experimental attainment of optimum conditions" (JRSS B 13, 1951);
ridge regression: Hoerl and Kennard (Technometrics 12, 1970).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray

from gymbal_agents.set_network import SetNetwork
from gymbal_agents.surface import Surface
from gymbal_agents.surface_trials import OnRound, Reading, Trials, lever_places
from gymbal_envs.tasks.batch import Worlds

Floats = NDArray[np.float64]

BEYOND = 30.0
"""Penalty on the square of what a correction exceeds what was tried."""


@dataclass(frozen=True, eq=False)
class ResponseSurface:
    """What corrections are worth.

    Attributes:
        levers: names of the L corrections.
        inputs: names of the K inputs.
        most: (L,) what was tried of each.
        mean, scale: (K,) of the inputs.
        slope: (L, 1 + K) b and w, percentage points per 1.
        error: (L, 1 + K) their standard errors.
        bend: (L, L) symmetric; a c a = sum_ij.
    """

    levers: tuple[str, ...]
    inputs: tuple[str, ...]
    most: Floats
    mean: Floats
    scale: Floats
    slope: Floats
    error: Floats
    bend: Floats

    @classmethod
    def fit(cls, trials: Trials, settings: Surface) -> ResponseSurface:
        """Least squares, with a penalty on w alone."""
        # An input that never changed would otherwise count as infinitely important.
        mean, scale = trials.inputs.mean(axis=0), trials.inputs.std(axis=0) + 1e-3
        z = (trials.inputs - mean) / scale
        levers, (num, inputs) = trials.levers, (trials.levers.shape[1], z.shape[1])
        pairs = [(i, j) for i in range(num) for j in range(i, num)]
        linear = (levers[:, :, None] * np.column_stack([np.ones(len(z)), z])[:, None]).reshape(
            len(z), -1
        )
        design = np.column_stack([linear, *(levers[:, i] * levers[:, j] for i, j in pairs)])
        gain = np.clip(trials.gain, -settings.most_gain, settings.most_gain)
        penalty = np.zeros(design.shape[1])
        penalty[: linear.shape[1]] = np.tile([0.0] + [settings.ridge] * inputs, num)
        inverse = np.linalg.pinv(design.T @ design + np.diag(penalty))
        found = inverse @ (design.T @ gain)
        # Episodes of one scenario are not independent: errors by scenario.
        residual = (gain - design @ found)[:, None] * design
        _, group = np.unique(trials.scenario, return_inverse=True)
        sums = np.zeros((int(group.max(initial=-1)) + 1, design.shape[1]))
        np.add.at(sums, group, residual)
        error = np.sqrt(np.maximum(np.diag(inverse @ (sums.T @ sums) @ inverse), 0.0))
        shape = (num, 1 + inputs)
        bend = np.zeros((num, num))
        for (i, j), value in zip(pairs, found[linear.shape[1] :], strict=True):
            bend[i, j] += 0.5 * value
            bend[j, i] += 0.5 * value
        return cls(
            levers=tuple(settings.spread),
            inputs=settings.inputs,
            most=np.array(list(settings.spread.values())),
            mean=mean,
            scale=scale,
            slope=found[: linear.shape[1]].reshape(shape),
            error=error[: linear.shape[1]].reshape(shape),
            bend=bend,
        )

    def gain(self, levers: th.Tensor, inputs: th.Tensor) -> th.Tensor:
        """Percentage points (..., ) for corrections (..., L) where inputs are (..., K)."""
        z = (inputs - th.as_tensor(self.mean)) / th.as_tensor(self.scale)
        slope = th.as_tensor(self.slope)
        linear = slope[:, 0] + z @ slope[:, 1:].T
        bend = levers @ th.as_tensor(self.bend)
        return (levers * (linear + bend)).sum(-1)

    def plain(self) -> dict[str, Any]:
        """Everything as plain JSON types, for a person to read."""
        names = ("constant", *self.inputs)

        def rows(table: Floats) -> dict[str, dict[str, float]]:
            return {
                lever: dict(zip(names, row.tolist(), strict=True))
                for lever, row in zip(self.levers, table, strict=True)
            }

        return {
            "unit": "percentage points of reward per decision",
            "tried": dict(zip(self.levers, self.most.tolist(), strict=True)),
            "slope": rows(self.slope),
            "standard_error": rows(self.error),
            "bend": {a: row.tolist() for a, row in zip(self.levers, self.bend, strict=True)},
            "input_mean": dict(zip(self.inputs, self.mean.tolist(), strict=True)),
            "input_scale": dict(zip(self.inputs, self.scale.tolist(), strict=True)),
        }


def climb(
    network: SetNetwork,
    surface: ResponseSurface,
    worlds: Worlds[Any, Any],
    settings: Surface,
    tell: OnRound,
) -> None:
    """Fit a network, in place, to give every host the correction that is worth most.

    It learns from what it sees when it decides itself.

    Args:
        network: fresh.
        surface: where it shall stand highest.
        worlds: with observations; reset for every pass.
        settings: of the fit.
        tell: told about each pass.
    """
    places, read = lever_places(worlds.codec, settings), Reading.of(worlds.codec, settings.inputs)
    optimizer = th.optim.Adam(network.parameters(), settings.learning_rate)
    total = settings.passes * worlds.episode_steps
    schedule = th.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    most = th.as_tensor(surface.most)
    for number in range(settings.passes):
        seen, gained = worlds.reset(number * worlds.num_worlds), 0.0
        for _ in range(worlds.episode_steps):
            rows = [th.as_tensor(seen[name]) for name in network.inputs]
            action, _ = network(*rows)
            there = rows[2].double()
            levers = action[..., th.as_tensor(places)].double()
            gain = surface.gain(levers, th.as_tensor(read(seen))[:, None])
            beyond = th.relu(levers.abs() - most).square().sum(-1)
            loss = -((gain - BEYOND * beyond) * there).sum() / there.sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            worth = (gain.detach() * there).sum() / there.sum()
            gained += float(worth) / worlds.episode_steps
            seen = worlds.step(action.detach().numpy().astype(np.float64)).observation
        tell(number, {"expected_gain": gained})
