"""What each layer of a cluster's manager adds: local balancing, far memory, moves, consolidation.

Usage: python benchmarks/cluster_layers.py [--scenarios 64] [--split test] [--tuned FILE]
                                           [--policy FILE ...] [--swap hdd ...] [--kept-frac 0.6]
                                           [--out benchmarks/results/cluster_layers.json]
                                           [--picture docs/images/cluster_layers.png]

Every stack of `gymbal/Cluster-v0` plays the same held-out scenarios; policies, where given, play
them, too. ``--swap`` names the devices that hosts swap to, in place of the task's, ``--kept-frac``
the part of what calm VMs do not use that stays with their host. Writes a result and a picture of
progress lost against energy, and prints tables: levels, and what each layer gains against the one
before on the same scenarios, with 95 % intervals (BCa over scenarios).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.evaluate import Evaluation, evaluate
from gymbal_agents.roster import build_roster, read_tuned
from gymbal_agents.statistics import Estimate, mean
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.heuristics import heuristics_of
from gymbal_runtime.tasks import CLUSTER

BATCH = 16
PERCENT = 100.0
LABELS = {
    "layered_local": "local",
    "layered_remote": "+ remote memory",
    "layered_migration": "+ migration",
    "layered": "+ consolidation",
}
COLUMNS = {
    "progress_lost": (PERCENT, "progress lost, %"),
    "lost_to_memory": (PERCENT, "of it, to memory"),
    "energy": (PERCENT, "energy, % of peak"),
    "hosts_on": (PERCENT, "hosts on, %"),
    "network_traffic": (PERCENT, "network, % of memory/min"),
    "migrations": (1.0, "moves"),
    "wakes": (1.0, "wakes"),
    "waited_s": (1.0, "waited, VM s"),
}

Floats = NDArray[np.float64]


def cost(played: Evaluation, name: str) -> Floats:
    """Minus the reward in percent of the progress, (N,)."""
    return -PERCENT * played.values(name)


def gain(played: Evaluation, better: str, worse: str, measure: str = "reward") -> Estimate:
    """What one agent has less than another of a measure, percent; of the reward, more."""
    sign = PERCENT if measure == "reward" else -PERCENT
    return mean(sign * played.gains(better, worse, measure))


def said(estimate: Estimate) -> str:
    """Value and interval."""
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def tables(played: Evaluation, names: list[str]) -> str:
    """Levels, and gains of each against the one before it."""
    lines = ["| | cost, % | " + " | ".join(label for _, label in COLUMNS.values()) + " |"]
    lines.append("|---|---:|" + "---:|" * len(COLUMNS))
    for name in names:
        cells = [f"{mean(cost(played, name)).value:.3f}"]
        for measure, (scale, _) in COLUMNS.items():
            cells.append(f"{scale * float(played.values(name, measure).mean()):.3g}")
        lines.append(f"| {LABELS.get(name, name)} | " + " | ".join(cells) + " |")
    lines += ["", "| gain against the one before, points | cost | progress lost | energy |"]
    lines.append("|---|---:|---:|---:|")
    for worse, better in pairwise(names):
        each = [
            said(gain(played, better, worse, measure))
            for measure in ("reward", "progress_lost", "energy")
        ]
        lines.append(f"| {LABELS.get(better, better)} | " + " | ".join(each) + " |")
    return "\n".join(lines)


def draw(played: Evaluation, names: list[str], path: Path) -> None:
    """Progress lost against energy, with intervals; a step to the lower left is a gain in both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    points = []
    for size, name in enumerate(reversed(names)):  # the first is the largest: equal points are seen
        x, y = (mean(PERCENT * played.values(name, m)) for m in ("energy", "progress_lost"))
        points.append((x.value, y.value))
        axes.errorbar(
            x.value, y.value,
            xerr=[[x.value - x.low], [x.high - x.value]],
            yerr=[[y.value - y.low], [y.high - y.value]],
            fmt="o", capsize=3, markersize=6 + 3 * size, zorder=-size, alpha=0.8,
            label=LABELS.get(name, name),
        )  # fmt: skip
    axes.plot(*np.array(points).T, color="grey", linewidth=0.8, zorder=-9)
    axes.set_xlabel("energy, % of what all hosts draw at peak")
    axes.set_ylabel("progress lost, %")
    axes.set_ylim(bottom=0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Play, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=64)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tuned", type=Path, default=Path("configs/tuned/cluster.yaml"))
    parser.add_argument("--policy", action="append", default=[])
    parser.add_argument("--swap", nargs="+", metavar="TIER", help="for instance hdd")
    parser.add_argument("--kept-frac", type=float, help="in place of the task's")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cluster_layers.json"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/cluster_layers.png"))
    options = parser.parse_args()

    task, scenario = default_task(CLUSTER), default_scenario(CLUSTER)
    if options.swap:
        clusters = replace(scenario.cluster, tiers=tuple(options.swap))
        scenario = replace(scenario, cluster=clusters)
    if options.kept_frac is not None:
        local = replace(task.cluster.local, kept_frac=options.kept_frac)
        task = replace(task, cluster=replace(task.cluster, local=local))
    tuned = read_tuned(options.tuned) if options.tuned.is_file() else None
    stacks = list(heuristics_of(CLUSTER))
    roster = build_roster(stacks, options.policy, tuned, CLUSTER)
    played = evaluate(
        {name: one.make for name, one in roster.items()},
        make_source(scenario, options.split, options.seed),
        options.scenarios,
        shape_of(scenario, task),
        task,
        batch=BATCH,
    )
    result: dict[str, Any] = {
        "split": options.split,
        "seed": options.seed,
        "swap": list(scenario.cluster.tiers),
        "kept_frac": task.cluster.local.kept_frac,
        "agents": {name: one.origin for name, one in roster.items()},
        **played.to_dict(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result) + "\n")
    draw(played, stacks, options.picture)
    print(tables(played, stacks))
    for name in roster:
        if name not in stacks:
            print(f"\n{name} against layered, points: {said(gain(played, name, 'layered'))}")


if __name__ == "__main__":
    main()
