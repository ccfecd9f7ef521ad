"""What a decision costs from 10 to 800 hosts: engine, rule, observation, policy, orders.

    python benchmarks/centre_scale.py [--picture docs/images/centre_scale.png]

One centre of each size plays `gymbal/Consolidation-v0` (with the shipped policy) and
`gymbal/Placement-v0` (with its rule; its policy scores the candidates that the observation lists).
CPU time per step, median over blocks of steps. The bar: the exponent of a power law fitted to the
sizes is at most 1, so that cost grows no faster than the hosts. Prints a Markdown table, then one
JSON line; draws the curves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.tasks.batch import Worlds
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import open_worlds, shape_of
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.tasks import CONSOLIDATION, PLACEMENT

sys.path.insert(0, str(Path(__file__).parent))
from bars import Row, print_table

SIZES = (10, 25, 50, 100, 200, 400, 800)
BLOCKS, STEPS, WARM_UP = 5, 8, 10
POLICY = Path(__file__).parents[1] / "policies" / "consolidation.gymbal"
COLORS = {CONSOLIDATION: "#0072B2", PLACEMENT: "#D55E00"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", type=Path, default=Path("docs/images/centre_scale.png"))
    given = parser.parse_args()
    policy = read_bundle(POLICY).policy
    answers: dict[str, Callable[[Any], Any]] = {
        CONSOLIDATION: policy,
        PLACEMENT: lambda seen: seen["proposed"].astype(np.int64),
    }
    costs = {
        task: {hosts: step_ms(task, hosts, answer) for hosts in SIZES}
        for task, answer in answers.items()
    }
    exponents = {task: exponent(cost) for task, cost in costs.items()}
    print("| hosts |", " | ".join(f"{task}, ms" for task in costs), "|\n|---:|" + "---:|" * 2)
    for hosts in SIZES:
        print(f"| {hosts} |", " | ".join(f"{cost[hosts]:.2f}" for cost in costs.values()), "|")
    bars = [
        Row("scale", f"{task}: exponent of CPU time per step", "<= 1", round(value, 2), value <= 1)
        for task, value in exponents.items()
    ]
    print_table(bars)
    draw(costs, exponents).savefig(given.picture, dpi=130, bbox_inches="tight")
    line = {"benchmark": "centre_scale", "ms": costs, "exponents": exponents}
    print(json.dumps({**line, "pass": all(bar.passed for bar in bars)}))


def step_ms(task: str, hosts: int, answer: Callable[[Any], Any]) -> float:
    """CPU milliseconds of a step of one centre, observation to observation."""
    worlds = opened(task, hosts)
    seen = worlds.reset()
    blocks = []
    for block in range(-1, BLOCKS):
        begun = time.process_time()
        for _ in range(WARM_UP if block < 0 else STEPS):
            seen = worlds.step(answer(seen)).observation
        blocks.append((time.process_time() - begun) / STEPS * 1e3)
    return float(np.median(blocks[1:]))


def opened(task: str, hosts: int) -> Worlds[Any, Any]:
    """One centre of a size."""
    scenario = default_scenario(task)
    assert scenario.centre is not None
    centre = replace(scenario.centre, num_hosts=(hosts, hosts), max_hosts=hosts)
    scenario = replace(scenario, centre=centre)
    config = default_task(task)
    return open_worlds(config, make_source(scenario, "train", 0), 1, shape_of(scenario, config))


def exponent(cost: dict[int, float]) -> float:
    return float(np.polyfit(np.log(list(cost)), np.log(list(cost.values())), 1)[0])


def draw(costs: dict[str, dict[int, float]], exponents: dict[str, float]) -> Figure:
    """Cost against hosts, both logarithmic, beside a line in proportion."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for task, cost in costs.items():
        label = f"{task}: exponent {exponents[task]:.2f}"
        axes.loglog(list(cost), list(cost.values()), "o-", color=COLORS[task], label=label)
    first = max(cost[SIZES[0]] for cost in costs.values())
    line = [first * hosts / SIZES[0] for hosts in SIZES]
    axes.loglog(SIZES, line, color="#999999", linestyle=(0, (4, 3)), label="in proportion")
    axes.set_xticks(SIZES, labels=[str(hosts) for hosts in SIZES])
    axes.minorticks_off()
    axes.set_xlabel("hosts")
    axes.set_ylabel("CPU time per step, ms")
    axes.set_title("What a decision costs", loc="left", fontsize=11)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(color="#e8e8e8", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
