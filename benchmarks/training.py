"""How fast PPO learns end to end.

Usage: python benchmarks/training.py

The same task, network and PPO settings on Gymbal's native batch of hosts and on single Gymnasium
environments under stable-baselines3's SubprocVecEnv. Prints a table and one JSON line last.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import gymnasium
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import SubprocVecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from gymbal_agents.config import TrainConfig
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.train import make_learner, make_vec_env

TARGETS = {"native_steps_s": 15_000.0, "ratio_to_subproc": 8.0}
SUBPROC_ENVS = 8
ROLLOUTS = 4


def single_env() -> gymnasium.Env:
    import gymbal_envs  # noqa: F401

    return gymnasium.make("gymbal/Balloon-v0")


def steps_per_second(model: PPO, rollouts: int) -> float:
    """End to end, after one rollout and update that nobody times."""
    size = model.n_steps * model.n_envs
    model.learn(size)
    begun = time.perf_counter()
    model.learn(rollouts * size, reset_num_timesteps=False)
    return rollouts * size / (time.perf_counter() - begun)


def subproc_learner(config: TrainConfig, env: VecEnv) -> PPO:
    """The same samples per update, from few environments."""
    ppo = config.ppo
    return PPO(
        SetActorCriticPolicy,
        env,
        n_steps=ppo.batch_size // env.num_envs,
        batch_size=ppo.batch_size,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        policy_kwargs={"width": ppo.width, "log_std_init": ppo.log_std},
        device="cpu",
    )


def main() -> None:
    th.set_num_threads(1)
    config = TrainConfig()
    plain = replace(config, ppo=replace(config.ppo, twin=False))
    native = steps_per_second(make_learner(plain, make_vec_env(plain)), ROLLOUTS)
    twin = steps_per_second(make_learner(config, make_vec_env(config)), ROLLOUTS)
    env = VecMonitor(SubprocVecEnv([single_env] * SUBPROC_ENVS))
    subproc = steps_per_second(subproc_learner(config, env), 1)
    env.close()
    measured = {
        "native_steps_s": native,
        "native_with_twin_steps_s": twin,
        "subproc_steps_s": subproc,
        "ratio_to_subproc": native / subproc,
    }
    print("| what | measured | target |\n|---|---:|---:|")
    for name, value in measured.items():
        target = TARGETS.get(name)
        print(f"| {name} | {value:,.1f} | {f'{target:,.0f}' if target else '-'} |")
    verdicts = {name: measured[name] >= target for name, target in TARGETS.items()}
    print(
        json.dumps(
            {
                "benchmark": "training",
                "measured": {name: round(value, 1) for name, value in measured.items()},
                "targets": TARGETS,
                "pass": verdicts,
                "load_average": os.getloadavg(),
            }
        )
    )


if __name__ == "__main__":
    main()
