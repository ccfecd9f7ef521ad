"""Training: stable-baselines3's PPO, or its masked sister, on a native batch of worlds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from gymbal_agents.config import ConfigError, TrainConfig
from gymbal_agents.masked_learner import (
    Learner,
    learner_arguments,
    load_learner,
    make_masked_learner,
)
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.vec_env import WorldsVecEnv
from gymbal_envs.scenarios.source import make_source
from gymbal_envs.tasks.batch import ScenarioSource, Worlds
from gymbal_envs.tasks.open import open_worlds, shape_of

STAGGER = 8
"""Groups of worlds whose episodes end at different times."""


def make_worlds(
    config: TrainConfig, source: ScenarioSource, num_worlds: int, encode: bool = True
) -> Worlds[Any, Any]:
    """Worlds that play the configuration's scenarios."""
    shape = shape_of(config.scenario, config.task)
    return open_worlds(config.task, source, num_worlds, shape, config.threads, encode)


def make_vec_env(config: TrainConfig) -> WorldsVecEnv:
    """The learner's worlds and, if configured, their twins under the plain heuristic."""
    source = make_source(config.scenario, "train", config.seed)
    worlds = make_worlds(config, source, config.ppo.num_envs)
    twin = (
        make_worlds(config, source, config.ppo.num_envs, encode=False) if config.ppo.twin else None
    )
    ppo = config.ppo
    stagger = STAGGER if ppo.endless else 1
    if ppo.hold != 1 and worlds.episode_steps % (stagger * ppo.hold):
        between = worlds.episode_steps / stagger
        raise ConfigError(
            f"ppo.hold ({ppo.hold}) must divide {between:g}: episodes of {worlds.episode_steps} "
            f"decisions end in {stagger} groups, each where a hold does; give a divisor, or 1"
        )
    return WorldsVecEnv(worlds, twin, ppo.reward_scale, stagger, ppo.endless, ppo.hold)


def make_learner(config: TrainConfig, env: WorldsVecEnv) -> Learner:
    """A fresh learner whose policy is exactly the heuristic: MaskablePPO where actions are choices.

    Args:
        config: of the run.
        env: whose spaces the policy gets.
    """
    if not isinstance(env.action_space, spaces.Box):
        return make_masked_learner(config, env)
    return PPO(
        SetActorCriticPolicy,
        env,
        policy_kwargs={"width": config.ppo.width, "log_std_init": config.ppo.log_std},
        **learner_arguments(config),
    )


def train(
    config: TrainConfig,
    folder: RunFolder,
    callbacks: list[BaseCallback],
    resume: bool = False,
    prepare: Callable[[Learner], None] | None = None,
) -> Learner:
    """Train until ``config.total_steps``; a resumed run goes on from its last checkpoint.

    Args:
        config: the run. Checked against the stored one when resuming.
        folder: where everything goes.
        callbacks: progress, checkpoints, evaluation.
        resume: continue the run in ``folder``.
        prepare: what a fresh learner goes through before it explores.

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
        if prepare is not None:
            prepare(model)
            folder.save_checkpoint(model, 0)  # so that it is not done again
    else:
        path, state = checkpoint
        # Scenarios already played are not played again.
        env.first_episode = int(state["episodes_begun"])
        model = load_learner(path, env)
    model.set_logger(configure(str(folder.tensorboard / "training"), ["tensorboard"]))
    left = config.total_steps - model.num_timesteps
    if left > 0 or checkpoint is None:  # also where nothing is left: it is judged
        model.learn(max(left, 0), callback=callbacks, reset_num_timesteps=False, tb_log_name="")
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


def episodes_begun(env: WorldsVecEnv) -> int:
    """Number of the first scenario that no world has begun."""
    return int(np.max(env.worlds.episodes)) + 1
