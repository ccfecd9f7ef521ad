"""Training: stable-baselines3's PPO on a native batch of hosts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from gymbal_agents.config import ConfigError, TrainConfig
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.vec_env import HostVecEnv
from gymbal_envs.scenarios.source import make_source
from gymbal_envs.tasks.batch import ScenarioSource, Worlds
from gymbal_envs.tasks.open import open_worlds, shape_of

STAGGER = 8
"""Groups of hosts whose episodes end at different times."""


def make_worlds(
    config: TrainConfig, source: ScenarioSource, num_worlds: int, encode: bool = True
) -> Worlds[Any, Any]:
    """Worlds that play the configuration's scenarios."""
    shape = shape_of(config.scenario, config.task)
    return open_worlds(config.task, source, num_worlds, shape, config.threads, encode)


def make_vec_env(config: TrainConfig) -> HostVecEnv:
    """The learner's hosts and, if configured, their twins under the plain heuristic."""
    source = make_source(config.scenario, "train", config.seed)
    worlds = make_worlds(config, source, config.ppo.num_envs)
    twin = (
        make_worlds(config, source, config.ppo.num_envs, encode=False) if config.ppo.twin else None
    )
    return HostVecEnv(worlds, twin, config.ppo.reward_scale, STAGGER)


def make_learner(config: TrainConfig, env: HostVecEnv) -> PPO:
    """A fresh PPO whose policy is exactly the heuristic."""
    ppo = config.ppo
    th.set_num_threads(1)

    def learning_rate(remaining: float) -> float:
        return ppo.final_learning_rate + remaining * (ppo.learning_rate - ppo.final_learning_rate)

    return PPO(
        SetActorCriticPolicy,
        env,
        learning_rate=learning_rate,
        n_steps=ppo.rollout_steps,
        batch_size=ppo.batch_size,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip_range,
        ent_coef=ppo.entropy,
        vf_coef=ppo.value_weight,
        max_grad_norm=ppo.max_grad_norm,
        target_kl=ppo.target_kl,
        policy_kwargs={"width": ppo.width, "log_std_init": ppo.log_std},
        seed=config.seed,
        device="cpu",
    )


def train(
    config: TrainConfig,
    folder: RunFolder,
    callbacks: list[BaseCallback],
    resume: bool = False,
) -> PPO:
    """Train until ``config.total_steps``; a resumed run goes on from its last checkpoint.

    Args:
        config: the run. Checked against the stored one when resuming.
        folder: where everything goes.
        callbacks: progress, checkpoints, evaluation.
        resume: continue the run in ``folder``.

    Returns:
        The trained learner, also stored as ``folder.model``.

    Raises:
        ConfigError: if the folder holds another run, or there is nothing to resume.
    """
    env = make_vec_env(config)
    checkpoint = folder.last_checkpoint() if resume else None
    if resume:
        _same_run(config, folder)
    else:
        if folder.config.is_file():
            raise ConfigError(
                f"{folder.root} holds a run already: give resume=true or another folder"
            )
        folder.save_config(config)
    if checkpoint is None:
        model = make_learner(config, env)
    else:
        path, state = checkpoint
        # Scenarios already played are not played again.
        env.first_episode = int(state["episodes_begun"])
        model = PPO.load(path, env=env, device="cpu")
    model.set_logger(configure(str(folder.tensorboard / "training"), ["tensorboard"]))
    left = config.total_steps - model.num_timesteps
    if left > 0:
        model.learn(left, callback=callbacks, reset_num_timesteps=False, tb_log_name="")
    model.save(folder.model)
    return model


def _same_run(config: TrainConfig, folder: RunFolder) -> None:
    """A run may be made longer when it is resumed; anything else would be another run."""
    stored = folder.load_config()
    if replace(stored, total_steps=config.total_steps) != config:
        raise ConfigError(
            f"{folder.root} was started with another configuration: "
            f"resume it with the settings in {folder.config}, or choose another folder"
        )


def episodes_begun(env: HostVecEnv) -> int:
    """Number of the first scenario that no host has begun."""
    return int(np.max(env.worlds.episodes)) + 1
