"""Learners from one configuration: what PPO and MaskablePPO share, and the masked one.

Corrections of hosts are numbers, and PPO learns them. What to do with a cluster is a choice between
actions of which most are illegal at any time, and MaskablePPO learns that (Huang and Ontañón, "A
Closer Look at Invalid Action Masking in Policy Gradient Algorithms", FLAIRS 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch as th
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.save_util import load_from_zip_file

from gymbal_agents.config import TrainConfig
from gymbal_agents.masked_buffer import MaskedBuffer
from gymbal_agents.masked_policy import MaskedPolicy
from gymbal_agents.vec_env import WorldsVecEnv

Learner = PPO | MaskablePPO


def learner_arguments(config: TrainConfig) -> dict[str, Any]:
    """What `PPO` and `MaskablePPO` are given alike. Tensors get one thread."""
    ppo = config.ppo
    th.set_num_threads(1)

    def learning_rate(remaining: float) -> float:
        return ppo.final_learning_rate + remaining * (ppo.learning_rate - ppo.final_learning_rate)

    return {
        "learning_rate": learning_rate,
        "n_steps": ppo.rollout_steps,
        "batch_size": ppo.batch_size,
        "n_epochs": ppo.epochs,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.gae_lambda,
        "clip_range": ppo.clip_range,
        "ent_coef": ppo.entropy,
        "vf_coef": ppo.value_weight,
        "max_grad_norm": ppo.max_grad_norm,
        "target_kl": ppo.target_kl,
        "seed": config.seed,
        "device": "cpu",
    }


def make_masked_learner(config: TrainConfig, env: WorldsVecEnv) -> MaskablePPO:
    """A fresh MaskablePPO whose policy, taken at its best, is exactly the heuristic.

    Args:
        config: of the run.
        env: of worlds with ``action_masks``.
    """
    return MaskablePPO(
        MaskedPolicy,
        env,
        policy_kwargs={
            "width": config.ppo.width,
            "head_start": config.ppo.head_start,
            "idle_head_start": config.ppo.idle_head_start,
        },
        rollout_buffer_class=MaskedBuffer,
        **learner_arguments(config),
    )


def load_learner(path: Path, env: WorldsVecEnv | None = None) -> Learner:
    """A stored learner of either kind.

    Args:
        path: written by the learner's ``save``.
        env: to go on learning in; None only to look at the policy.
    """
    data, _, _ = load_from_zip_file(path, device="cpu")
    assert data is not None
    kind = MaskablePPO if issubclass(data["policy_class"], MaskedPolicy) else PPO
    return kind.load(path, env=env, device="cpu")
