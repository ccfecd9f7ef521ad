"""Are cheap eyes enough? A policy without histograms against MEB with all of them running.

    python benchmarks/cheap_eyes.py POLICY.gymbal...        one file per training seed

The same held-out (test) hosts of gymbal/Balloon-v0 are played twice. The policies see counters and
the active sampler (levels 0 and 1, 0.0007 % of CPU) and are trained with no more than that:

    python scripts/train.py scenario.fleet.monitor=1 seed=SEED total_steps=2500000 out=FOLDER

MEB, with its tuned options, sees every VM's LRU histogram and pays 2 % of CPU for it (TACO 2016).
Nothing else differs, down to the seed of the sensors' noise. Beside them play MEB with what a
histogram would tell for nothing (so that the price of looking is told apart from what is seen), and
qmemman, the best heuristic, which looks at guest statistics only.

The bar: the mean reward of the policies is at least MEB's, with the whole 95 % bootstrap interval
over seeds and hosts at 0 or above. Prints a Markdown table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.contest import EvaluateConfig, hold_contest
from gymbal_agents.roster import read_tuned
from gymbal_agents.statistics import Estimate, mean
from gymbal_envs.tasks.config import TaskConfig

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
MEB = "meb, histograms at 2 %"
OTHERS = ("meb, histograms for nothing", "qmemman, sampler")


@dataclass(frozen=True, eq=False)
class Played:
    """Mean reward per decision of one agent, (N,) by host; of S training seeds (S, N)."""

    name: str
    rewards: Floats

    def gain_over(self, other: Played) -> Estimate:
        """Paired difference of mean rewards, with its interval."""
        return mean(self.rewards - other.rewards)


def main() -> None:
    parser = argparse.ArgumentParser(description="policies without histograms against MEB with")
    parser.add_argument("policies", nargs="+", metavar="POLICY.gymbal")
    parser.add_argument("--scenarios", type=int, default=256, help="held-out hosts (256)")
    given = parser.parse_args()
    policies = play(1, (), given.scenarios, policies=tuple(given.policies))
    seeds = [Played(f"policy/{i}, sampler", row) for i, row in enumerate(policies, start=1)]
    team = Played(f"policy ({len(policies)} seeds), sampler", policies)
    meb = Played(MEB, play(2, ("meb",), given.scenarios)[0])
    free = Played(OTHERS[0], play(2, ("meb",), given.scenarios, cost=0.0)[0])
    qmemman = Played(OTHERS[1], play(1, ("qmemman",), given.scenarios)[0])
    rows = [row_of(one, meb, free) for one in (team, *seeds, meb, free, qmemman)]
    print("| agent | cost, % | better than MEB by, % | than MEB with free histograms by, % |")
    print("|---|---:|---:|---:|")
    for row in rows:
        cells = (row["agent"], *(shown(row[key]) for key in ("cost", "gain", "gain_over_free")))
        print(f"| {' | '.join(cells)} |")
    line = {
        "benchmark": "cheap_eyes",
        "command": shlex.join(["python", "benchmarks/cheap_eyes.py", *sys.argv[1:]]),
        "target": "gain of the policies at least 0, interval included",
        "scenarios": given.scenarios,
        "results": rows,
        "pass": bool(team.gain_over(meb).low >= 0.0),
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line))


def play(
    monitor: int,
    agents: tuple[str, ...],
    num_scenarios: int,
    policies: tuple[str, ...] = (),
    cost: float | None = None,
) -> Floats:
    """Mean rewards (agents, hosts) with monitors of this level on every VM.

    Args:
        monitor: level.
        agents: heuristics by name, with tuned options.
        num_scenarios: held-out hosts.
        policies: bundle files.
        cost: fraction of CPU that a histogram takes; None for the published 2 %.
    """
    config = EvaluateConfig(agents=agents, policy=policies, num_scenarios=num_scenarios)
    scenario = replace(config.scenario, fleet=replace(config.scenario.fleet, monitor=monitor))
    task: TaskConfig = config.task
    if cost is not None:
        sensors = replace(task.physics.sensors, monitor_cost=cost)
        task = replace(task, physics=replace(task.physics, sensors=sensors))
    tuned = read_tuned(ROOT / "configs" / "tuned" / "balloon.yaml")
    contest = hold_contest(replace(config, scenario=scenario, task=task), tuned)
    return np.array([contest.evaluation.values(name) for name in contest.roster])


def row_of(agent: Played, meb: Played, free: Played) -> dict[str, Any]:
    """Cost and gains in % of the wanted progress, each as value and interval."""
    estimates = {
        "cost": mean(-agent.rewards),
        "gain": agent.gain_over(meb),
        "gain_over_free": agent.gain_over(free),
    }
    scaled = {name: estimate.scaled(100.0) for name, estimate in estimates.items()}
    ends = {name: [round(x, 3) for x in (e.value, e.low, e.high)] for name, e in scaled.items()}
    return {"agent": agent.name, **ends}


def shown(interval: list[float]) -> str:
    """Value and interval for people."""
    value, low, high = interval
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
