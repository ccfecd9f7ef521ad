"""What a training run leaves on disk, and how a killed one finds its way back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from gymbal_agents.config import ConfigError, TrainConfig, typed


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. Everything is written under a temporary name first, then renamed."""

    root: Path

    @property
    def config(self) -> Path:
        """The composed configuration, JSON."""
        return self.root / "config.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``step_<n>.zip`` and ``step_<n>.json``."""
        return self.root / "checkpoints"

    @property
    def search(self) -> Path:
        """State of the search for the policy's last layer."""
        return self.root / "search.npy"

    @property
    def surface(self) -> Path:
        """Trials of corrections; what was fitted to them lies beside it as JSON."""
        return self.root / "surface.npz"

    @property
    def tensorboard(self) -> Path:
        """Folder to point TensorBoard at."""
        return self.root / "tensorboard"

    @property
    def model(self) -> Path:
        """The policy at the end of training."""
        return self.root / "model.zip"

    @property
    def bundle(self) -> Path:
        """The exported policy."""
        return self.root / "policy.gymbal"

    def save_config(self, config: TrainConfig) -> None:
        """Store the configuration that the run was started with."""
        self.root.mkdir(parents=True, exist_ok=True)
        write_whole(self.config, json.dumps(asdict(config), indent=1).encode())

    def load_config(self) -> TrainConfig:
        """The stored configuration.

        Raises:
            ConfigError: if there is none or this version does not understand it.
        """
        if not self.config.is_file():
            raise ConfigError(f"{self.config} is missing: {self.root} is no training run")
        return typed(TrainConfig, json.loads(self.config.read_text()))

    def save_checkpoint(self, model: BaseAlgorithm, episodes_begun: int) -> None:
        """Store the learner; the model first, so that a listed checkpoint is always whole."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        name = f"step_{model.num_timesteps:010d}"
        partial = self.checkpoints / f"{name}.partial.zip"
        model.save(partial)
        partial.replace(self.checkpoints / f"{name}.zip")
        state = {"num_timesteps": model.num_timesteps, "episodes_begun": episodes_begun}
        write_whole(self.checkpoints / f"{name}.json", json.dumps(state).encode())

    def model_at(self, step: int | None) -> Path:
        """The file of the final model, or of the checkpoint after ``step`` decisions.

        Raises:
            ConfigError: if there is no such file; the message lists the checkpoints there are.
        """
        path = self.model if step is None else self.checkpoints / f"step_{step:010d}.zip"
        if not path.is_file():
            found = self.checkpoints.glob("step_*.json")
            steps = sorted(int(file.stem.removeprefix("step_")) for file in found)
            listed = ", ".join(map(str, steps)) or "none"
            raise ConfigError(f"{path} does not exist; checkpoints: {listed}")
        return path

    def last_checkpoint(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest whole checkpoint: its model file and its state."""
        for state in sorted(self.checkpoints.glob("step_*.json"), reverse=True):
            model = state.with_suffix(".zip")
            if model.is_file():
                return model, json.loads(state.read_text())
        return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that it is never there in part."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
