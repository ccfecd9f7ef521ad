"""Compare agents on held-out scenarios.

Usage: python scripts/evaluate.py policy=FILE [key=value ...]

Every key of configs/evaluate.yaml can be overridden, for instance
    python scripts/evaluate.py policy=policies/balloon.gymbal
    python scripts/evaluate.py task=cache                          no policy: the baselines alone
    python scripts/evaluate.py agents=[meb,esx,policy] policy=FILE scenario.trace=month.parquet
    python scripts/evaluate.py policy=[FILE1,FILE2,FILE3]          training seeds of one policy
    python scripts/evaluate.py 'policy=["a=FILE1","b=FILE2"]'      two policies
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

TUNED = Path(__file__).parents[1] / "configs" / "tuned"


@hydra.main(config_path="../configs", config_name="evaluate", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Compose, play, summarise, write the report."""
    from gymbal_agents.config import typed
    from gymbal_agents.contest import EvaluateConfig, contest_progress, hold_contest
    from gymbal_agents.errors import plain_errors
    from gymbal_agents.report import write_report, write_scalars
    from gymbal_agents.roster import find_tuned
    from gymbal_agents.summary import summarise
    from gymbal_agents.tables import gains_table, standing_table, verdicts

    console = Console()
    with plain_errors():
        plain: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
        out, tuned, tensorboard = (plain.pop(key) for key in ("out", "tuned_file", "tensorboard"))
        config = typed(EvaluateConfig, plain)
        options = find_tuned(tuned, TUNED, config.task.id)
        with contest_progress() as progress:
            contest = hold_contest(config, options, progress)
        with console.status("estimating intervals, drawing"):
            summary = summarise(contest)
            command = shlex.join(["python", "scripts/evaluate.py", *sys.argv[1:]])
            files = write_report(contest, summary, Path(out), command)
            if tensorboard is not None:
                write_scalars(contest, summary, Path(tensorboard))
        for table in (standing_table(summary), gains_table(summary)):
            console.print(table.terminal())
        for sentence in verdicts(summary):
            console.print(sentence, style="bold")
        for file in files:
            console.print(f"wrote {file}", soft_wrap=True)


if __name__ == "__main__":
    main()
