"""What a person should know about a policy before trusting it, written from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymbal_agents.config import TrainConfig
from gymbal_agents.contest import EvaluateConfig
from gymbal_agents.summary import Line, Summary
from gymbal_agents.tables import gains_table, standing_table, verdicts
from gymbal_runtime.tasks import (
    BALLOON,
    CACHE,
    CLUSTER,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    SITES,
)


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
    task = config.task
    lines = [
        f"# Policy for {task.id}",
        "",
        f"{_starts(config)} It decides, for each {_row_of(task.id)}: "
        f"{', '.join(task.codec.actions)}.",
        "",
        f"* Made by: `{command}`",
        f"* Data: {_trace(config)}, train split (60 % of the VMs, first 60 % of the time)",
        f"* Hosts: {_hosts(config)}",
        f"* Learner: PPO, {config.total_steps:,} decisions, seed {config.seed}; "
        f"network of width {config.ppo.width}, pooled over {_row_of(task.id)}s",
        f"* Decides every {task.physics.clock.control_interval_s:g} s",
        "",
        "## Intended use",
        "",
        f"{_USES[task.id]} Run it in observe and advise mode on your own host first. Outside the "
        f"training range the controller falls back to `{task.heuristic}`.",
        "",
        "## Limits",
        "",
        f"Trained and judged in simulation. {_LIMITS[task.id]}",
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


_USES = {
    BALLOON: "Division of one host's memory between its VMs by balloons.",
    CACHE: "Division of one host's last-level cache between its VMs by way masks or page colours.",
    HOST: (
        "Division of one host's memory, last-level cache and CPU time between its VMs, and choice "
        "of their devices and monitors."
    ),
    OVERLOAD: (
        "Answers to overloads of a cluster's hosts: who borrows remote memory, who moves where, "
        "who is cloned."
    ),
    CLUSTER: (
        "All decisions about a cluster of hosts: who borrows memory or moves, which host sleeps "
        "and which wakes, where VMs start."
    ),
    SITES: "Moves of VMs with their disks to another data centre: when, in which order and how.",
    CONSOLIDATION: (
        "Consolidation of a data centre: which VM moves where, which host sleeps and which wakes."
    ),
    PLACEMENT: "A host for every VM that comes to a data centre.",
}
_UNSEEN = "It knows nothing of NUMA, huge pages or shared pages."
_LIMITS = {
    BALLOON: f"{_UNSEEN} It cannot see a working set that jumps before the jump.",
    CACHE: (
        "It knows nothing of NUMA, prefetchers or overlapping way masks. "
        "It cannot see a phase of a program before it begins."
    ),
    HOST: f"{_UNSEEN} It cannot see a jump of demand or a phase of a program before it begins.",
    OVERLOAD: (
        "It knows nothing of racks, affinity rules or storage. It cannot see how long an overload "
        "will last, only how long those before did."
    ),
    CLUSTER: (
        "It knows nothing of racks, affinity rules, storage or host failures. It cannot see how "
        "long an overload will last, or who will come."
    ),
    SITES: (
        "It knows nothing of VMs that talk to each other, of several lines, or of when a VM will "
        "be quiet."
    ),
    CONSOLIDATION: (
        "It knows nothing of racks, storage, affinity rules or host failures. It cannot see a jump "
        "of demand before the jump."
    ),
    PLACEMENT: (
        "It knows nothing of racks, NUMA, storage or affinity rules, nor how long a VM will stay. "
        "It cannot move a VM that was placed badly."
    ),
}


def _row_of(task: str) -> str:
    """Whom a policy decides for."""
    return "host" if task in (CLUSTER, CONSOLIDATION) else "VM"


def _starts(config: TrainConfig) -> str:
    """How the policy is tied to its heuristic, in words."""
    heuristic = config.task.heuristic
    if config.task.id in (OVERLOAD, PLACEMENT, SITES):
        return f"Is shown what the heuristic `{heuristic}` proposes, and chooses that or another."
    return (
        f"Corrects what the heuristic `{heuristic}` proposes; a correction of zero is exactly it."
    )


def _hosts(config: TrainConfig) -> str:
    """The hosts that the policy was trained on, in words."""
    if config.scenario.sites is not None:
        sites = config.scenario.sites
        return (
            f"pairs of sites with {sites.num_vms[0]} to {sites.num_vms[1]} VMs to move, up to "
            f"{sites.largest_vm_gib:g} GiB, over one line that they fill to {sites.load[0]:g} to "
            f"{sites.load[1]:g}"
        )
    if config.scenario.cluster is not None:
        cluster = config.scenario.cluster
        return (
            f"clusters of {cluster.num_hosts[0]} to {cluster.num_hosts[1]} hosts, provisioned "
            f"{cluster.overcommit[0]:g} to {cluster.overcommit[1]:g} times their memory"
        )
    if config.scenario.centre is not None:
        centre = config.scenario.centre
        return (
            f"data centres of {centre.num_hosts[0]} to {centre.num_hosts[1]} hosts "
            f"({', '.join(centre.host_types)}) with {centre.vms_per_host[0]:g} to "
            f"{centre.vms_per_host[1]:g} VMs for each"
        )
    fleet = config.scenario.fleet
    said = [f"{fleet.num_vms[0]} to {fleet.num_vms[1]} VMs"]
    if config.task.id != CACHE:
        said += [
            f"peak working sets {fleet.load[0]:g} to {fleet.load[1]:g} times the memory",
            f"swap on {', '.join(fleet.tiers)}",
            f"{fleet.fault_pressure_hz[0]:g} to {fleet.fault_pressure_hz[1]:g} touches/s that can "
            "miss",
        ]
    return "; ".join(said)


def _trace(config: TrainConfig) -> str:
    known = {"synthetic": "the embedded synthetic fleet, fitted to Bitbrains (docs/demand.md)"}
    return " and ".join(known.get(trace, f"`{trace}`") for trace in config.scenario.traces)
