"""Tune the heuristics' parameters on training scenarios.

Usage: python scripts/tune.py [key=value ...]

Every key of configs/tune.yaml can be overridden, for instance
    python scripts/tune.py heuristics=[meb,esx] trials=20
    python scripts/tune.py task=cache                  writes configs/tuned/cache.yaml
    python scripts/tune.py task=host                   after both: a heuristic for each resource
    python scripts/tune.py scenario.trace=month.parquet out=configs/tuned/balloon_month.yaml
A search that was killed goes on where it was.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@hydra.main(config_path="../configs", config_name="tune", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Compose, search, write the options."""
    from gymbal_agents.config import typed
    from gymbal_agents.errors import plain_errors
    from gymbal_agents.stacking import known_options, tune_host
    from gymbal_agents.tuned_file import write_tuned
    from gymbal_agents.tuning import TuneConfig, tune
    from gymbal_runtime.heuristics.stacked import Stacked
    from gymbal_runtime.tasks import HOST

    console = Console()
    with plain_errors():
        plain: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
        out, storage, folder = (plain.pop(key) for key in ("out", "storage", "tuned_folder"))
        config = typed(TuneConfig, plain)
        console.print(f"budget of each heuristic: {config.decisions:,} decisions")
        with Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        ) as progress:
            bars = {}
            for name in config.names:
                total = None if name == Stacked.name else config.trials  # that depends on the stack
                bars[name] = progress.add_task(name, total=total, note="")

            def on_trial(name: str, best: float) -> None:
                progress.update(bars[name], advance=1, note=f"reward {best:.4f}")

            remembered = Path(storage) if storage else None
            if config.task.id == HOST:
                found = tune_host(config, known_options(Path(folder)), remembered, on_trial)
            else:
                found = tune(config, remembered, on_trial)
        command = shlex.join(["python", "scripts/tune.py", *sys.argv[1:]])
        write_tuned(Path(out), found, config, command)
        console.print(f"wrote {out}", soft_wrap=True)


if __name__ == "__main__":
    main()
