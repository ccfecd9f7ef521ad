"""Train a policy and export it.

Usage: python scripts/train.py [key=value ...]

Every key of configs/train.yaml can be overridden, for instance
    python scripts/train.py scenario.trace=month.parquet total_steps=5000000 out=outputs/mine
    python scripts/train.py task=cache                          another task, on its own hosts
    python scripts/train.py out=outputs/mine resume=true        go on after a kill
    python scripts/train.py -m seed=0,1,2                       several runs
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

TUNED = Path(__file__).parents[1] / "configs" / "tuned"


@hydra.main(config_path="../configs", config_name="train", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Compose, train, export, say where to look."""
    from gymbal_agents.config import TrainConfig, typed
    from gymbal_agents.errors import plain_errors
    from gymbal_agents.export import export_policy
    from gymbal_agents.roster import find_tuned
    from gymbal_agents.run_folder import RunFolder
    from gymbal_agents.session import run_training
    from gymbal_runtime.tasks import short_name

    console = Console()
    if OmegaConf.is_missing(composed, "out"):
        composed.out = HydraConfig.get().runtime.output_dir
    with plain_errors():
        plain: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
        out, resume, reference = (plain.pop(key) for key in ("out", "resume", "reference"))
        config = typed(TrainConfig, plain)
        folder = RunFolder(Path(out))
        model = run_training(
            config,
            folder,
            console,
            resume=resume,
            reference=reference,
            tuned=find_tuned("auto", TUNED, config.task.id),
        )
        bundle = export_policy(
            model.policy.network,
            config,
            folder.bundle,
            seeds=[config.seed],
            evaluation=[],
            model_card=f"# Policy of {folder.root.name}\n\nNot evaluated yet.\n",
            created=datetime.date.today(),
        )
        console.print(f"policy      {folder.bundle}  (sha256 {bundle.sha256[:12]})")
        task = short_name(config.task.id)
        console.print(f"evaluate    python scripts/evaluate.py task={task} policy={folder.bundle}")
        console.print(f"tensorboard tensorboard --logdir {folder.tensorboard}")


if __name__ == "__main__":
    main()
