"""Imitation of an oracle: a start for reinforcement learning, by DAgger.

The oracle knows the true demand; the policy sees telemetry only and learns what can be told from it.
In each round the policy plays (the first round the heuristic does), the oracle says for every record
what it would have done, and the network is fitted to all answers so far (Ross, Gordon and Bagnell,
"A Reduction of Imitation Learning ... to No-Regret Online Learning", AISTATS 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch as th
from gymbal_envs.scenarios.source import make_source
from gymbal_envs.tasks.balloon.worlds import BalloonWorlds
from gymbal_runtime.codec import CORRECTION_GAIN, Observation
from numpy.typing import NDArray
from stable_baselines3 import PPO

from gymbal_agents.config import TrainConfig
from gymbal_agents.oracles.lookahead import PresentOracle
from gymbal_agents.set_network import SetNetwork
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.torch_policy import TorchPolicy
from gymbal_agents.train import STAGGER, make_worlds

Floats32 = NDArray[np.float32]


@dataclass
class _Lessons:
    """Observations and the oracle's corrections, one entry per decision of the batch."""

    observations: list[Observation]
    corrections: list[Floats32]  # (B, V) each

    def tensors(self) -> tuple[th.Tensor, th.Tensor, th.Tensor, th.Tensor]:
        """vms, host, present, correction, each stacked over all decisions."""
        parts = [
            np.concatenate([o[key] for o in self.observations])  # type: ignore[literal-required]
            for key in ("vms", "host", "present")
        ]
        parts.append(np.concatenate(self.corrections))
        vms, host, present, correction = (th.as_tensor(part) for part in parts)
        return vms, host, present, correction


def imitate(model: PPO, config: TrainConfig) -> list[float]:
    """Fit the learner's network to the oracle.

    Returns:
        Mean squared error of the correction after each round.
    """
    assert isinstance(model.policy, SetActorCriticPolicy)
    network = model.policy.network
    source = make_source(config.scenario, "train", config.seed + 1_000_003)
    worlds = make_worlds(config, source, config.ppo.num_envs)
    oracle = PresentOracle(worlds.engine, config.teacher.window_s)
    lessons = _Lessons([], [])
    errors: list[float] = []
    observation = worlds.reset(stagger=STAGGER)
    for done in range(config.teacher.rounds):
        policy = TorchPolicy(network) if done > 0 else None
        for _ in range(config.teacher.steps):
            target = oracle.act(worlds.telemetry).balloon_bytes
            lessons.observations.append(observation)
            lessons.corrections.append(correction_towards(worlds, target))
            played = policy(observation) if policy else np.zeros_like(observation["present"])
            observation = worlds.step(played).observation
        errors.append(_fit(network, lessons, config, round_seed=config.seed + done))
    return errors


def correction_towards(worlds: BalloonWorlds, target: NDArray[np.float64]) -> Floats32:
    """The action (B, V) that the codec would decode to ``target``, as far as it reaches."""
    present = worlds.telemetry.present
    fair = worlds.telemetry.budget_bytes / np.maximum(present.sum(axis=1), 1)
    step = CORRECTION_GAIN * 0.5 * (worlds.base + fair[:, None])
    with np.errstate(invalid="ignore"):
        wanted = np.clip((target - worlds.base) / step, -1.0, 1.0)
    return np.where(present, wanted, 0.0).astype(np.float32)


def _fit(network: SetNetwork, lessons: _Lessons, config: TrainConfig, round_seed: int) -> float:
    """Minimise the squared error of the corrections; returns the last epoch's mean."""
    vms, host, present, correction = lessons.tensors()
    optimizer = th.optim.Adam(network.parameters(), lr=config.teacher.learning_rate)
    generator = th.Generator().manual_seed(round_seed)
    size = config.ppo.batch_size
    mean = 0.0
    for _ in range(config.teacher.epochs):
        losses = []
        for batch in th.randperm(vms.shape[0], generator=generator).split(size):
            action, _ = network(vms[batch], host[batch], present[batch])
            here = present[batch]
            loss = ((action - correction[batch]).pow(2) * here).sum() / here.sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        mean = float(np.mean(losses))
    return mean
