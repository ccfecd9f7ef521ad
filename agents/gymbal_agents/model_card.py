"""What a person should know about a policy before trusting it, written from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymbal_agents.config import TrainConfig
from gymbal_agents.contest import EvaluateConfig
from gymbal_agents.summary import Line, Summary
from gymbal_agents.tables import gains_table, standing_table, verdicts


def evaluation_rows(summary: Summary, name: str) -> list[dict[str, Any]]:
    """One flat row per agent for the bundle's manifest; ``name`` says on which scenarios."""
    return [_row(line, name) for line in summary.lines]


def _row(line: Line, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "scenarios": name,
        "agent": line.name,
        "num_scenarios": line.num_scenarios,
        "cost_percent": round(line.cost.value, 4),
        "cost_percent_low": round(line.cost.low, 4),
        "cost_percent_high": round(line.cost.high, 4),
    }
    if line.gap_closed is not None:
        row["gap_closed"] = round(line.gap_closed.value, 4)
    return row


def model_card(
    config: TrainConfig,
    results: Sequence[tuple[str, EvaluateConfig, Summary]],
    command: str,
) -> str:
    """The card, Markdown.

    Args:
        config: of the training.
        results: title, settings and outcome of each evaluation.
        command: that made the policy.
    """
    fleet = config.scenario.fleet
    lines = [
        f"# Policy for {config.task}",
        "",
        "Corrects the split that the heuristic "
        f"`{config.balloon.codec.heuristic}` proposes; a correction of zero is exactly it.",
        "",
        f"* Made by: `{command}`",
        f"* Data: {_trace(config)}, train split (60 % of the VMs, first 60 % of the time)",
        f"* Hosts: {fleet.num_vms[0]} to {fleet.num_vms[1]} VMs; peak working sets "
        f"{fleet.load[0]:g} to {fleet.load[1]:g} times the memory; "
        f"swap on {', '.join(fleet.tiers)}; "
        f"{fleet.fault_pressure_hz[0]:g} to {fleet.fault_pressure_hz[1]:g} touches/s that can miss",
        f"* Learner: PPO, {config.total_steps:,} decisions, seed {config.seed}; "
        f"network of width {config.ppo.width}, pooled over VMs",
        f"* Decides every {config.balloon.physics.clock.control_interval_s:g} s",
        "",
        "## Intended use",
        "",
        "Division of one host's memory between its VMs by balloons. Run it in observe and advise "
        "mode on your own host first. Outside the training range the controller falls back to "
        f"`{config.balloon.codec.heuristic}`.",
        "",
        "## Limits",
        "",
        "Trained and judged in simulation. It knows nothing of NUMA, huge pages or shared pages. "
        "It cannot see a working set that jumps before the jump.",
    ]
    for title, settings, summary in results:
        lines += ["", f"## Evaluation: {title}", ""]
        lines += [
            f"{settings.num_scenarios} scenarios of the {settings.split} split (VMs and time that "
            f"training never saw) of {' + '.join(settings.scenario.traces)}, seed {settings.seed}.",
            "",
            *(f"**{sentence}**" for sentence in verdicts(summary)),
            "",
            standing_table(summary).markdown(),
            "",
            gains_table(summary).markdown(),
        ]
    return "\n".join(lines) + "\n"


def _trace(config: TrainConfig) -> str:
    known = {"synthetic": "the embedded synthetic fleet, fitted to Bitbrains (docs/demand.md)"}
    return " and ".join(known.get(trace, f"`{trace}`") for trace in config.scenario.traces)
