"""The campaign of a task: several seeds, every baseline, every kind of held-out scenario.

Usage: python benchmarks/quality.py task=balloon        or cache, host

Trains each seed (a killed campaign goes on where it was), judges all of them on held-out scenarios
of every kind in ``judge_on``, writes the tables to benchmarks/results and the best seed's bundle to
policies/. Prints one JSON line last. Takes under an hour on two cores.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]


def typed_command() -> str:
    """The command that runs this campaign, for the tables it makes."""
    return shlex.join(["python", "benchmarks/quality.py", *sys.argv[1:]])


def present_kinds(settings: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Kinds of held-out scenarios whose files are on this machine, by name."""
    return {
        name: changes
        for name, changes in settings["judge_on"][settings["task"]].items()
        if all(file in ("", "synthetic") or Path(file).exists() for file in changes.values())
    }


def train_seed(settings: dict[str, Any], seed: int) -> Path:
    """Train one seed in a process of its own, or go on with it; returns its folder."""
    out = Path(settings["out"]) / f"{settings['task']}-seed{seed}"
    if (out / "policy.gymbal").is_file():
        return out
    resume = any(out.glob("checkpoints/step_*.json"))
    command = [
        sys.executable,
        str(ROOT / "scripts" / "train.py"),
        f"task={settings['task']}",
        f"seed={seed}",
        f"total_steps={settings['total_steps']}",
        f"out={out}",
        f"resume={str(resume).lower()}",
        "reference=false",
        f"scenario.trace=[{','.join(settings['train_on'])}]",
        *settings["overrides"][settings["task"]],
    ]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "stdout.log").open("a") as log:
        subprocess.run(command, check=True, cwd=ROOT, stdout=log, stderr=log)
    return out


def judge(settings: dict[str, Any], folders: list[Path], name: str, changes: dict[str, str]) -> Any:
    """All baselines, oracles and seeds on held-out scenarios of one kind."""
    from gymbal_agents.contest import EvaluateConfig, contest_progress, hold_contest
    from gymbal_agents.report import write_report
    from gymbal_agents.roster import find_tuned
    from gymbal_agents.run_folder import RunFolder
    from gymbal_agents.summary import summarise

    config = RunFolder(folders[0]).load_config()
    contest_config = EvaluateConfig(
        task=config.task,
        scenario=replace(config.scenario, **changes),
        policy=tuple(f"policy={folder / 'policy.gymbal'}" for folder in folders),
        num_scenarios=settings["num_scenarios"],
        oracle_scenarios=settings["oracle_scenarios"],
    )
    tuned = find_tuned(settings["tuned_file"], ROOT / "configs" / "tuned", config.task.id)
    with contest_progress() as progress:
        contest = hold_contest(contest_config, tuned, progress)
    summary = summarise(contest)
    report = Path(settings["out"]) / f"report-{name}"
    write_report(contest, summary, report, typed_command())
    return contest, summary


def best_seed(folders: list[Path]) -> Path:
    """The folder whose policy did best on validation scenarios (not on the test split)."""
    from gymbal_agents.run_folder import RunFolder
    from gymbal_agents.session import Judge
    from gymbal_runtime.bundle import read_bundle

    judge_validation = Judge(RunFolder(folders[0]).load_config())
    bundles = {str(folder): read_bundle(folder / "policy.gymbal") for folder in folders}
    values = judge_validation(
        {name: (lambda worlds, b=bundle: b.agent()) for name, bundle in bundles.items()}
    )
    return Path(max(values, key=lambda name: values[name]["reward"]))


def publish(settings: dict[str, Any], folders: list[Path], results: dict[str, Any]) -> None:
    """Write the results table and the best seed's bundle with its model card."""
    from gymbal_agents.export import export_policy
    from gymbal_agents.model_card import evaluation_rows, model_card
    from gymbal_agents.run_folder import RunFolder
    from gymbal_agents.tables import gains_table, standing_table, verdicts
    from gymbal_agents.torch_policy import network_of

    command = typed_command()
    lines = [f"# {settings['task']}: results", "", f"`{command}`", ""]
    for name, (_, summary) in results.items():
        lines += [f"## Held-out scenarios of {name}", "", *verdicts(summary), ""]
        lines += [standing_table(summary).markdown(), "", gains_table(summary).markdown(), ""]
    target = ROOT / settings["results"]
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{settings['task']}.md").write_text("\n".join(lines))
    best = best_seed(folders)
    config = RunFolder(best).load_config()
    card = model_card(
        config,
        [(name, contest.config, summary) for name, (contest, summary) in results.items()],
        command,
    )
    policies = ROOT / settings["policies"]
    policies.mkdir(exist_ok=True)
    export_policy(
        network_of(best / "model.zip"),
        config,
        policies / f"{settings['task']}.gymbal",
        seeds=[config.seed],
        evaluation=[
            row for name, (_, summary) in results.items() for row in evaluation_rows(summary, name)
        ],
        model_card=card,
    )
    (policies / f"{settings['task']}.md").write_text(card)


@hydra.main(config_path=".", config_name="quality", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Train, judge, publish, print one JSON line."""
    settings: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    os.chdir(ROOT)  # paths in settings and tables are relative to the repository
    settings["out"] = str(Path(settings["out"]).resolve())
    console = Console()
    console.print(f"training {len(settings['seeds'])} seeds, logs under {settings['out']}")
    with ThreadPoolExecutor(settings["parallel"]) as pool:
        folders = list(pool.map(lambda seed: train_seed(settings, seed), settings["seeds"]))
    results = {}
    for name, changes in present_kinds(settings).items():
        results[name] = judge(settings, folders, name, changes)
    publish(settings, folders, results)
    report = {"benchmark": "quality", "task": settings["task"], "load_average": os.getloadavg()}
    for name, (_, summary) in results.items():
        line = summary.subject
        gap = line.gap_closed
        report[name] = {
            "best_heuristic": summary.best_heuristic,
            "better_than_every_heuristic": line.beats_every_heuristic,
            "gap_closed": None if gap is None else [gap.value, gap.low, gap.high],
            "pass": bool(line.beats_every_heuristic)
            and gap is not None
            and gap.value >= settings["min_gap_closed"][settings["task"]],
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
