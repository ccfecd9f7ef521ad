"""What masks of legal actions cost PPO, and where sb3-contrib spends it.

Usage: python benchmarks/masked_ppo.py [--quick]

Random observations, masks and rewards of the right shapes for 128 worlds, so that only the learner
is measured. The same network, settings and samples everywhere:

    ppo        stable-baselines3's PPO, no masks at all
    stock      sb3-contrib's MaskablePPO as it comes: a mask from each environment by a Python call,
               its distributions, its buffer
    rows       the masks of a batch at once
    softmax    and one masked log-softmax for the distribution (`gymbal_agents.masked`)
    ours       and each mask kept once, as booleans (`gymbal_agents.masked_buffer`)

Rates are decisions per second of CPU time on one thread, the best of a few rounds in which the
learners take turns. Prints tables and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from random_worlds import LEGAL, NUM_WORLDS, RandomWorlds, Shape, cluster, sites
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.distributions import make_masked_proba_distribution
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import PPO
from torch.distributions import Distribution

from gymbal_agents.config import PpoConfig, TrainConfig
from gymbal_agents.masked import entropy, log_prob_of, masked
from gymbal_agents.masked_buffer import MaskedBuffer
from gymbal_agents.masked_learner import learner_arguments
from gymbal_agents.masked_policy import MaskedPolicy
from gymbal_agents.vec_env import WorldsVecEnv

WIDTH = 32
TARGET = 0.5
SHAPES = (cluster(4), cluster(16), sites(16, 3), sites(32, 8))
PPO_CONFIG = TrainConfig(
    ppo=PpoConfig(num_envs=NUM_WORLDS, rollout_steps=16, batch_size=1024, target_kl=None)
)


class LoopVecEnv(WorldsVecEnv):
    """Masks as a ``DummyVecEnv`` gives them: one call and one array for each environment."""

    def mask_of(self, world: int) -> NDArray[np.bool_]:
        """Legal actions of one environment."""
        return self.worlds.masks[self.worlds.now % 8, world].ravel().copy()

    @property
    def action_masks(self) -> Callable[[], NDArray[np.bool_]]:
        """Legal actions of all."""
        return lambda: self.worlds.masks[self.worlds.now % 8]

    def env_method(self, method_name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Masks, one after the other."""
        return [self.mask_of(world) for world in range(self.num_envs)]


class RowsVecEnv(LoopVecEnv):
    """Masks of the batch, cut into rows."""

    def env_method(self, method_name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Masks, all at once."""
        return list(self.action_masks())


class UnmaskedPolicy(MaskedPolicy):
    """The same policy where everything is legal."""

    def __init__(self, *args: Any, use_sde: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def _scores(self, obs: Any, masks: Any) -> tuple[th.Tensor, th.Tensor]:
        return self.network(*(obs[name] for name in self.network.inputs[:-1]), None)


class GivenMaskPolicy(UnmaskedPolicy):
    """Our distribution, masks as sb3-contrib hands them over."""

    def _scores(self, obs: Any, masks: Any) -> tuple[th.Tensor, th.Tensor]:
        scores, value = super()._scores(obs, None)
        if masks is None:
            return scores, value
        return masked(scores, th.as_tensor(masks).reshape(scores.shape)), value


class StockPolicy(UnmaskedPolicy):
    """sb3-contrib's distributions behind the same network."""

    def _distribution(self, obs: Any, masks: Any) -> tuple[Any, th.Tensor]:
        scores, value = self._scores(obs, None)
        distribution = self.action_dist.proba_distribution(scores.flatten(1))
        if masks is not None:
            distribution.apply_masking(masks)
        return distribution, value.unsqueeze(-1)

    def forward(self, obs: Any, deterministic: bool = False, action_masks: Any = None) -> Any:
        """Actions, values and log-probabilities."""
        distribution, value = self._distribution(obs, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, value, distribution.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: th.Tensor, action_masks: Any = None) -> Any:
        """Values, log-probabilities and entropies."""
        distribution, value = self._distribution(obs, action_masks)
        return value, distribution.log_prob(actions), distribution.entropy()


VARIANTS: dict[str, tuple[Any, type[Any], type[WorldsVecEnv], Any]] = {
    "ppo": (PPO, UnmaskedPolicy, WorldsVecEnv, None),
    "stock": (MaskablePPO, StockPolicy, LoopVecEnv, None),
    "rows": (MaskablePPO, StockPolicy, RowsVecEnv, None),
    "softmax": (MaskablePPO, GivenMaskPolicy, RowsVecEnv, None),
    "ours": (MaskablePPO, MaskedPolicy, WorldsVecEnv, MaskedBuffer),
}


def make(variant: str, shape: Shape) -> Any:
    algorithm, policy, env, buffer = VARIANTS[variant]
    return algorithm(
        policy,
        env(RandomWorlds(shape, with_mask=variant == "ours")),
        policy_kwargs={"width": WIDTH},
        rollout_buffer_class=buffer,
        **learner_arguments(PPO_CONFIG),
    )


def rates(shape: Shape, rounds: int) -> dict[str, float]:
    """Decisions per second of CPU time of each variant, the best of some rounds."""
    learners = {name: make(name, shape) for name in VARIANTS}
    size = NUM_WORLDS * PPO_CONFIG.ppo.rollout_steps
    best = dict.fromkeys(learners, 0.0)
    for number in range(rounds + 1):
        for name, model in learners.items():
            begun = time.process_time()
            model.learn(size, reset_num_timesteps=False)
            if number:  # nobody times the first
                best[name] = max(best[name], size / (time.process_time() - begun))
    return best


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """CPU time of a piece of work, the best of some."""
    work()
    spent = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


def mask_calls(shape: Shape) -> dict[str, float]:
    """Microseconds per decision of asking environments for their masks."""
    worlds = RandomWorlds(shape, with_mask=True)
    envs = {"stock": LoopVecEnv(worlds), "ours": WorldsVecEnv(worlds)}
    envs["ours"].reset()
    return {
        f"masks, {name}": seconds(lambda env=env: get_action_masks(env)) / NUM_WORLDS * 1e6
        for name, env in envs.items()
    }


def distributions(shape: Shape) -> dict[str, float]:
    """Microseconds per decision of log-probabilities and entropies in all passes of an update."""
    config = PPO_CONFIG.ppo
    mask = np.random.default_rng(0).random((config.batch_size, *shape.masks)) < LEGAL
    mask[..., 0] = True
    choices = np.where(mask, np.random.default_rng(1).random(mask.shape), -1.0).argmax(-1)
    scores = th.randn(mask.shape, requires_grad=True)
    taken, asked = th.as_tensor(choices), th.as_tensor(mask)
    floats = asked.float().flatten(1)
    stock = make_masked_proba_distribution(shape.action_space)

    def theirs(validate: bool) -> None:
        Distribution.set_default_validate_args(validate)
        stock.proba_distribution(scores.flatten(1)).apply_masking(floats)
        (stock.log_prob(taken).mean() + stock.entropy().mean()).backward()
        Distribution.set_default_validate_args(True)

    def mine() -> None:
        log_prob = th.log_softmax(masked(scores, asked), -1)
        (log_prob_of(log_prob, taken).mean() + entropy(log_prob).mean()).backward()

    ways = {"stock": lambda: theirs(True), "unchecked": lambda: theirs(False), "ours": mine}
    each = config.epochs / config.batch_size * 1e6
    return {f"distribution, {name}": seconds(work) * each for name, work in ways.items()}


def buffers(shape: Shape) -> dict[str, float]:
    """Microseconds per decision of storing a rollout and of drawing its minibatches."""
    config = PPO_CONFIG.ppo
    one, action = th.zeros(NUM_WORLDS), np.zeros((NUM_WORLDS, *shape.masks[:-1]), dtype=np.int64)

    def use(kind: type[Any], worlds: RandomWorlds) -> None:
        buffer = kind(
            config.rollout_steps, worlds.observation_space, worlds.action_space, "cpu",
            n_envs=NUM_WORLDS,
        )  # fmt: skip
        zeros = np.zeros(NUM_WORLDS)
        for step in range(config.rollout_steps):
            masks = worlds.masks[step % 8].reshape(NUM_WORLDS, -1)
            buffer.add(worlds.seen[step % 8], action, zeros, zeros, one, one, action_masks=masks)
        for _ in range(config.epochs):
            for _ in buffer.get(config.batch_size):
                pass

    # As a rule observations do not repeat the mask; ours do, instead of the buffer.
    kinds = {
        "stock": (MaskableDictRolloutBuffer, RandomWorlds(shape, with_mask=False)),
        "ours": (MaskedBuffer, RandomWorlds(shape, with_mask=True)),
    }
    samples = NUM_WORLDS * config.rollout_steps
    return {
        f"buffer, {name}": seconds(lambda k=k, w=w: use(k, w)) / samples * 1e6
        for name, (k, w) in kinds.items()
    }


def print_table(title: str, rows: dict[str, dict[str, float]], form: str) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n| {title} | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(format(row[c], form) for c in columns) + " |")


def rounded(rows: dict[str, dict[str, float]], digits: int) -> dict[str, dict[str, float]]:
    return {name: {k: round(v, digits) for k, v in row.items()} for name, row in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round")
    rounds = 1 if parser.parse_args().quick else 4
    th.set_num_threads(1)
    speed = {shape.name: rates(shape, rounds) for shape in SHAPES}
    share = {
        name: {variant: rate[variant] / rate["ppo"] for variant in rate}
        for name, rate in speed.items()
    }
    parts = {s.name: mask_calls(s) | distributions(s) | buffers(s) for s in SHAPES}
    print_table("decisions per CPU second", speed, ",.0f")
    print_table("share of PPO's rate", share, ".2f")
    print_table("us per decision", parts, ".1f")
    least = min(row["ours"] for row in share.values())
    measured = {
        "least_share_of_ppo": round(least, 3),
        "decisions_per_cpu_s": rounded(speed, 0),
        "us_per_decision": rounded(parts, 1),
    }
    print(
        json.dumps(
            {
                "benchmark": "masked_ppo",
                "measured": measured,
                "targets": {"least_share_of_ppo": TARGET},
                "pass": {"least_share_of_ppo": least >= TARGET},
                "load_average": os.getloadavg(),
            }
        )
    )


if __name__ == "__main__":
    main()
