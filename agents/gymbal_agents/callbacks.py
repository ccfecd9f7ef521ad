"""What happens beside the learning: progress, checkpoints, evaluation, pictures.

TensorBoard names are stable: ``charts/*`` for the run, ``terms/*`` for the reward's terms,
``evaluation/*`` for validation scenarios, ``losses/*`` from the learner under its own names
(``train/*``). The baselines and the oracle are runs of their own beside ``training``, so that their
values are lines on the very same charts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from torch.utils.tensorboard import SummaryWriter

from gymbal_agents.config import TrainConfig
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.train import episodes_begun, make_worlds
from gymbal_agents.vec_env import WorldsVecEnv
from gymbal_envs.scenarios.source import make_source
from gymbal_runtime.agent import Agent

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class CheckpointCallback(BaseCallback):
    """Store the learner every ``every`` decisions, between a rollout and the next."""

    def __init__(self, folder: RunFolder, every: int) -> None:
        super().__init__()
        self.folder, self.every = folder, every
        self._last = 0

    def _on_training_start(self) -> None:
        self._last = self.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps - self._last >= self.every:
            self._last = self.num_timesteps
            env = self.model.get_env()
            assert isinstance(env, WorldsVecEnv)
            self.folder.save_checkpoint(self.model, episodes_begun(env))


class ChartsCallback(BaseCallback):
    """Returns, reward terms and speed of the training episodes."""

    def __init__(self) -> None:
        super().__init__()
        self._terms: list[dict[str, float]] = []
        self._returns: list[float] = []
        self._since = (time.monotonic(), 0)

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "reward_terms" in info:
                self._terms.append(info["reward_terms"])
                self._returns.append(info["episode"]["r"] / info["episode"]["l"])
        return True

    def _on_rollout_end(self) -> None:
        now = time.monotonic()
        seconds = max(now - self._since[0], 1e-9)
        self.logger.record("charts/SPS", (self.num_timesteps - self._since[1]) / seconds)
        self._since = (now, self.num_timesteps)
        if self._returns:
            self.logger.record("charts/reward_per_decision", float(np.mean(self._returns)))
            for name in self._terms[0]:
                mean = float(np.mean([terms[name] for terms in self._terms]))
                self.logger.record(f"terms/{name}", mean)
            self._terms, self._returns = [], []
        self.logger.dump(self.num_timesteps)


class EvaluationCallback(BaseCallback):
    """Judge the policy on validation scenarios every ``every`` decisions.

    Args:
        judge: returns (reward per decision, one value per reward term) of the present policy.
        every: decisions.
        on_result: told the learner, its decisions so far, and the values.
    """

    def __init__(
        self,
        judge: Callable[[Any], dict[str, float]],
        every: int,
        on_result: Callable[[Any, int, dict[str, float]], None] | None = None,
    ) -> None:
        super().__init__()
        self.judge, self.every, self.on_result = judge, every, on_result
        self._next = 0
        self.best = -np.inf
        self.best_parameters: dict[str, Any] | None = None

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self.every
            self.evaluate()

    def _on_training_end(self) -> None:
        self.evaluate()

    def evaluate(self) -> None:
        """Judge now; remember the parameters if they are the best so far."""
        values = self.judge(self.model)
        for name, value in values.items():
            self.logger.record(f"evaluation/{name}", value)
        self.logger.dump(self.num_timesteps)
        if values["reward"] > self.best:
            self.best = values["reward"]
            policy = self.model.policy
            self.best_parameters = {k: v.clone() for k, v in policy.state_dict().items()}
        if self.on_result is not None:
            self.on_result(self.model, self.num_timesteps, values)


class ProgressCallback(BaseCallback):
    """Advance a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        super().__init__()
        self.progress, self.task = progress, task

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.progress.update(self.task, completed=self.num_timesteps)


def write_reference_lines(
    folder: RunFolder, config: TrainConfig, references: dict[str, dict[str, float]]
) -> None:
    """Baselines and oracle as horizontal lines on the evaluation charts.

    Args:
        folder: of the run.
        config: its length is the lines' length.
        references: agent name to its values on the validation scenarios.
    """
    for name, values in references.items():
        writer = SummaryWriter(str(folder.tensorboard / f"reference_{name}"))
        for quantity, value in values.items():
            for step in (0, config.total_steps):
                writer.add_scalar(f"evaluation/{quantity}", value, step)
        writer.close()


def write_picture(folder: RunFolder, config: TrainConfig, agent: Agent, step: int) -> None:
    """How the policy divides the host of the first validation scenario, as an image."""
    source = make_source(config.scenario, "validation", 1)
    worlds = make_worlds(config, source, 1, encode=False)
    worlds.episode_steps += 1  # so that the episode's end is still in the picture
    worlds.reset()
    agent.reset(1, worlds.num_vms)
    viewer = worlds.viewer()
    for _ in range(worlds.episode_steps - 1):
        worlds.apply(agent.act(worlds.telemetry))
        viewer.record()
    writer = SummaryWriter(str(folder.tensorboard / "training"))
    writer.add_image("evaluation/allocation", viewer.image(), step, dataformats="HWC")
    writer.close()


def write_hparams(folder: RunFolder, config: TrainConfig, best: float) -> None:
    """The run's settings beside its result, for TensorBoard's HPARAMS tab."""
    settings = {f"ppo/{key}": value for key, value in asdict(config.ppo).items()}
    settings |= {
        "seed": config.seed,
        "total_steps": config.total_steps,
        "task": config.task.id,
        "heuristic": config.task.heuristic,
        "trace": " + ".join(config.scenario.traces),
    }
    plain = {
        k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in settings.items()
    }
    writer = SummaryWriter(str(folder.tensorboard / "training"))
    writer.add_hparams(plain, {"evaluation/best_reward": best}, run_name=".")
    writer.close()
