"""The file of tuned options: what was found, how, and how much better it is."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from gymbal_agents.tuning import TuneConfig, Tuning


def write_tuned(path: Path, found: dict[str, Tuning], config: TuneConfig, command: str) -> None:
    """Write options as YAML that `gymbal_agents.roster.read_tuned` reads.

    Raises:
        OSError: if the file cannot be written.
    """
    trace = config.scenario.toy or " + ".join(config.scenario.traces)
    lines = [
        "Options of the heuristics, tuned on training scenarios.",
        f"command: {command}",
        f"trace: {trace}, seed: {config.seed}",
        f"budget of each: {config.trials} trials x {config.num_scenarios} scenarios = "
        f"{config.decisions} decisions",
        *(
            f"budget of {name}: {one.tried} trials x {config.num_scenarios} scenarios"
            for name, one in found.items()
            if one.tried > config.trials
        ),
        "mean reward per decision, published -> tuned, on training and on validation scenarios:",
    ]
    for name, one in found.items():
        lines.append(
            f"  {name:<14} {one.before:.4f} -> {one.after:.4f}    "
            f"{one.validation_before:.4f} -> {one.validation_after:.4f}"
        )
    header = "".join(f"# {line}\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = OmegaConf.to_yaml(OmegaConf.create({k: one.options for k, one in found.items()}))
    path.write_text(header + options, encoding="utf-8")
