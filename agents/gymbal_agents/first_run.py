"""From nothing to a policy in a controller: the stages of ``make train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gymbal_agents.config import TrainConfig, typed
from gymbal_agents.contest import Contest, EvaluateConfig, contest_progress, hold_contest
from gymbal_agents.export import export_policy
from gymbal_agents.model_card import evaluation_rows, model_card
from gymbal_agents.report import write_report, write_scalars
from gymbal_agents.roster import Tuned
from gymbal_agents.run_folder import RunFolder
from gymbal_agents.session import run_training
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.summary import Summary, summarise
from gymbal_agents.tables import gains_table, standing_table, verdicts
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.controller import Controller
from gymbal_runtime.decision import DecisionLog
from gymbal_runtime.hosts import open_host


@dataclass(frozen=True)
class FirstRun:
    """What to do.

    Attributes:
        train: plain settings of the training.
        out: folder of everything.
        resume: go on with the run in it.
        reference: baselines on the training charts.
        tuned: options of the baselines.
        command: that was typed, for the model card.
        num_scenarios: held-out scenarios.
        oracle_scenarios: of those, for the slow oracle.
        control_steps: decisions of the controller at the end.
    """

    train: dict[str, Any]
    out: Path
    resume: bool
    reference: bool
    tuned: Tuned | None
    command: str
    num_scenarios: int
    oracle_scenarios: int
    control_steps: int


def run_all(run: FirstRun, console: Console) -> None:
    """Train, judge the exported file, export again with the verdict, run it, say where to look."""
    config = typed(TrainConfig, run.train)
    folder = RunFolder(run.out)
    console.rule("1 of 4  train")
    console.print(f"killed? go on with: {run.command} out={run.out} resume=true", soft_wrap=True)
    model = run_training(
        config, folder, console, resume=run.resume, reference=run.reference, tuned=run.tuned
    )
    assert isinstance(model.policy, SetActorCriticPolicy)
    network = model.policy.network
    draft = "# Draft\n\nNot evaluated yet.\n"
    export_policy(
        network, config, folder.bundle, seeds=[config.seed], evaluation=[], model_card=draft
    )
    console.rule("2 of 4  evaluate on held-out scenarios")
    contest = _judge(run, config, folder)
    summary = _report(contest, run, folder, console)
    console.rule("3 of 4  export")
    title = f"held-out scenarios of {' + '.join(config.scenario.traces)}"
    bundle = export_policy(
        network,
        config,
        folder.bundle,
        seeds=[config.seed],
        evaluation=evaluation_rows(summary, title),
        model_card=model_card(config, [(title, contest.config, summary)], run.command),
    )
    console.print(f"one file, sha256 {bundle.sha256[:16]}, golden cases agree with torch")
    console.rule("4 of 4  control a simulated host")
    decided = _control(run, config, folder)
    console.print(decided)
    console.rule("where to look")
    for what, where in (
        ("policy", folder.bundle),
        ("report", folder.root / "report" / "report.html"),
        ("decisions", folder.root / "decisions.jsonl"),
        ("what is in the policy", f"gymbal-control inspect {folder.bundle}"),
        ("charts", f"tensorboard --logdir {folder.tensorboard}"),
    ):
        console.print(f"{what:22s} {where}", soft_wrap=True)


def _judge(run: FirstRun, config: TrainConfig, folder: RunFolder) -> Contest:
    settings = EvaluateConfig(
        task=config.task,
        scenario=config.scenario,
        policy=(str(folder.bundle),),
        num_scenarios=run.num_scenarios,
        oracle_scenarios=run.oracle_scenarios,
    )
    with contest_progress() as progress:
        return hold_contest(settings, run.tuned, progress)


def _report(contest: Contest, run: FirstRun, folder: RunFolder, console: Console) -> Summary:
    with console.status("estimating intervals, drawing"):
        summary = summarise(contest)
        write_report(contest, summary, folder.root / "report", run.command)
        write_scalars(contest, summary, folder.tensorboard)
    for table in (standing_table(summary), gains_table(summary)):
        console.print(table.terminal())
    for sentence in verdicts(summary):
        console.print(sentence, style="bold")
    return summary


def _control(run: FirstRun, config: TrainConfig, folder: RunFolder) -> str:
    """Let the controller act on a simulated host; says what it did."""
    bundle = read_bundle(folder.bundle)
    host = open_host(
        "simulated",
        trace=config.scenario.traces[0],
        toy=config.scenario.toy,
        task=config.task.id,
    )
    controller = Controller(
        host,
        bundle.agent(checked=True),
        bundle.fallback(),
        mode="act",
        log=DecisionLog(folder.root / "decisions.jsonl"),
        metrics_file=folder.root / "metrics.prom",
    )
    controller.run(run.control_steps, interval_s=0.0)
    host.close()
    by = {s: controller.metrics.count("gymbal_decisions_total", s) for s in ("policy", "fallback")}
    return (
        f"{run.control_steps} decisions on {host.name}: {by['policy']} by the policy, "
        f"{by['fallback']} by the fallback {bundle.manifest.heuristic}"
    )
