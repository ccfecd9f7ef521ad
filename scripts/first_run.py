"""Train a task, judge it against every baseline, export it, let the controller run it.

This is what ``make train`` does:  python scripts/first_run.py [key=value ...]
Every key of configs/first_run.yaml can be overridden, for instance task=cache or
scenario.trace=month.parquet
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

TUNED = Path(__file__).parents[1] / "configs" / "tuned"
SMOKE = {
    "total_steps": 32768,
    "evaluate_every": 16384,
    "checkpoint_every": 16384,
    "evaluate_scenarios": 8,
    "num_scenarios": 16,
    "oracle_scenarios": 2,
    "control_steps": 20,
}
EXTRAS = ("out", "resume", "reference", "tuned_file", "smoke")
JUDGING = ("num_scenarios", "oracle_scenarios", "control_steps")


@hydra.main(config_path="../configs", config_name="first_run", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Compose, then one stage after the other."""
    from gymbal_agents.config import TrainConfig, typed
    from gymbal_agents.errors import plain_errors
    from gymbal_agents.first_run import FirstRun, run_all
    from gymbal_agents.roster import find_tuned

    console = Console()
    if OmegaConf.is_missing(composed, "out"):
        composed.out = HydraConfig.get().runtime.output_dir
    with plain_errors():
        plain: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
        extras = {key: plain.pop(key) for key in EXTRAS}
        if extras["smoke"]:
            plain |= SMOKE
        judging = {key: plain.pop(key) for key in JUDGING}
        run = FirstRun(
            train=plain,
            out=Path(extras["out"]),
            resume=extras["resume"],
            reference=extras["reference"],
            tuned=find_tuned(extras["tuned_file"], TUNED, typed(TrainConfig, plain).task.id),
            command=shlex.join(["python", "scripts/first_run.py", *sys.argv[1:]]),
            **judging,
        )
        run_all(run, console)


if __name__ == "__main__":
    main()
